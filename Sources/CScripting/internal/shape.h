// The names of a record's fields, remembered: the records of a stream mostly have the same ones.
#pragma once
#include <cstring>

#include "json_index.h"

namespace tidewheel {

inline bool same_bytes(const char *left, const char *right, size_t length) {
    auto word = [](const char *at) {
        uint64_t value;
        memcpy(&value, at, 8);
        return value;
    };
    if (length < 8) {
        uint64_t difference = 0;
        for (size_t i = 0; i < length; i++) difference |= uint64_t(left[i] ^ right[i]);
        return difference == 0;
    }
    size_t last = length - 8;
    for (size_t i = 0; i < last; i += 8)
        if (word(left + i) != word(right + i)) return false;
    return word(left + last) == word(right + last);
}

// Names, in order, of which none is escaped or repeated; their tags are what lookups go by.
struct Shape {
    static constexpr uint32_t most = 24, longest = 48;

    struct Key {
        uint64_t head, mask, tail;  // the first and last eight bytes; which of the first count
        uint32_t length, tag;
        char text[longest];

        // Whether a name inside JSON text is this one; reads up to eight bytes behind it.
        bool fits(const char *key, size_t size) const {
            uint64_t first, last;
            memcpy(&first, key, 8);
            if (size != length || ((first ^ head) & mask) != 0) return false;
            if (size <= 8) return true;
            memcpy(&last, key + size - 8, 8);
            return last == tail && (size <= 16 || !memcmp(text + 8, key + 8, size - 16));
        }
    };

    Key keys[most];
    uint32_t count = 0;
    uint32_t serial = 0;  // a new one whenever the names change; 0: nothing learnt yet
    uint32_t misses = 0;  // records in a row that had other names
    uint64_t seen[4] = {};

    // Takes over the names of a record, once enough of them in a row did not fit.
    void learn(const char *text, const FieldList &fields);
};

}  // namespace tidewheel
