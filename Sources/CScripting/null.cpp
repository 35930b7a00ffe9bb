// `null`, JSON's null as Lua sees it: equal only to itself, and of no use as a table.
#include "internal/vm.h"

namespace tidewheel {

static char null_address;

void push_null(lua_State *L) { lua_pushlightuserdata(L, &null_address); }

bool is_null(lua_State *L, int index) { return lua_touserdata(L, index) == &null_address; }

static int null_tostring(lua_State *L) {
    lua_pushliteral(L, "null");
    return 1;
}

static int null_index(lua_State *L) {
    return luaL_error(L, "attempt to use the field '%s' of null", luaL_tolstring(L, 2, nullptr));
}

void open_null(lua_State *L) {
    static const luaL_Reg methods[] = {{"__tostring", null_tostring},
                                       {"__index", null_index},
                                       {"__newindex", null_index},
                                       {nullptr, nullptr}};
    push_null(L);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

}  // namespace tidewheel
