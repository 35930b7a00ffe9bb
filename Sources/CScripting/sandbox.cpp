// What a rule can reach: an allow list in a shared, read-only base, and an environment per stage.
#include "internal/budget.h"
#include "internal/libraries.h"
#include "internal/vm.h"

namespace tidewheel {

// pcall and xpcall let errors of rules be caught, but never a breach of the budget.
static int rethrow_breach(lua_State *L, int status) {
    if (status == LUA_ERRMEM) raise_memory(L);
    if (vm_of(L)->budget.breach) return lua_error(L);
    return 0;
}

static int safe_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status != LUA_OK) {
        rethrow_breach(L, status);
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    check_budget(L);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static int guarded_handler(lua_State *L) {
    check_budget(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int safe_xpcall(lua_State *L) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, guarded_handler, 1);
    lua_replace(L, 2);  // [function, handler, arguments…]
    lua_pushvalue(L, 1);
    lua_copy(L, 2, 1);
    lua_replace(L, 2);  // [handler, function, arguments…]
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
    if (status != LUA_OK) {
        rethrow_breach(L, status);
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    check_budget(L);
    lua_pushboolean(L, 1);
    lua_replace(L, 1);
    return lua_gettop(L);
}

// Only tables have metatables for scripts, and finalizers are not to be had: they would run
// where no hook reaches them.
static int safe_setmetatable(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int type = lua_type(L, 2);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (type == LUA_TTABLE) {
        static const char *const refused[] = {"__gc", "__mode"};
        for (const char *name : refused) {
            lua_pushstring(L, name);
            if (lua_rawget(L, 2) != LUA_TNIL)
                return luaL_error(L, "a metatable with %s is not available to rules", name);
            lua_pop(L, 1);
        }
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int safe_getmetatable(lua_State *L) {
    luaL_checkany(L, 1);
    if (lua_type(L, 1) != LUA_TTABLE || !lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushliteral(L, "__metatable");
    if (lua_rawget(L, -2) == LUA_TNIL) lua_pop(L, 1);
    return 1;
}

static int refuse_write(lua_State *L) {
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    return luaL_error(L, "%s cannot be changed by a rule", name);
}

// Replaces the table on top by a read-only view of it; `name` is for the error.
static void push_read_only(lua_State *L, const char *name) {
    lua_newtable(L);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushcclosure(L, refuse_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

static void open_base(lua_State *L, int base) {
    static const char *const allowed[] = {"assert", "error", "ipairs", "next", "pairs", "select",
                                          "tonumber", "tostring", "type"};
    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    for (const char *name : allowed) {
        lua_getfield(L, -1, name);
        lua_setfield(L, base, name);
    }
    lua_pop(L, 1);
    static const LibraryFunction own[] = {{"pcall", safe_pcall}, {"xpcall", safe_xpcall},
                                          {"setmetatable", safe_setmetatable},
                                          {"getmetatable", safe_getmetatable}, {nullptr, nullptr}};
    for (const LibraryFunction *entry = own; entry->name; entry++) {
        lua_pushcfunction(L, entry->function);
        lua_setfield(L, base, entry->name);
    }
    lua_pushvalue(L, base);
    replace_functions(L, base_functions);
    lua_pop(L, 1);
}

// Strings keep their methods, but their metatable cannot be had or changed.
static void lock_strings(lua_State *L) {
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 16);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    add_arithmetic(L);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

void open_sandbox(lua_State *L, tw_vm *vm) {
    lua_newtable(L);
    int base = lua_gettop(L);
    open_base(L, base);
    push_string_library(L);
    lock_strings(L);
    push_read_only(L, "string");
    lua_setfield(L, base, "string");
    push_table_library(L);
    push_read_only(L, "table");
    lua_setfield(L, base, "table");
    push_math_library(L);
    take_exact(L);
    lua_pushcfunction(L, host_random);
    lua_setfield(L, -2, "random");
    push_read_only(L, "math");
    lua_setfield(L, base, "math");
    push_utf8_library(L);
    push_read_only(L, "utf8");
    lua_setfield(L, base, "utf8");
    open_records(L, vm);
    open_host(L, vm, base);
    open_numbers(L, base);
    vm->base = luaL_ref(L, LUA_REGISTRYINDEX);
    // The registry is out of reach for scripts, but nothing of the full libraries needs to stay.
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

// A new global of a rule: its own, unless the name belongs to the engine.
static int define_global(lua_State *L) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
        const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
        return luaL_error(L, "\"%s\" belongs to the engine and cannot be assigned", name);
    }
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}

void new_environment(lua_State *L, tw_vm *vm) {
    lua_newtable(L);
    lua_createtable(L, 0, 4);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->base);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_pushcclosure(L, define_global, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

}  // namespace tidewheel
