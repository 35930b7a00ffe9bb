// Keyed state and timers of rules: per stage and partition, with an undo log for the record in
// progress, queues of what expires or fires, and a list of changes for a journal.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "state_index.h"

namespace tidewheel {

enum class StateKind : uint8_t { value, timer, clock };

// The values or the timers of one stage in one partition.
struct StateTable {
    StateKind kind;
    uint32_t stage, partition;
    int64_t clock = INT64_MIN;  // the latest time at which a record has used it
    int64_t restored_clock = INT64_MIN;
    bool clock_changed = false;
    uint32_t chained = 0;       // timers set while timers fire; see timers.cpp
    StateIndex entries;
    // What changed since the last call of `list_changes`, and whether it was known before.
    std::unordered_map<std::string, bool, StateHash, std::equal_to<>> changes;
};

// A heap with four children per node (fewer cache lines than two) that knows where its nodes are.
class StateQueue {
  public:
    // With `by_name`, what is due at the same time comes in the order of names.
    explicit StateQueue(bool by_name) : by_name(by_name) {}

    bool is_due(int64_t time) const { return !items.empty() && items[0].due <= time; }
    StateNode *first() const { return items[0].node; }
    int64_t due(uint32_t slot) const { return items[slot].due; }
    void push(StateNode *node, int64_t due);
    void move(uint32_t slot, int64_t due);
    void remove(uint32_t slot);

  private:
    struct Item {
        int64_t due;
        StateNode *node;
    };
    bool by_name;
    std::vector<Item> items;

    bool before(const Item &left, const Item &right) const;
    void place(size_t slot, Item item);
    void rise(size_t slot, Item item);
    void sink(size_t slot, Item item);
};

struct StateChange {
    StateKind kind;
    uint32_t stage, partition;
    std::string_view key, value;
    bool deleted;
    int64_t expiry;
};

class StateStore {
  public:
    StateStore(size_t limit, bool tracks) : limit(limit), tracks(tracks) {}

    StateTable &open(StateKind kind, uint32_t stage, uint32_t partition) {
        uint64_t id = uint64_t(stage) << 33 | uint64_t(partition) << 1 | uint64_t(kind);
        return current && current_id == id ? *current : open_table(id, kind, stage, partition);
    }
    // Tells the table what time it is; its time never goes back, except when a record is undone.
    void raise_clock(StateTable &table, int64_t time) {
        if (time < floor) time = floor;
        if (time <= table.clock) return;
        raised.push_back({&table, table.clock});
        table.clock = time;
    }
    // Nothing will be asked at an earlier time, so what expired by then may go.
    void raise_floor(int64_t time, bool is_event_time);

    // The entry of a key, or nullptr; what has expired is not there.
    StateNode *find(StateTable &table, std::string_view key) {
        StateNode *node = table.entries.find(key);
        return node && node->second.expiry > table.clock ? node : nullptr;
    }
    // Sets a key; `node` is what `find` gave, or nullptr. False when the memory limit is reached;
    // then nothing has changed.
    bool put(StateTable &table, StateNode *node, std::string_view key, std::string_view value,
             int64_t expiry);
    void erase(StateTable &table, std::string_view key);

    // Ends the record in progress: keep its changes, or take all of them back.
    void commit() {
        size_t writes = undo.size();
        if (writes || !raised.empty()) keep();
        if (expiring.is_due(floor)) sweep(2 + 2 * writes);
    }
    void roll_back();
    // What the record in progress has changed is kept until its end; true when that is too much.
    bool undo_is_full() const { return undo_bytes > undo_limit; }
    void set_undo_limit(size_t bytes) { undo_limit = bytes; }
    // Removes expired entries, looking at `most` of them.
    void sweep(size_t most);

    // The first timer that is due, or nullptr.
    StateNode *due_timer(int64_t time) const {
        return firing.is_due(time) ? firing.first() : nullptr;
    }
    // Keeps a timer from firing, until it is set again.
    void hold_timer(StateTable &table, std::string_view name);
    void forget_chains();
    // While true, clocks go back to where they were at the end of each transaction.
    void set_clocks_stand(bool value) { clocks_stand = value; }

    size_t key_count() const { return keys; }
    size_t byte_count() const { return bytes; }

    // The partitions in which a stage has values, in order.
    std::vector<uint32_t> partitions(uint32_t stage) const;

    // state_changes.cpp
    using EachChange = void (*)(void *context, const StateChange &change);
    void list_changes(EachChange each, void *context);
    bool restore(const StateChange &change, bool is_passing);
    // Says that an entry will be restored soon.
    void expect(StateKind kind, uint32_t stage, uint32_t partition, std::string_view key) {
        if (kind != StateKind::clock) open(kind, stage, partition).entries.prefetch(key);
    }

  private:
    enum class Did : uint8_t { inserted, changed, erased };
    struct Undo {
        Did did;
        StateNode *node;
        std::unique_ptr<StateNode> removed;
        std::string value;
        int64_t expiry;
    };
    struct Raised {
        StateTable *table;
        int64_t clock;
    };
    std::unordered_map<uint64_t, StateTable> tables;
    StateTable *current = nullptr;
    uint64_t current_id = 0;
    std::vector<Undo> undo;
    size_t undo_bytes = 0, undo_limit = SIZE_MAX;
    std::vector<Raised> raised;
    StateQueue expiring{false}, firing{true};
    int64_t floor = INT64_MIN;
    bool uses_event_time = false, clocks_stand = false;
    size_t limit, keys = 0, bytes = 0;
    bool tracks;

    StateTable &open_table(uint64_t id, StateKind kind, uint32_t stage, uint32_t partition);
    StateQueue &queue_of(const StateNode *node) {
        return node->second.table->kind == StateKind::timer ? firing : expiring;
    }
    static size_t cost(const StateNode *node);
    void schedule(StateNode *node, int64_t expiry);
    void unschedule(StateNode *node);
    void keep();
    void insert(StateTable &table, std::string_view key, std::string_view value, int64_t expiry);
    void change(StateNode *node, std::string &&value, int64_t expiry);
    void discard(StateNode *node);
    void note_undo(Undo &&entry, size_t kept);
    bool sweep_one();
    void restore_clocks();
    void mark(StateNode *node);
    void put_back(Undo &entry);
};

}  // namespace tidewheel
