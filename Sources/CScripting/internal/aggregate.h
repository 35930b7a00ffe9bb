// Aggregate stages: what a record gives to a window, cell by cell.
#pragma once
#include <string>
#include <vector>

#include "CScripting.h"
#include "memory.h"
#include "record.h"

struct tw_rows {
    std::vector<tw_row> rows;
    std::vector<tw_cell> cells;
    tw_buffer text;
    uint32_t columns = 0;
};

namespace tidewheel {

struct PathStep {
    std::string name;
    uint32_t tag;
};

// A field by its whole name, or else by the steps between its dots.
struct FieldPath {
    PathStep whole;
    std::vector<PathStep> steps;  // empty when there is no dot
    explicit FieldPath(const char *field);
};

struct Column {
    FieldPath path;
    uint32_t requirement;
    bool needs_text;
};

struct Aggregate {
    std::vector<FieldPath> keys;
    std::vector<Column> columns;
    tw_aggregate_config config{};
};

// How far the rows were before the record in progress.
struct RowMark {
    size_t rows, cells, text;
};

// An aggregate in Lua: registry references to its functions.
struct UserAggregate {
    uint32_t stage;
    std::string file, text;
    int functions[5];
    int migrate = -2;     // LUA_NOREF
    int64_t version = 1;  // of its accumulators
};

}  // namespace tidewheel
