#include "internal/state.h"

namespace tidewheel {

// What an entry costs beyond its own bytes: a node of the table, and a place in a queue.
static constexpr size_t entry_overhead = 120, queue_overhead = 16;

static size_t cost(size_t key, size_t value, int64_t expiry) {
    return key + value + entry_overhead + (expiry == never ? 0 : queue_overhead);
}

size_t StateStore::cost(const StateNode *node) {
    return tidewheel::cost(node->first.size(), node->second.value.size(), node->second.expiry);
}

StateTable &StateStore::open_table(
    uint64_t id, StateKind kind, uint32_t stage, uint32_t partition) {
    auto [entry, added] = tables.try_emplace(id);
    current = &entry->second;
    current_id = id;
    if (added) {
        current->kind = kind;
        current->stage = stage;
        current->partition = partition;
    }
    return *current;
}

void StateStore::raise_floor(int64_t time, bool is_event_time) {
    if (is_event_time != uses_event_time) {
        // The wall clock says nothing about event time, so once that is known it counts alone.
        if (!is_event_time) return;
        uses_event_time = true;
        floor = time;
        for (auto &[id, table] : tables) table.clock = table.restored_clock;
    }
    if (time > floor) floor = time;
}

// ---- queues

// A later expiry is only noted in the entry: the queue finds out when the earlier one is due, so
// refreshing a key costs nothing.
void StateStore::schedule(StateNode *node, int64_t expiry) {
    StateEntry &entry = node->second;
    StateQueue &queue = queue_of(node);
    entry.expiry = expiry;
    if (expiry == never) unschedule(node);
    else if (entry.slot == no_slot) queue.push(node, expiry);
    else if (queue.due(entry.slot) > expiry || entry.table->kind == StateKind::timer)
        queue.move(entry.slot, expiry);
}

void StateStore::unschedule(StateNode *node) {
    if (node->second.slot != no_slot) queue_of(node).remove(node->second.slot);
}

bool StateStore::sweep_one() {
    if (!expiring.is_due(floor)) return false;
    StateNode *node = expiring.first();
    if (node->second.expiry > floor) {
        expiring.move(0, node->second.expiry);
        return true;
    }
    if (tracks) mark(node);
    discard(node);
    return true;
}

void StateStore::sweep(size_t most) {
    while (most-- > 0 && sweep_one()) {}
}

// ---- changes

void StateStore::note_undo(Undo &&entry, size_t kept) {
    undo_bytes += sizeof(Undo) + kept;
    undo.push_back(std::move(entry));
}

// Removes an entry for good.
void StateStore::discard(StateNode *node) {
    unschedule(node);
    bytes -= cost(node);
    keys--;
    node->second.table->entries.extract(node);
}

void StateStore::insert(
    StateTable &table, std::string_view key, std::string_view value, int64_t expiry) {
    bool is_new;
    StateNode *node = table.entries.get(key, is_new);
    node->second.value = value;
    node->second.table = &table;
    schedule(node, expiry);
    keys++;
    bytes += cost(node);
    note_undo({Did::inserted, node, {}, {}, never}, 0);
}

void StateStore::change(StateNode *node, std::string &&value, int64_t expiry) {
    bytes -= cost(node);
    node->second.value = std::move(value);
    if (node->second.expiry != expiry) schedule(node, expiry);
    bytes += cost(node);
}

bool StateStore::put(
    StateTable &table, StateNode *node, std::string_view key, std::string_view value,
    int64_t expiry) {
    size_t needed = tidewheel::cost(key.size(), value.size(), expiry);
    // Room is made before looking for what has expired, which may be this very key.  What this
    // record has written expires after `floor`, so the undo log never points to what is swept.
    while (bytes + needed > limit && sweep_one()) {}
    if (!node) node = table.entries.find(key);
    if (bytes - (node ? cost(node) : 0) + needed > limit) return false;
    if (!node) {
        insert(table, key, value, expiry);
        return true;
    }
    StateEntry &entry = node->second;
    bytes += value.size() - entry.value.size();
    const size_t before = entry.value.size();
    note_undo({Did::changed, node, {}, std::move(entry.value), entry.expiry}, before);
    entry.value.assign(value);
    if (entry.expiry == expiry) return true;
    bytes -= cost(node);
    schedule(node, expiry);
    bytes += cost(node);
    return true;
}

void StateStore::erase(StateTable &table, std::string_view key) {
    StateNode *node = table.entries.find(key);
    if (!node) return;
    unschedule(node);
    bytes -= cost(node);
    keys--;
    note_undo({Did::erased, node, table.entries.extract(node), {}, never}, cost(node));
}

// ---- the end of a record

void StateStore::keep() {
    if (clocks_stand) restore_clocks();
    if (tracks) {
        for (Undo &entry : undo) mark(entry.node);
        for (Raised &entry : raised) entry.table->clock_changed = true;
    }
    undo.clear();
    undo_bytes = 0;
    if (undo.capacity() > 4096) undo.shrink_to_fit();
    raised.clear();
}

void StateStore::put_back(Undo &entry) {
    StateNode *node = entry.node;
    switch (entry.did) {
    case Did::inserted: discard(node); break;
    case Did::changed: change(node, std::move(entry.value), entry.expiry); break;
    case Did::erased:
        node->second.table->entries.insert(std::move(entry.removed));
        schedule(node, node->second.expiry);
        bytes += cost(node);
        keys++;
        break;
    }
}

void StateStore::restore_clocks() {
    for (size_t i = raised.size(); i-- > 0;) raised[i].table->clock = raised[i].clock;
    raised.clear();
}

void StateStore::roll_back() {
    for (size_t i = undo.size(); i-- > 0;) put_back(undo[i]);
    undo.clear();
    undo_bytes = 0;
    restore_clocks();
    sweep(2);
}

// ---- timers

void StateStore::hold_timer(StateTable &table, std::string_view name) {
    if (StateNode *node = table.entries.find(name)) unschedule(node);
}

void StateStore::forget_chains() {
    for (auto &[id, table] : tables) table.chained = 0;
}

}  // namespace tidewheel
