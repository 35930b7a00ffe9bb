// Functions of Lua whose work is bounded by the length of a text, which may be long: short texts go
// to Lua's own functions, long ones are walked in pieces.
#include <cctype>
#include <cstdio>
#include <cstring>

#include "internal/budget.h"
#include "internal/libraries.h"
#include "internal/vm.h"

namespace tidewheel {

constexpr size_t short_format = 256;  // bytes, so at most 128 conversions
constexpr lua_Integer piece_length = lua_Integer(Toll::unit);

// The function of Lua that stands behind the one that is running.
static lua_CFunction original(lua_State *L) {
    return lua_tocfunction(L, lua_upvalueindex(1));
}

// ---- string.format

// As `%q` does it: the text can be read back by Lua.
static void add_quoted(lua_State *L, luaL_Buffer *out, const char *text, size_t length) {
    const char *end = text + length;
    luaL_addchar(out, '"');
    walk_pieces(L, text, length, [&](const char *piece, size_t size) {
        for (const char *at = piece; at < piece + size; at++) {
            if (*at == '"' || *at == '\\' || *at == '\n') {
                luaL_addchar(out, '\\');
                luaL_addchar(out, *at);
            } else if (iscntrl(static_cast<unsigned char>(*at))) {
                char code[8];
                bool digit_follows = at + 1 < end && isdigit(static_cast<unsigned char>(at[1]));
                snprintf(code, sizeof code, digit_follows ? "\\%03d" : "\\%d",
                         static_cast<unsigned char>(*at));
                luaL_addstring(out, code);
            } else {
                luaL_addchar(out, *at);
            }
        }
    });
    luaL_addchar(out, '"');
}

// Adds the value of one conversion and returns where the format goes on.
static const char *add_conversion(
    lua_State *L, luaL_Buffer *out, const char *at, const char *end, int argument, int last) {
    constexpr ptrdiff_t longest = 32;  // Lua refuses what is longer.
    const char *stop = at + 1;
    while (stop < end && stop - at < longest && strchr("-+ #0123456789.", *stop)) stop++;
    if (stop < end) stop++;
    if (argument > last) luaL_argerror(L, argument, "no value");
    if (stop[-1] == 'q' && stop - at == 2 && lua_type(L, argument) == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(L, argument, &length);
        add_quoted(L, out, text, length);
        return stop;
    }
    lua_pushcfunction(L, original(L));
    lua_pushlstring(L, at, size_t(stop - at));
    lua_pushvalue(L, argument);
    if (stop[-1] != 's') use_nearest(L, lua_gettop(L));
    lua_call(L, 2, 1);
    luaL_addvalue(out);
    return stop;
}

static int string_format(lua_State *L) {
    size_t length;
    const char *at = luaL_checklstring(L, 1, &length);
    const int last = lua_gettop(L);
    bool has_exact = false;
    for (int i = 2; i <= last; i++) has_exact = has_exact || is_exact(L, i);
    if (length <= short_format && !has_exact && !memchr(at, 'q', length)) return original(L)(L);
    const char *end = at + length;
    int argument = 1;
    Toll toll(L);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    while (const void *found = memchr(at, '%', size_t(end - at))) {
        const char *percent = static_cast<const char *>(found);
        luaL_addlstring(&out, at, size_t(percent - at));
        toll.pay(size_t(percent - at) + 512);
        if (percent + 1 < end && percent[1] == '%') {
            luaL_addchar(&out, '%');
            at = percent + 2;
            continue;
        }
        at = add_conversion(L, &out, percent, end, ++argument, last);
    }
    luaL_addlstring(&out, at, size_t(end - at));
    check_budget(L);
    luaL_pushresult(&out);
    return 1;
}

// ---- string.reverse, table.pack

static int string_reverse(lua_State *L) {
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    luaL_Buffer out;
    char *at = luaL_buffinitsize(L, &out, length) + length;
    walk_pieces(L, text, length, [&at](const char *piece, size_t size) {
        for (size_t i = 0; i < size; i++) *--at = piece[i];
    });
    luaL_pushresultsize(&out, length);
    return 1;
}

static int table_pack(lua_State *L) {
    int count = lua_gettop(L);
    lua_createtable(L, count, 1);
    lua_insert(L, 1);
    for (int i = count; i >= 1; i--) {
        lua_rawseti(L, 1, i);
        if ((i & 511) == 0) check_budget(L);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, 1, "n");
    return 1;
}

// ---- tonumber

static int digit_of(char c) {
    if (isdigit(static_cast<unsigned char>(c))) return c - '0';
    return isalpha(static_cast<unsigned char>(c)) ? toupper(c) - 'A' + 10 : 36;
}

// A whole number in some base; like Lua's, it wraps around.
static int number_in_base(lua_State *L, const char *text, size_t length) {
    lua_Integer base = luaL_checkinteger(L, 2);
    luaL_argcheck(L, base >= 2 && base <= 36, 2, "base out of range");
    const char *end = text + length;
    auto is_blank = [](char c) { return isspace(static_cast<unsigned char>(c)) != 0; };
    Toll toll(L);
    for (; text < end && is_blank(*text); text++) toll.pay(8);
    bool negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+')) text++;
    lua_Unsigned value = 0;
    const char *digits = text;
    for (; text < end && digit_of(*text) < base; text++) {
        value = value * lua_Unsigned(base) + lua_Unsigned(digit_of(*text));
        toll.pay(8);
    }
    bool sound = text > digits;
    for (; text < end && is_blank(*text); text++) toll.pay(8);
    if (sound && text == end) lua_pushinteger(L, lua_Integer(negative ? 0 - value : value));
    else luaL_pushfail(L);
    return 1;
}

static int host_tonumber(lua_State *L) {
    if (lua_type(L, 1) == LUA_TSTRING && !lua_isnoneornil(L, 2)) {
        size_t length;
        const char *text = lua_tolstring(L, 1, &length);
        if (length > short_format) return number_in_base(L, text, length);
    }
    use_nearest(L, 1);
    return original(L)(L);
}

// ---- utf8.len

// Where the character that begins at or before `last` ends; the piece before was found valid.
static size_t behind_character(const char *text, size_t last, size_t length) {
    size_t start = last;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) start--;
    const auto lead = static_cast<unsigned char>(text[start]);
    size_t size = 1;
    if (lead >= 0xC0)
        for (unsigned bit = 0x40; lead & bit; bit >>= 1) size++;
    return start + size < length ? start + size : length;
}

static size_t byte_position(lua_Integer position, size_t length) {
    if (position >= 0) return size_t(position);
    return size_t(-position) > length ? 0 : length + 1 - size_t(-position);
}

static int utf8_len(lua_State *L) {
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    if (length <= Toll::unit) return original(L)(L);
    const size_t first = byte_position(luaL_optinteger(L, 2, 1), length);
    const size_t last = byte_position(luaL_optinteger(L, 3, -1), length);
    luaL_argcheck(L, first >= 1 && first - 1 <= length, 2, "initial position out of bounds");
    luaL_argcheck(L, last <= length, 3, "final position out of bounds");
    lua_Integer count = 0;
    for (size_t at = first; at <= last; check_budget(L)) {
        size_t stop = last - at < size_t(piece_length) ? last : at + size_t(piece_length) - 1;
        lua_pushcfunction(L, original(L));
        lua_pushvalue(L, 1);
        lua_pushinteger(L, lua_Integer(at));
        lua_pushinteger(L, lua_Integer(stop));
        lua_pushvalue(L, 4);
        lua_call(L, 4, 2);
        if (!lua_isinteger(L, -2)) return 2;  // nothing, and where it is not valid
        count += lua_tointeger(L, -2);
        lua_pop(L, 2);
        at = behind_character(text, stop - 1, length) + 1;
    }
    lua_pushinteger(L, count);
    return 1;
}

// UTF-8 as Lua extends it: up to 31 bits in up to six bytes.
static void add_code(luaL_Buffer *out, lua_Unsigned code) {
    if (code < 0x80) {
        luaL_addchar(out, char(code));
        return;
    }
    char bytes[6];
    int count = 0;
    lua_Unsigned room = 0x3F;  // what fits into the first byte
    do {
        bytes[count++] = char(0x80 | (code & 0x3F));
        code >>= 6;
        room >>= 1;
    } while (code > room);
    bytes[count++] = char((~room << 1) | code);
    while (count > 0) luaL_addchar(out, bytes[--count]);
}

static int utf8_char(lua_State *L) {
    const int count = lua_gettop(L);
    Toll toll(L);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (int i = 1; i <= count; i++) {
        lua_Unsigned code = lua_Unsigned(luaL_checkinteger(L, i));
        luaL_argcheck(L, code <= 0x7FFFFFFFu, i, "value out of range");
        add_code(&out, code);
        toll.pay(64);
    }
    luaL_pushresult(&out);
    return 1;
}

const LibraryFunction text_functions[] = {
    {"format", string_format}, {"reverse", string_reverse}, {nullptr, nullptr}};
const LibraryFunction utf8_functions[] = {
    {"len", utf8_len}, {"char", utf8_char}, {nullptr, nullptr}};
const LibraryFunction pack_functions[] = {{"pack", table_pack}, {nullptr, nullptr}};
const LibraryFunction base_functions[] = {{"tonumber", host_tonumber}, {nullptr, nullptr}};

void replace_functions(lua_State *L, const LibraryFunction *functions) {
    for (; functions->name; functions++) {
        if (lua_getfield(L, -1, functions->name) != LUA_TFUNCTION) {
            lua_pop(L, 1);
            lua_pushnil(L);
        }
        lua_pushcclosure(L, functions->function, 1);
        lua_setfield(L, -2, functions->name);
    }
}

}  // namespace tidewheel
