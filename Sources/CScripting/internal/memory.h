// Memory of one record at a time: an arena that is emptied between records, and growing text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "budget.h"

// Under the address sanitizer blocks are not pooled, and what an arena gave back is off limits.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TW_ADDRESS_SANITIZER 1
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef TW_ADDRESS_SANITIZER
#define TW_ADDRESS_SANITIZER 0
#define ASAN_POISON_MEMORY_REGION(at, size) (void(at), void(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) (void(at), void(size))
#endif

namespace tidewheel {
struct RowMarks;
}

// A growing byte buffer; when memory (or its limit) runs out it sets `failed` and ignores the rest.
struct tw_buffer {
    char *bytes = nullptr;
    size_t length = 0, capacity = 0;
    size_t limit = SIZE_MAX;
    uint64_t rows = 0;
    bool failed = false;
    tidewheel::StopFlag stop = nullptr;  // of the call that writes, when a rule does
    tidewheel::RowMarks *marks = nullptr;  // of a sink's buffer that has to tell its records apart

    bool grow(size_t additional);
    // To be asked now and then by what writes long texts: true when it is better to give up.
    bool is_stopped() {
        failed = failed || (stop && *stop);
        return failed;
    }
    // Gives memory beyond `most` bytes back.
    void trim(size_t most);

    bool reserve(size_t additional) {
        return length + additional <= capacity || grow(additional);
    }

    void append(const char *text, size_t count) {
        if (!reserve(count)) return;
        memcpy(bytes + length, text, count);
        length += count;
    }

    void append(char character) {
        if (reserve(1)) bytes[length++] = character;
    }

    template <size_t size>
    void append_literal(const char (&text)[size]) {
        append(text, size - 1);
    }

    void append_word(const char *text) { append(text, strlen(text)); }

    void clear() {
        length = 0;
        failed = false;
    }
};

namespace tidewheel {

using Text = tw_buffer;

// memcpy without a call for what is short.
inline void copy_short(char *to, const char *from, size_t length) {
    auto move = [=](size_t at, auto word) {
        memcpy(&word, from + at, sizeof word);
        memcpy(to + at, &word, sizeof word);
    };
    if (length > 16 || length < 4) {
        memcpy(to, from, length);
    } else if (length >= 8) {
        move(0, uint64_t());
        move(length - 8, uint64_t());
    } else {
        move(0, uint32_t());
        move(length - 4, uint32_t());
    }
}

// Bytes in use by everything that a script can make grow, and how many it may have.
struct MemoryAccount {
    size_t used = 0, limit = SIZE_MAX;
    StopFlag stop = nullptr;  // of the call that uses it
    bool is_stopped() const { return stop && *stop; }
};

// Small blocks of Lua's heap, kept in lists by size: most live for one record only.
class BlockPool {
  public:
    static constexpr size_t largest = TW_ADDRESS_SANITIZER ? 0 : 256, step = 16;

    void *take(size_t size) {
        size_t list = (size + step - 1) / step;
        Block *block = free_lists[list];
        if (!block) return refill(list);
        free_lists[list] = block->next;
        return block;
    }

    void give(void *memory, size_t size) {
        size_t list = (size + step - 1) / step;
        Block *block = static_cast<Block *>(memory);
        block->next = free_lists[list];
        free_lists[list] = block;
    }

    void destroy();

  private:
    struct Block {
        Block *next;
    };
    Block *free_lists[largest / step + 1] = {};
    Block *slabs = nullptr;
    void *refill(size_t list);
};

// Bump allocation; everything is given back at once. The first chunk is kept.
struct Arena {
    struct Chunk {
        Chunk *next;
        size_t size;
    };

    MemoryAccount *account = nullptr;
    Chunk *chunks = nullptr;  // the one in use first
    char *at = nullptr, *end = nullptr;
    size_t chunk_size = 64 << 10;

    void *allocate(size_t size) {
        size = (size + 7) & ~size_t(7);
        if (size_t(end - at) >= size) {
            void *result = at;
            at += size;
            ASAN_UNPOISON_MEMORY_REGION(result, size);
            return result;
        }
        return allocate_chunk(size);
    }

    template <typename T>
    T *make(size_t count = 1) {
        return static_cast<T *>(allocate(sizeof(T) * count));
    }

    // A copy with 64 readable bytes behind it, as the scanners want; nullptr when out of memory.
    char *copy(const char *text, size_t length) {
        char *result = make<char>(length + 64);
        if (result) {
            memcpy(result, text, length);
            memset(result + length, 0, 64);
        }
        return result;
    }

    bool is_stopped() const { return account && account->is_stopped(); }
    void *allocate_chunk(size_t size);
    void reset();
    void destroy();
};

// For loops that know no Lua: whether what they do in an arena is to stop, asked every so many
// bytes.
struct Tollgate {
    const Arena &arena;
    size_t walked = 0;

    bool is_closed(size_t bytes) {
        walked += bytes;
        if (walked < Toll::unit) return false;
        walked = 0;
        return arena.is_stopped();
    }
};

}  // namespace tidewheel
