// Keyed state of rules: per stage and partition, with an undo log for the record in progress.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tidewheel {

// Values are opaque bytes here (a tag and a payload), so that they can go into a journal as is.
class StateStore {
  public:
    explicit StateStore(size_t limit) : limit(limit) {}

    // The bytes of a key, or nullptr.
    const std::string *get(uint32_t stage, uint32_t partition, std::string_view key);
    // False when the memory limit is reached; then nothing has changed.
    bool set(uint32_t stage, uint32_t partition, std::string_view key, std::string_view value);
    void erase(uint32_t stage, uint32_t partition, std::string_view key);

    // Ends the record in progress: keep its changes, or take all of them back.
    void commit() { undo.clear(); }
    void roll_back();

    size_t key_count() const { return keys; }
    size_t byte_count() const { return bytes; }

  private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };
    using Table = std::unordered_map<std::string, std::string, Hash, std::equal_to<>>;
    struct Undo {
        uint64_t table;
        std::string key, value;
        bool existed;
    };
    std::unordered_map<uint64_t, Table> tables;
    std::vector<Undo> undo;
    size_t limit, keys = 0, bytes = 0;

    void put_back(Table &table, Undo &entry);
};

}  // namespace tidewheel
