// The functions of `string` whose work a script could make endless.
#include <cstring>

#include "internal/budget.h"
#include "internal/libraries.h"
#include "internal/lua_pattern.h"
#include "internal/short_text.h"

namespace tidewheel {

static size_t start_position(lua_Integer position, size_t length) {
    if (position > 0) return size_t(position);
    if (position == 0 || position < -lua_Integer(length)) return 1;
    return length + size_t(position) + 1;
}

static bool has_specials(lua_State *L, const char *pattern, size_t length) {
    bool found = false;
    walk_pieces(L, pattern, length, [&found](const char *text, size_t size) {
        for (size_t i = 0; i < size && !found; i++)
            found = text[i] && strchr("^$*+?.([%-", text[i]);
    });
    return found;
}

static const char *find_plain(
    lua_State *L, const char *text, size_t length, const char *wanted, size_t size) {
    if (size == 0) return text;
    const char *end = text + length;
    Toll toll(L);
    while (size_t(end - text) >= size) {
        text = static_cast<const char *>(memchr(text, *wanted, size_t(end - text) - size + 1));
        if (!text) return nullptr;
        if (memcmp(text, wanted, size) == 0) return text;
        text++;
        toll.pay(size + 64);
    }
    return nullptr;
}

static int find_or_match(lua_State *L, bool find) {
    size_t length, size;
    const char *subject = luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checklstring(L, 2, &size);
    size_t init = start_position(luaL_optinteger(L, 3, 1), length) - 1;
    if (init > length) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || !has_specials(L, pattern, size))) {
        const char *found = find_plain(L, subject + init, length - init, pattern, size);
        if (!found) {
            lua_pushnil(L);
            return 1;
        }
        lua_pushinteger(L, found - subject + 1);
        lua_pushinteger(L, found - subject + lua_Integer(size));
        return 2;
    }
    PatternMatch match(L, subject, length, pattern, size);
    bool anchored = size > 0 && *pattern == '^';
    for (const char *at = subject + init; at <= match.subject_end; at++) {
        match.captures = match.depth = 0;
        if (const char *end = match.match(at, pattern + anchored)) {
            if (!find) return match.push_captures(at, end);
            lua_pushinteger(L, at - subject + 1);
            lua_pushinteger(L, end - subject);
            return match.push_captures(nullptr, nullptr) + 2;
        }
        if (anchored) break;
    }
    lua_pushnil(L);
    return 1;
}

static int string_find(lua_State *L) { return find_or_match(L, true); }
static int string_match(lua_State *L) { return find_or_match(L, false); }

// Upvalues: subject, pattern, where to go on, end of the last match (both as offsets).
static int gmatch_next(lua_State *L) {
    size_t length, size;
    const char *subject = lua_tolstring(L, lua_upvalueindex(1), &length);
    const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &size);
    const char *last = subject + lua_tointeger(L, lua_upvalueindex(4));
    PatternMatch match(L, subject, length, pattern, size);
    const char *at = subject + lua_tointeger(L, lua_upvalueindex(3));
    for (; at <= match.subject_end; at++) {
        match.captures = match.depth = 0;
        const char *end = match.match(at, pattern);
        if (!end || end == last) continue;
        lua_pushinteger(L, end - subject);
        lua_copy(L, -1, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return match.push_captures(at, end);
    }
    return 0;
}

static int string_gmatch(lua_State *L) {
    size_t length;
    luaL_checklstring(L, 1, &length);
    luaL_checkstring(L, 2);
    size_t init = start_position(luaL_optinteger(L, 3, 1), length) - 1;
    lua_settop(L, 2);
    lua_pushinteger(L, lua_Integer(init > length ? length + 1 : init));
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

static void add_template(
    PatternMatch &match, luaL_Buffer *out, const char *start, const char *end) {
    lua_State *L = match.L;
    size_t length;
    const char *text = lua_tolstring(L, 3, &length);
    const char *stop = text + length;
    while (text < stop) {
        const char *escape = static_cast<const char *>(memchr(text, '%', size_t(stop - text)));
        luaL_addlstring(out, text, size_t((escape ? escape : stop) - text));
        if (!escape) return;
        char c = escape + 1 < stop ? escape[1] : 0;
        match.toll.pay(size_t(escape - text) + 64);
        text = escape + 2;
        if (c == '%') {
            luaL_addchar(out, '%');
        } else if (c == '0') {
            match.toll.pay(size_t(end - start));
            luaL_addlstring(out, start, size_t(end - start));
        } else if (c >= '1' && c <= '9') {
            match.push_capture(c - '1', start, end);
            luaL_tolstring(L, -1, nullptr);
            lua_remove(L, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

static void add_replacement(
    PatternMatch &match, luaL_Buffer *out, const char *start, const char *end, int type) {
    lua_State *L = match.L;
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_template(match, out, start, end);
        return;
    }
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        int count = match.push_captures(start, end);
        lua_call(L, count, 1);
    } else {
        match.push_capture(0, start, end);
        lua_gettable(L, 3);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, start, size_t(end - start));
    } else if (lua_isstring(L, -1)) {
        luaL_addvalue(out);
    } else {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
}

static int string_gsub(lua_State *L) {
    size_t length, size;
    const char *subject = luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checklstring(L, 2, &size);
    int type = lua_type(L, 3);
    lua_Integer limit = luaL_optinteger(L, 4, lua_Integer(length) + 1);
    luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                            type == LUA_TTABLE, 3, "string/function/table");
    bool anchored = size > 0 && *pattern == '^';
    PatternMatch match(L, subject, length, pattern, size);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    const char *at = subject, *last = nullptr;
    lua_Integer count = 0;
    while (count < limit) {
        match.captures = match.depth = 0;
        const char *end = match.match(at, pattern + anchored);
        if (end && end != last) {
            count++;
            add_replacement(match, &out, at, end, type);
            at = last = end;
            check_budget(L);
        } else if (at < match.subject_end) {
            luaL_addchar(&out, *at++);
        } else {
            break;
        }
        if (anchored) break;
    }
    luaL_addlstring(&out, at, size_t(match.subject_end - at));
    check_budget(L);
    luaL_pushresult(&out);
    lua_pushinteger(L, count);
    return 2;
}

static int string_rep(lua_State *L) {
    constexpr size_t largest = size_t(1) << 31;
    size_t length, separator_length;
    const char *text = luaL_checklstring(L, 1, &length);
    lua_Integer count = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &separator_length);
    size_t each = length + separator_length;
    if (count <= 0 || each == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (uint64_t(count) > largest / each) return luaL_error(L, "resulting string too large");
    size_t total = size_t(count) * length + size_t(count - 1) * separator_length;
    luaL_Buffer out;
    char *at = luaL_buffinitsize(L, &out, total);
    Toll toll(L);
    for (lua_Integer i = 0; i < count; i++) {
        memcpy(at, text, length);
        at += length;
        if (i + 1 < count) {
            memcpy(at, separator, separator_length);
            at += separator_length;
        }
        toll.pay(each + 64);
    }
    check_budget(L);
    luaL_pushresultsize(&out, total);
    return 1;
}

// Moves the letters from `first` to the 26th after it into the other case; other bytes stay.
static int change_case(lua_State *L, unsigned char first) {
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    auto convert = [first](const char *from, char *to, size_t count) {
        for (size_t i = 0; i < count; i++) {
            const auto c = static_cast<unsigned char>(from[i]);
            to[i] = char(static_cast<unsigned char>(c - first) < 26 ? c ^ 0x20 : c);
        }
    };
    char small[64];
    if (length <= sizeof small) {
        convert(text, small, length);
        if (length <= ShortText::longest) push_short(L, small, length);
        else lua_pushlstring(L, small, length);
        return 1;
    }
    luaL_Buffer out;
    char *at = luaL_buffinitsize(L, &out, length);
    walk_pieces(L, text, length, [&](const char *piece, size_t size) {
        convert(piece, at, size);
        at += size;
    });
    luaL_pushresultsize(&out, length);
    return 1;
}

static int string_lower(lua_State *L) { return change_case(L, 'A'); }
static int string_upper(lua_State *L) { return change_case(L, 'a'); }

const LibraryFunction pattern_functions[] = {
    {"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch},
    {"gsub", string_gsub}, {"rep", string_rep},     {"lower", string_lower},
    {"upper", string_upper}, {nullptr, nullptr}};

}  // namespace tidewheel
