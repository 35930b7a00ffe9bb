// The grammar of JSON, checked over the structural characters that simdjson has found.
#pragma once
#include "ingress.h"

namespace tidewheel {

inline bool is_space(char c) {
    return c <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

// Notes what is wrong and where; always false.
bool fail(Problem &problem, size_t offset, const char *text);

// A walk over the structural characters of one text.
struct Walk {
    const char *base;     // structural positions count from here
    const char *text;
    size_t length;
    const uint32_t *at;   // the next structural position; a sentinel follows the last one
    uint32_t limit;       // where the text ends, counted from `base`
    bool has_escapes;
    uint8_t *containers;
    uint32_t depth_limit;
    FieldList *fields;    // of the outermost object, or nullptr
    Problem *problem;
    const Shape *shape = nullptr;
    StopFlag stop = nullptr;  // of a watched run
    unsigned values = 0;      // since it was asked
    uint32_t depth = 0;
    Field unused{};       // takes what nobody wants to know

    bool fail(size_t offset, const char *message) const {
        return tidewheel::fail(*problem, offset, message);
    }
    bool fail_here(const char *message) const { return fail(offset_of(base + *at), message); }
    size_t offset_of(const char *place) const { return size_t(place - text); }
    bool is_told_to_stop() { return (++values & 1023) == 0 && *stop; }
    bool at_end() const { return *at >= limit; }

    // Where the token that began before the next structural character ends.
    const char *token_end() const {
        const char *stop = base + (at_end() ? limit : *at);
        while (is_space(stop[-1])) stop--;
        return stop;
    }

    // Where the next member of the outermost object is noted; nullptr when out of memory.
    Field *next_field() {
        if (!fields) return &unused;
        if (fields->count == fields->capacity && !fields->grow()) return nullptr;
        return &fields->items[fields->count];
    }

    bool scalar(const char *start, Kind &kind, bool &escaped, const char *&stop);
    bool key(Field &field);
    template <bool watched> bool run(uint32_t floor = 0);
    bool open(const char *start);
    bool other_value(const char *start, Field &field, const char *&stop);
    bool usual_object();
};

}  // namespace tidewheel
