// Lua's patterns (reference manual, 6.4.1) with a budget: matching can always be interrupted.
#pragma once
#include <lua.hpp>

#include "budget.h"

namespace tidewheel {

struct Capture {
    const char *start;
    ptrdiff_t length;  // or one of the marks below
};

constexpr ptrdiff_t open_capture = -1, position_capture = -2;
constexpr int capture_limit = 32, pattern_depth_limit = 200;
constexpr size_t pattern_limit = 64 << 10;  // bytes; no list of characters is that long

struct PatternMatch {
    PatternMatch(
        lua_State *L, const char *subject, size_t length, const char *pattern, size_t size)
        : L(L), subject(subject), subject_end(subject + length), pattern_end(pattern + size),
          toll(L) {
        if (size > pattern_limit)
            luaL_error(L, "a pattern of more than %d bytes", int(pattern_limit));
    }

    lua_State *L;
    const char *subject, *subject_end, *pattern_end;
    int captures = 0, depth = 0;
    Toll toll;
    Capture capture[capture_limit];

    // The end of a match of `pattern` at `at`, or nullptr.
    const char *match(const char *at, const char *pattern);
    // Pushes the captures, or the whole match when there are none; returns how many.
    int push_captures(const char *start, const char *end);
    void push_capture(int index, const char *start, const char *end);

  private:
    void push_text(const char *text, size_t length);
    // One step costs about as much as a few bytes that are only copied.
    void step() { toll.pay(64); }
    const char *match_here(const char *at, const char *pattern);
    bool match_special(const char *&at, const char *&pattern);
    bool match_item(const char *&at, const char *&pattern, const char *&found);
    const char *item_end(const char *pattern);
    bool matches_item(const char *at, const char *pattern, const char *end);
    const char *match_repeated(const char *at, const char *pattern, const char *end);
    const char *match_shortest(const char *at, const char *pattern, const char *end);
    const char *match_balanced(const char *at, const char *pattern);
    const char *match_frontier(const char *at, const char *&pattern, bool &found);
    const char *match_reference(const char *at, char digit);
    const char *begin_capture(const char *at, const char *pattern, ptrdiff_t kind);
    const char *end_capture(const char *at, const char *pattern);
};

}  // namespace tidewheel
