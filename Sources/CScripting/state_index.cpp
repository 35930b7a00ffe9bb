#include "internal/state_index.h"

#include <utility>

namespace tidewheel {

StateIndex::~StateIndex() {
    // Nodes lie in another order than their cells: the next ones are fetched meanwhile.
    constexpr size_t distance = 16;
    for (size_t i = 0; i < cells.size(); i++) {
        if (i + distance < cells.size()) __builtin_prefetch(cells[i + distance].node);
        delete cells[i].node;
    }
}

// At most two thirds are used, and an empty index has no room at all.
void StateIndex::make_room() {
    constexpr size_t least = 8;
    if (cells.empty()) resize(least);
    else if ((used + 1) * 3 > cells.size() * 2) resize(cells.size() * 2);
}

void StateIndex::resize(size_t size) {
    std::vector<Cell> old(size, Cell{0, nullptr});
    old.swap(cells);
    for (const Cell &cell : old) {
        if (!cell.node) continue;
        size_t place = cell.hash & mask();
        while (cells[place].node) place = (place + 1) & mask();
        cells[place] = cell;
    }
}

StateNode *StateIndex::get(std::string_view key, bool &is_new) {
    make_room();
    size_t hash = StateHash()(key);
    size_t place = place_of(key, hash);
    is_new = !cells[place].node;
    if (is_new) {
        cells[place] = {hash, new StateNode(std::string(key), StateEntry())};
        used++;
    }
    return cells[place].node;
}

void StateIndex::insert(std::unique_ptr<StateNode> node) {
    make_room();
    size_t hash = StateHash()(node->first);
    size_t place = place_of(node->first, hash);
    cells[place] = {hash, node.release()};
    used++;
}

std::unique_ptr<StateNode> StateIndex::extract(StateNode *node) {
    size_t hole = StateHash()(node->first) & mask();
    while (cells[hole].node != node) hole = (hole + 1) & mask();
    // Those behind move up where that brings them nearer to their place.
    for (size_t place = (hole + 1) & mask(); cells[place].node; place = (place + 1) & mask()) {
        if (((place - cells[place].hash) & mask()) < ((place - hole) & mask())) continue;
        cells[hole] = cells[place];
        hole = place;
    }
    cells[hole].node = nullptr;
    used--;
    if (cells.size() > 1024 && used < cells.size() / 16) resize(cells.size() / 4);
    return std::unique_ptr<StateNode>(node);
}

}  // namespace tidewheel
