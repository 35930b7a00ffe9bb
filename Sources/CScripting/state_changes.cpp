// What a journal needs of the state: the changes since the last call, and putting them back.
#include <algorithm>
#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

void StateStore::mark(StateNode *node) {
    if (node->second.marked) return;
    node->second.marked = true;
    // What was not known before and is gone again will be no change, so this holds at most what
    // is there now and what was known.
    node->second.table->changes.try_emplace(node->first, node->second.known);
}

void StateStore::list_changes(EachChange each, void *context) {
    for (auto &[id, table] : tables) {
        for (auto &[key, known] : table.changes) {
            StateNode *node = table.entries.find(key);
            bool deleted = !node;
            if (deleted && !known) continue;
            StateChange change{table.kind, table.stage, table.partition, key, {}, deleted, never};
            if (node) {
                node->second.marked = false;
                node->second.known = true;
                change.value = node->second.value;
                change.expiry = node->second.expiry;
            }
            each(context, change);
        }
        table.changes = {};
        if (!table.clock_changed) continue;
        table.clock_changed = false;
        each(context, {StateKind::clock, table.stage, table.partition, {}, {}, false, table.clock});
    }
}

std::vector<uint32_t> StateStore::partitions(uint32_t stage) const {
    std::vector<uint32_t> found;
    for (auto &[id, table] : tables)
        if (table.kind == StateKind::value && table.stage == stage && !table.entries.empty())
            found.push_back(table.partition);
    std::sort(found.begin(), found.end());
    return found;
}

// False when there is no room.  What a start reads may for a while be more than ever was there at
// once, since a snapshot is newer than the first changes behind it: `is_passing` allows for that.
bool StateStore::restore(const StateChange &change, bool is_passing) {
    if (change.kind == StateKind::clock) {
        StateTable &table = open(StateKind::value, change.stage, change.partition);
        table.clock = table.restored_clock = change.expiry;
        return true;
    }
    StateTable &table = open(change.kind, change.stage, change.partition);
    if (change.deleted) {
        erase(table, change.key);
        undo.clear();
        undo_bytes = 0;
        return true;
    }
    bool is_new;
    StateNode *node = table.entries.get(change.key, is_new);
    if (is_new) {
        node->second.table = &table;
        keys++;
        bytes += cost(node);
    }
    this->change(node, std::string(change.value), change.expiry);
    node->second.known = true;
    while (bytes > limit && sweep_one()) {}
    return (is_passing ? bytes / 2 : bytes) <= limit;
}

// A value whose bytes a rule can read without harm.
static bool is_sound(tw_vm *vm, const tw_state_change &change) {
    constexpr int64_t latest = 1'000'000'000'000'000;
    if (change.kind != TW_STATE_VALUE && (change.expiry < -latest || change.expiry > latest))
        return false;
    if (change.kind != TW_STATE_VALUE) return change.value_length == 0;
    if (change.value_length == 0) return false;
    const char *payload = change.value + 1;
    size_t length = change.value_length - 1;
    switch (change.value[0]) {
    case 'i':
    case 'd': return length == 8;
    case 's': return true;
    case 'j': {
        Problem problem;
        vm->arena.reset();
        const char *text = vm->arena.copy(payload, length);
        return text && vm->checker.check(text, length, problem);
    }
    default: return false;
    }
}

// Puts an entry of a stage back; why not, or nullptr.
const char *restore_change(
    tw_vm *vm, uint32_t stage, const tw_state_change &change, bool is_passing) {
    if (change.kind < TW_STATE_VALUE || change.kind > TW_STATE_CLOCK)
        return "an unknown kind of entry";
    bool deleted = change.value == nullptr && change.kind != TW_STATE_CLOCK;
    if (!deleted && !is_sound(vm, change)) return "an entry is damaged";
    StateChange entry{StateKind(change.kind), stage, change.partition,
                      {change.key, change.key_length}, {change.value, change.value_length},
                      deleted, change.expiry};
    return vm->state.restore(entry, is_passing) ? nullptr : "limits.state_memory is reached";
}

void refuse_change(tw_status &status, const char *stage, const char *reason) {
    status.code = TW_ERROR;
    snprintf(status.message, sizeof status.message, "state of the stage \"%s\": %s", stage, reason);
}

struct Listener {
    tw_vm *vm;
    tw_each_change each;
    void *context;
};

static void tell(void *context, const StateChange &change) {
    const Listener &listener = *static_cast<Listener *>(context);
    tw_state_change told{};
    told.kind = int32_t(change.kind);
    told.stage = listener.vm->stages[change.stage].name.c_str();
    told.partition = change.partition;
    told.key = change.key.data();
    told.key_length = change.key.size();
    told.value = change.deleted ? nullptr : change.value.data() ? change.value.data() : "";
    told.value_length = change.value.size();
    told.expiry = change.expiry;
    listener.each(listener.context, &told);
}

}  // namespace tidewheel

using namespace tidewheel;

void tw_vm_state_changes(tw_vm *vm, tw_each_change each, void *context) {
    Listener listener{vm, each, context};
    vm->state.list_changes(tell, &listener);
}

tw_status tw_vm_state_restore(tw_vm *vm, const tw_state_change *change) {
    tw_status status{};
    size_t stage = 0;
    while (stage < vm->stages.size() && vm->stages[stage].name != change->stage) stage++;
    const char *reason = stage == vm->stages.size()
                             ? "there is no such stage"
                             : restore_change(vm, uint32_t(stage), *change, false);
    if (reason) refuse_change(status, change->stage, reason);
    return status;
}
