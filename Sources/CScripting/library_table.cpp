// The functions of `table` whose work a script could make endless: raw access to tables, and
// lists of records through their metamethods, never a script's own __len or __index.
#include "internal/budget.h"
#include "internal/libraries.h"

namespace tidewheel {

static lua_Integer list_length(lua_State *L, int index) {
    if (lua_type(L, index) == LUA_TTABLE) return lua_Integer(lua_rawlen(L, index));
    if (lua_type(L, index) != LUA_TUSERDATA) luaL_typeerror(L, index, "table");
    return luaL_len(L, index);
}

static void get_element(lua_State *L, int list, lua_Integer index) {
    if (lua_type(L, list) == LUA_TTABLE) lua_rawgeti(L, list, index);
    else lua_geti(L, list, index);
}

static void set_element(lua_State *L, int list, lua_Integer index) {
    if (lua_type(L, list) == LUA_TTABLE) lua_rawseti(L, list, index);
    else lua_seti(L, list, index);
}

// Raw access would go past the lock of the engine's own tables, whose __newindex is a C function.
static void check_writable(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return;
    lua_pushliteral(L, "__newindex");
    lua_rawget(L, -2);
    lua_pushliteral(L, "__metatable");
    lua_rawget(L, -3);
    if (lua_iscfunction(L, -2) && lua_isboolean(L, -1))
        luaL_argerror(L, index, "this table belongs to the engine and cannot be changed");
    lua_pop(L, 3);
}

static int table_insert(lua_State *L) {
    check_writable(L, 1);
    lua_Integer end = list_length(L, 1) + 1, position = end;
    switch (lua_gettop(L)) {
    case 2: break;
    case 3:
        position = luaL_checkinteger(L, 2);
        luaL_argcheck(L, position >= 1 && position <= end, 2, "position out of bounds");
        for (lua_Integer i = end; i > position; i--) {
            get_element(L, 1, i - 1);
            set_element(L, 1, i);
            if ((i & 511) == 0) check_budget(L);
        }
        break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    set_element(L, 1, position);
    return 0;
}

static int table_remove(lua_State *L) {
    check_writable(L, 1);
    lua_Integer size = list_length(L, 1), position = luaL_optinteger(L, 2, size);
    if (position != size)
        luaL_argcheck(L, position >= 1 && position <= size + 1, 2, "position out of bounds");
    get_element(L, 1, position);
    for (; position < size; position++) {
        get_element(L, 1, position + 1);
        set_element(L, 1, position);
        if ((position & 511) == 0) check_budget(L);
    }
    // An empty table may hold something at 0; a list of a record has nothing there.
    if (lua_type(L, 1) == LUA_TTABLE || (position >= 1 && position <= size)) {
        lua_pushnil(L);
        set_element(L, 1, position);
    }
    return 1;
}

static int table_concat(lua_State *L) {
    size_t separator_length;
    const char *separator = luaL_optlstring(L, 2, "", &separator_length);
    lua_Integer first = luaL_optinteger(L, 3, 1);
    lua_Integer last = luaL_opt(L, luaL_checkinteger, 4, list_length(L, 1));
    list_length(L, 1);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    Toll toll(L);
    for (lua_Integer i = first; i <= last; i++) {
        get_element(L, 1, i);
        if (!lua_isstring(L, -1))
            luaL_error(L, "invalid value (at index %I) in table for 'concat'", i);
        toll.pay(lua_rawlen(L, -1) + separator_length + 256);
        luaL_addvalue(&out);
        if (i == last) break;
        luaL_addlstring(&out, separator, separator_length);
    }
    check_budget(L);
    luaL_pushresult(&out);
    return 1;
}

static int table_unpack(lua_State *L) {
    constexpr lua_Integer largest = 1'000'000;
    lua_Integer first = luaL_optinteger(L, 2, 1);
    lua_Integer last = luaL_opt(L, luaL_checkinteger, 3, list_length(L, 1));
    if (first > last) return 0;
    list_length(L, 1);
    uint64_t count = uint64_t(last) - uint64_t(first);
    if (count >= uint64_t(largest) || !lua_checkstack(L, int(count + 1)))
        return luaL_error(L, "too many results to unpack");
    for (uint64_t i = 0; i <= count; i++) {
        get_element(L, 1, first + lua_Integer(i));
        if ((i & 511) == 0) check_budget(L);
    }
    return int(count + 1);
}

static int table_move(lua_State *L) {
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    lua_Integer from = luaL_checkinteger(L, 2), end = luaL_checkinteger(L, 3);
    lua_Integer to = luaL_checkinteger(L, 4);
    list_length(L, 1);
    list_length(L, target);
    check_writable(L, target);
    if (end >= from) {
        luaL_argcheck(L, from > 0 || end < LUA_MAXINTEGER + from, 3, "too many elements to move");
        lua_Integer count = end - from + 1;
        luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
        bool forwards = to > end || to <= from || (target != 1 && !lua_rawequal(L, 1, target));
        for (lua_Integer i = 0; i < count; i++) {
            lua_Integer offset = forwards ? i : count - 1 - i;
            get_element(L, 1, from + offset);
            set_element(L, target, to + offset);
            if ((i & 511) == 0) check_budget(L);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

// True when the value at `left` comes before the one at `right`.
static bool comes_before(lua_State *L, int left, int right) {
    check_budget(L);
    left = lua_absindex(L, left);
    right = lua_absindex(L, right);
    if (lua_isnoneornil(L, 2)) return lua_compare(L, left, right, LUA_OPLT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, left);
    lua_pushvalue(L, right);
    lua_call(L, 2, 1);
    bool result = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return result;
}

// Heapsort (Williams 1964): never worse than n log n, and no order function can break it.
static void sift_down(lua_State *L, lua_Integer root, lua_Integer count) {
    while (root * 2 <= count) {
        lua_Integer child = root * 2;
        get_element(L, 1, child);
        if (child < count) {
            get_element(L, 1, child + 1);
            if (comes_before(L, -2, -1)) {
                child++;
                lua_remove(L, -2);
            } else {
                lua_pop(L, 1);
            }
        }
        get_element(L, 1, root);
        if (!comes_before(L, -1, -2)) {
            lua_pop(L, 2);
            return;
        }
        set_element(L, 1, child);
        set_element(L, 1, root);
        root = child;
    }
}

static int table_sort(lua_State *L) {
    check_writable(L, 1);
    lua_Integer count = list_length(L, 1);
    luaL_argcheck(L, count < INT32_MAX, 1, "array too big");
    if (count > 1 && !lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    for (lua_Integer root = count / 2; root >= 1; root--) sift_down(L, root, count);
    for (lua_Integer last = count; last > 1; last--) {
        get_element(L, 1, 1);
        get_element(L, 1, last);
        set_element(L, 1, 1);
        set_element(L, 1, last);
        sift_down(L, 1, last - 1);
    }
    return 0;
}

const LibraryFunction list_functions[] = {
    {"insert", table_insert}, {"remove", table_remove}, {"concat", table_concat},
    {"unpack", table_unpack}, {"move", table_move},     {"sort", table_sort},
    {nullptr, nullptr}};

}  // namespace tidewheel
