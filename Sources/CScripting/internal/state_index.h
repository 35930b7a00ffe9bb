// The entries of a table of state by their keys: open addressing over pairs of hash and node, so
// that a look touches one line of the index and the node it finds.  Nodes stay where they are.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tidewheel {

constexpr int64_t never = INT64_MAX;
constexpr uint32_t no_slot = UINT32_MAX;

struct StateTable;

// Values are opaque bytes (a tag and a payload), so that they can go into a journal as is.
struct StateEntry {
    std::string value;       // of a timer: nothing
    int64_t expiry = never;  // of a timer: when it fires
    StateTable *table = nullptr;
    uint32_t slot = no_slot;  // its place in a queue
    bool known = false;       // whoever asked for changes has it
    bool marked = false;      // it is in the list of changes
};

using StateNode = std::pair<const std::string, StateEntry>;

struct StateHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

class StateIndex {
  public:
    StateIndex() = default;
    StateIndex(const StateIndex &) = delete;
    StateIndex &operator=(const StateIndex &) = delete;
    ~StateIndex();

    size_t size() const { return used; }
    bool empty() const { return used == 0; }

    // The node of a key, or nullptr.
    StateNode *find(std::string_view key) const {
        return cells.empty() ? nullptr : cells[place_of(key, StateHash()(key))].node;
    }
    // The node of a key, made if it is not there; `is_new` tells.
    StateNode *get(std::string_view key, bool &is_new);
    // Puts a node in whose key is not there.
    void insert(std::unique_ptr<StateNode> node);
    // Takes a node out; the index gives room back when it has become nearly empty.
    std::unique_ptr<StateNode> extract(StateNode *node);
    // Brings the line where a key belongs into the cache: its look comes soon.
    void prefetch(std::string_view key) const {
        if (!cells.empty()) __builtin_prefetch(&cells[StateHash()(key) & mask()]);
    }

    template <typename Each> void for_each(Each each) const {
        for (const Cell &cell : cells)
            if (cell.node) each(*cell.node);
    }

  private:
    struct Cell {
        size_t hash;
        StateNode *node;  // nullptr: empty
    };
    std::vector<Cell> cells;  // a power of two of them, or none
    size_t used = 0;

    size_t mask() const { return cells.size() - 1; }
    // Where a key is, or the empty cell where it belongs.
    size_t place_of(std::string_view key, size_t hash) const {
        size_t place = hash & mask();
        while (cells[place].node &&
               (cells[place].hash != hash || cells[place].node->first != key))
            place = (place + 1) & mask();
        return place;
    }
    void make_room();
    void resize(size_t size);
};

}  // namespace tidewheel
