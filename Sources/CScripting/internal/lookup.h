// Lookup tables: filled once, then read by all threads.
#pragma once
#include <atomic>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "CScripting.h"

struct tw_lookup {
    struct Cell {
        uint32_t offset = 0, length = 0;
        int kind = -1;  // TW_LOOKUP_TEXT, TW_LOOKUP_JSON, or -1: no value
    };
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };

    std::atomic<uint32_t> references{1};
    std::vector<std::string> columns;
    std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> rows;  // key → row
    std::vector<Cell> cells;                                                // row × column
    std::string text;
    uint32_t row = 0;

    const Cell *find(std::string_view key, size_t column) const {
        auto entry = rows.find(key);
        return entry == rows.end() ? nullptr : &cells[entry->second * columns.size() + column];
    }
    int find_column(std::string_view name) const {
        for (size_t i = 0; i < columns.size(); i++)
            if (columns[i] == name) return int(i);
        return -1;
    }
};
