// The heap behind expiry and timers.
#include "internal/state.h"

namespace tidewheel {

static constexpr size_t children = 4;

bool StateQueue::before(const Item &left, const Item &right) const {
    if (left.due != right.due) return left.due < right.due;
    if (!by_name) return false;
    int order = left.node->first.compare(right.node->first);
    if (order) return order < 0;
    const StateTable *a = left.node->second.table, *b = right.node->second.table;
    return a->stage != b->stage ? a->stage < b->stage : a->partition < b->partition;
}

void StateQueue::place(size_t slot, Item item) {
    items[slot] = item;
    item.node->second.slot = uint32_t(slot);
}

void StateQueue::rise(size_t slot, Item item) {
    while (slot > 0) {
        size_t parent = (slot - 1) / children;
        if (!before(item, items[parent])) break;
        place(slot, items[parent]);
        slot = parent;
    }
    place(slot, item);
}

void StateQueue::sink(size_t slot, Item item) {
    for (;;) {
        size_t first = slot * children + 1, least = first;
        if (first >= items.size()) break;
        for (size_t i = first + 1; i < first + children && i < items.size(); i++)
            if (before(items[i], items[least])) least = i;
        if (!before(items[least], item)) break;
        place(slot, items[least]);
        slot = least;
    }
    place(slot, item);
}

void StateQueue::push(StateNode *node, int64_t due) {
    items.push_back({due, node});
    rise(items.size() - 1, {due, node});
}

void StateQueue::move(uint32_t slot, int64_t due) {
    Item item{due, items[slot].node};
    if (before(item, items[slot])) rise(slot, item);
    else sink(slot, item);
}

void StateQueue::remove(uint32_t slot) {
    items[slot].node->second.slot = no_slot;
    Item last = items.back();
    items.pop_back();
    if (slot < items.size()) {
        if (slot > 0 && before(last, items[(slot - 1) / children])) rise(slot, last);
        else sink(slot, last);
    }
    if (items.capacity() > 1024 && items.size() < items.capacity() / 4) items.shrink_to_fit();
}

}  // namespace tidewheel
