// `meta`, the second argument of process: computed when read, so that it costs nothing unused.
#include "internal/vm.h"

namespace tidewheel {

// The key of the record as it came; a rule may have changed the field since.
static int push_meta_key(lua_State *L, tw_vm *vm) {
    if (!vm->key_text && !vm->key.empty() && !vm->timer.active) {
        Node *record = make_node(vm->arena, vm->root_text, vm->root_length, nullptr);
        if (!record || !index_node(vm->arena, record, vm->nested_fields)) raise_memory(L);
        partition_of(vm, record);
    }
    if (vm->key_text) lua_pushlstring(L, vm->key_text, vm->key_length);
    else lua_pushnil(L);
    return 1;
}

static int meta_index(lua_State *L) {
    tw_vm *vm = vm_of(L);
    const char *name = lua_tostring(L, 2);
    if (!name) return 0;
    auto is = [name](const char *known) { return strcmp(name, known) == 0; };
    if (is("id")) {
        vm->scratch.clear();
        record_id(vm, vm->scratch);
        check_text(L, vm->scratch);
        lua_pushlstring(L, vm->scratch.bytes, vm->scratch.length);
        return 1;
    }
    if (is("source")) lua_pushstring(L, vm->origin.source);
    else if (is("file")) lua_pushstring(L, vm->origin.file);
    else if (is("position")) lua_pushinteger(L, lua_Integer(vm->origin.position));
    else if (is("line")) lua_pushinteger(L, lua_Integer(vm->origin.line));
    else if (is("time")) lua_pushinteger(
        L, vm->event_time == TW_NO_TIME ? vm->now_milliseconds : vm->event_time);
    else if (is("rule_set")) lua_pushstring(L, vm->config.rule_set);
    else if (is("attempt")) lua_pushinteger(L, lua_Integer(vm->origin.attempt));
    else if (is("partition")) lua_pushinteger(L, vm->partition);
    else if (is("stage"))
        lua_pushstring(L, vm->stage >= 0 ? vm->stages[size_t(vm->stage)].name.c_str() : "");
    else if (is("headers")) {
        if (vm->origin.headers_length)
            push_json(L, vm, vm->origin.headers, vm->origin.headers_length);
        else lua_newtable(L);
    }
    else if (is("key")) return push_meta_key(L, vm);
    else lua_pushnil(L);
    return 1;
}

static int meta_newindex(lua_State *L) {
    return luaL_error(L, "meta describes the record and cannot be changed");
}

void open_meta(lua_State *L, tw_vm *vm) {
    lua_newuserdatauv(L, 0, 0);
    lua_newtable(L);
    lua_pushcfunction(L, meta_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, meta_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "meta");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    vm->meta_object = luaL_ref(L, LUA_REGISTRYINDEX);
}

}  // namespace tidewheel
