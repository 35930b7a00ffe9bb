#include "internal/state.h"

namespace tidewheel {

// What a key costs beyond its own bytes: two strings and a node of the table.
static constexpr size_t entry_overhead = 96;

static uint64_t table_id(uint32_t stage, uint32_t partition) {
    return uint64_t(stage) << 32 | partition;
}

const std::string *StateStore::get(uint32_t stage, uint32_t partition, std::string_view key) {
    auto table = tables.find(table_id(stage, partition));
    if (table == tables.end()) return nullptr;
    auto entry = table->second.find(key);
    return entry == table->second.end() ? nullptr : &entry->second;
}

bool StateStore::set(
    uint32_t stage, uint32_t partition, std::string_view key, std::string_view value) {
    uint64_t id = table_id(stage, partition);
    Table &table = tables[id];
    auto entry = table.find(key);
    bool existed = entry != table.end();
    size_t before = existed ? entry->second.size() : 0;
    size_t added = existed ? value.size() : key.size() + value.size() + entry_overhead;
    if (bytes - before + added > limit) return false;
    if (existed) {
        undo.push_back({id, std::string(key), std::move(entry->second), true});
        entry->second.assign(value);
    } else {
        undo.push_back({id, std::string(key), {}, false});
        table.emplace(std::string(key), std::string(value));
        keys++;
    }
    bytes += added - before;
    return true;
}

void StateStore::erase(uint32_t stage, uint32_t partition, std::string_view key) {
    uint64_t id = table_id(stage, partition);
    auto table = tables.find(id);
    if (table == tables.end()) return;
    auto entry = table->second.find(key);
    if (entry == table->second.end()) return;
    bytes -= key.size() + entry->second.size() + entry_overhead;
    keys--;
    undo.push_back({id, entry->first, std::move(entry->second), true});
    table->second.erase(entry);
}

void StateStore::put_back(Table &table, Undo &entry) {
    auto current = table.find(entry.key);
    if (current != table.end()) {
        bytes -= entry.key.size() + current->second.size() + entry_overhead;
        keys--;
        table.erase(current);
    }
    if (!entry.existed) return;
    bytes += entry.key.size() + entry.value.size() + entry_overhead;
    keys++;
    table.emplace(std::move(entry.key), std::move(entry.value));
}

void StateStore::roll_back() {
    for (size_t i = undo.size(); i-- > 0;) put_back(tables[undo[i].table], undo[i]);
    undo.clear();
}

}  // namespace tidewheel
