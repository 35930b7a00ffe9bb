#include "internal/lua_pattern.h"

#include <cctype>
#include <cstring>

namespace tidewheel {

static bool in_class(unsigned char c, unsigned char name) {
    bool result;
    switch (tolower(name)) {
    case 'a': result = isalpha(c); break;
    case 'c': result = iscntrl(c); break;
    case 'd': result = isdigit(c); break;
    case 'g': result = isgraph(c); break;
    case 'l': result = islower(c); break;
    case 'p': result = ispunct(c); break;
    case 's': result = isspace(c); break;
    case 'u': result = isupper(c); break;
    case 'w': result = isalnum(c); break;
    case 'x': result = isxdigit(c); break;
    case 'z': result = c == 0; break;
    default: return name == c;
    }
    return isupper(name) ? !result : result;
}

// Where the single-character item that begins at `pattern` ends.
const char *PatternMatch::item_end(const char *pattern) {
    char first = *pattern++;
    if (first == '%') {
        if (pattern == pattern_end) luaL_error(L, "malformed pattern (ends with '%%')");
        return pattern + 1;
    }
    if (first != '[') return pattern;
    const char *start = pattern;
    if (pattern < pattern_end && *pattern == '^') pattern++;
    bool at_start = true;
    while (pattern == pattern_end || *pattern != ']' || at_start) {
        if (pattern == pattern_end) luaL_error(L, "malformed pattern (missing ']')");
        at_start = false;
        if (*pattern++ == '%') {
            if (pattern == pattern_end) luaL_error(L, "malformed pattern (missing ']')");
            pattern++;
        }
    }
    toll.pay(size_t(pattern - start));
    return pattern + 1;
}

// `set` is behind "["; `last` is the closing "]".
static bool in_set(unsigned char c, const char *set, const char *last) {
    bool wanted = true;
    if (*set == '^') {
        wanted = false;
        set++;
    }
    while (set < last) {
        if (*set == '%') {
            if (in_class(c, static_cast<unsigned char>(set[1]))) return wanted;
            set += 2;
        } else if (set[1] == '-' && set + 2 < last) {
            if (static_cast<unsigned char>(*set) <= c && c <= static_cast<unsigned char>(set[2]))
                return wanted;
            set += 3;
        } else {
            if (static_cast<unsigned char>(*set) == c) return wanted;
            set++;
        }
    }
    return !wanted;
}

bool PatternMatch::matches_item(const char *at, const char *pattern, const char *end) {
    if (at >= subject_end) return false;
    unsigned char c = static_cast<unsigned char>(*at);
    switch (*pattern) {
    case '.': return true;
    case '%': return in_class(c, static_cast<unsigned char>(pattern[1]));
    case '[': toll.pay(size_t(end - pattern)); return in_set(c, pattern + 1, end - 1);
    default: return static_cast<unsigned char>(*pattern) == c;
    }
}

// As many as possible first, then fewer.
const char *PatternMatch::match_repeated(const char *at, const char *pattern, const char *end) {
    ptrdiff_t count = 0;
    while (matches_item(at + count, pattern, end)) {
        count++;
        step();
    }
    for (; count >= 0; count--) {
        step();
        if (const char *found = match(at + count, end + 1)) return found;
    }
    return nullptr;
}

const char *PatternMatch::match_shortest(const char *at, const char *pattern, const char *end) {
    while (true) {
        step();
        if (const char *found = match(at, end + 1)) return found;
        if (!matches_item(at, pattern, end)) return nullptr;
        at++;
    }
}

const char *PatternMatch::match_balanced(const char *at, const char *pattern) {
    if (pattern_end - pattern < 2)
        luaL_error(L, "malformed pattern (missing arguments to '%%b')");
    if (at >= subject_end || *at != pattern[0]) return nullptr;
    ptrdiff_t depth = 1;
    while (++at < subject_end) {
        step();
        if (*at == pattern[1]) {
            if (--depth == 0) return at + 1;
        } else if (*at == pattern[0]) {
            depth++;
        }
    }
    return nullptr;
}

const char *PatternMatch::match_frontier(const char *at, const char *&pattern, bool &found) {
    if (pattern >= pattern_end || *pattern != '[')
        luaL_error(L, "missing '[' after '%%f' in pattern");
    const char *end = item_end(pattern);
    unsigned char before = at == subject ? 0 : static_cast<unsigned char>(at[-1]);
    unsigned char here = at == subject_end ? 0 : static_cast<unsigned char>(*at);
    toll.pay(size_t(end - pattern) * 2);
    found = !in_set(before, pattern + 1, end - 1) && in_set(here, pattern + 1, end - 1);
    pattern = end;
    return at;
}

const char *PatternMatch::match_reference(const char *at, char digit) {
    int index = digit - '1';
    if (index < 0 || index >= captures || capture[index].length == open_capture)
        luaL_error(L, "invalid capture index %%%d", index + 1);
    ptrdiff_t length = capture[index].length;
    if (length < 0) return nullptr;
    toll.pay(size_t(length));
    if (subject_end - at < length || memcmp(capture[index].start, at, size_t(length)) != 0)
        return nullptr;
    return at + length;
}

const char *PatternMatch::begin_capture(const char *at, const char *pattern, ptrdiff_t kind) {
    if (captures >= capture_limit) luaL_error(L, "too many captures");
    capture[captures++] = Capture{at, kind};
    const char *found = match(at, pattern);
    if (!found) captures--;
    return found;
}

const char *PatternMatch::end_capture(const char *at, const char *pattern) {
    int index = captures;
    while (--index >= 0 && capture[index].length != open_capture) {
    }
    if (index < 0) luaL_error(L, "invalid pattern capture");
    capture[index].length = at - capture[index].start;
    const char *found = match(at, pattern);
    if (!found) capture[index].length = open_capture;
    return found;
}

// %b, %f and %1: true when `pattern` began with one; then both positions are behind it, or `at`
// is nullptr when it does not match.
bool PatternMatch::match_special(const char *&at, const char *&pattern) {
    char special = *pattern == '%' && pattern + 1 < pattern_end ? pattern[1] : 0;
    const char *next = pattern + 2;
    if (special == 'b') {
        at = match_balanced(at, next);
        next += 2;
    } else if (special == 'f') {
        bool found = true;
        at = match_frontier(at, next, found);
        if (!found) at = nullptr;
    } else if (isdigit(static_cast<unsigned char>(special))) {
        at = match_reference(at, special);
    } else {
        return false;
    }
    pattern = next;
    return true;
}

// One item with its suffix: true when that decides the match, with the result in `found`.
bool PatternMatch::match_item(const char *&at, const char *&pattern, const char *&found) {
    const char *end = item_end(pattern);
    char suffix = end < pattern_end ? *end : 0;
    found = nullptr;
    if (suffix == '*' || suffix == '+') {
        if (suffix == '*') found = match_repeated(at, pattern, end);
        else if (matches_item(at, pattern, end)) found = match_repeated(at + 1, pattern, end);
        return true;
    }
    if (suffix == '-') {
        found = match_shortest(at, pattern, end);
        return true;
    }
    bool matched = matches_item(at, pattern, end);
    if (suffix == '?') {
        if (matched && (found = match(at + 1, end + 1))) return true;
        pattern = end + 1;
        return false;
    }
    if (!matched) return true;
    at++;
    pattern = end;
    return false;
}

const char *PatternMatch::match_here(const char *at, const char *pattern) {
    while (pattern < pattern_end) {
        step();
        if (*pattern == '(') {
            bool position = pattern + 1 < pattern_end && pattern[1] == ')';
            return position ? begin_capture(at, pattern + 2, position_capture)
                            : begin_capture(at, pattern + 1, open_capture);
        }
        if (*pattern == ')') return end_capture(at, pattern + 1);
        if (*pattern == '$' && pattern + 1 == pattern_end) return at == subject_end ? at : nullptr;
        if (match_special(at, pattern)) {
            if (!at) return nullptr;
            continue;
        }
        const char *found;
        if (match_item(at, pattern, found)) return found;
    }
    return at;
}

const char *PatternMatch::match(const char *at, const char *pattern) {
    if (++depth > pattern_depth_limit) luaL_error(L, "pattern too complex");
    const char *found = match_here(at, pattern);
    depth--;
    return found;
}

void PatternMatch::push_text(const char *text, size_t length) {
    toll.pay(length);
    lua_pushlstring(L, text, length);
}

void PatternMatch::push_capture(int index, const char *start, const char *end) {
    if (index >= captures) {
        if (index != 0) luaL_error(L, "invalid capture index %%%d", index + 1);
        push_text(start, size_t(end - start));
        return;
    }
    if (capture[index].length == open_capture) luaL_error(L, "unfinished capture");
    if (capture[index].length == position_capture)
        lua_pushinteger(L, capture[index].start - subject + 1);
    else push_text(capture[index].start, size_t(capture[index].length));
}

int PatternMatch::push_captures(const char *start, const char *end) {
    int count = captures == 0 && start ? 1 : captures;
    luaL_checkstack(L, count, "too many captures");
    for (int i = 0; i < count; i++) push_capture(i, start, end);
    return count;
}

}  // namespace tidewheel
