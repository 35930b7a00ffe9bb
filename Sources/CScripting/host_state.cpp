// Host functions over what the engine keeps: state and lookup tables.
#include "internal/lookup.h"
#include "internal/vm.h"

namespace tidewheel {

// ---- state: values are stored as a tag and bytes

static std::string_view state_key(lua_State *L, int index) {
    if (lua_type(L, index) == LUA_TNUMBER || lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        return {text, length};
    }
    luaL_typeerror(L, index, "string or number");
    return {};
}

static void push_stored(lua_State *L, tw_vm *vm, const std::string *stored) {
    if (!stored) {
        lua_pushnil(L);
        return;
    }
    const char *payload = stored->data() + 1;
    size_t length = stored->size() - 1;
    switch ((*stored)[0]) {
    case 'i': {
        int64_t value;
        memcpy(&value, payload, sizeof value);
        lua_pushinteger(L, value);
        break;
    }
    case 'd': {
        double value;
        memcpy(&value, payload, sizeof value);
        lua_pushnumber(L, value);
        break;
    }
    case 's': lua_pushlstring(L, payload, length); break;
    default: push_json(L, vm, payload, length); break;
    }
}

// Writes tag and bytes of the value at `index` into the scratch text.
static void encode_state(lua_State *L, tw_vm *vm, int index) {
    Text &out = vm->scratch;
    out.clear();
    if (lua_isinteger(L, index)) {
        int64_t value = lua_tointeger(L, index);
        out.append('i');
        out.append(reinterpret_cast<const char *>(&value), sizeof value);
    } else if (lua_type(L, index) == LUA_TNUMBER) {
        double value = lua_tonumber(L, index);
        out.append('d');
        out.append(reinterpret_cast<const char *>(&value), sizeof value);
    } else if (lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        out.append('s');
        out.append(text, length);
    } else {
        out.append('j');
        write_lua(L, vm, index, out);
    }
    check_text(L, out);
}

static void need_stage(lua_State *L, tw_vm *vm) {
    if (vm->stage < 0 || !vm->loaded)
        luaL_error(L, "state can only be used inside process");
}

static void store(lua_State *L, tw_vm *vm, std::string_view key) {
    std::string_view value(vm->scratch.bytes, vm->scratch.length);
    if (!vm->state.set(uint32_t(vm->stage), vm->partition, key, value))
        luaL_error(L, "state is full: limits.state_memory is reached");
}

static int state_get(lua_State *L) {
    tw_vm *vm = vm_of(L);
    need_stage(L, vm);
    push_stored(L, vm, vm->state.get(uint32_t(vm->stage), vm->partition, state_key(L, 2)));
    return 1;
}

static int state_set(lua_State *L) {
    tw_vm *vm = vm_of(L);
    need_stage(L, vm);
    std::string_view key = state_key(L, 2);
    if (lua_isnoneornil(L, 3)) {
        vm->state.erase(uint32_t(vm->stage), vm->partition, key);
        return 0;
    }
    encode_state(L, vm, 3);
    store(L, vm, key);
    return 0;
}

static int state_incr(lua_State *L) {
    tw_vm *vm = vm_of(L);
    need_stage(L, vm);
    std::string_view key = state_key(L, 2);
    if (lua_isnoneornil(L, 3)) {
        lua_settop(L, 2);
        lua_pushinteger(L, 1);
    }
    luaL_checknumber(L, 3);
    const std::string *stored = vm->state.get(uint32_t(vm->stage), vm->partition, key);
    if (stored) push_stored(L, vm, stored);
    else lua_pushinteger(L, 0);
    if (lua_type(L, -1) != LUA_TNUMBER)
        return luaL_error(L, "state:incr: the value of \"%s\" is a %s", key.data(),
                          luaL_typename(L, -1));
    lua_pushvalue(L, 3);
    lua_arith(L, LUA_OPADD);
    encode_state(L, vm, lua_gettop(L));
    store(L, vm, key);
    return 1;
}

static int state_delete(lua_State *L) {
    tw_vm *vm = vm_of(L);
    need_stage(L, vm);
    vm->state.erase(uint32_t(vm->stage), vm->partition, state_key(L, 2));
    return 0;
}

// ---- lookup

static void push_cell(
    lua_State *L, tw_vm *vm, const tw_lookup *table, const tw_lookup::Cell *cell) {
    if (!cell || cell->kind < 0) lua_pushnil(L);
    else if (cell->kind == TW_LOOKUP_TEXT)
        lua_pushlstring(L, table->text.data() + cell->offset, cell->length);
    else push_json(L, vm, table->text.data() + cell->offset, cell->length);
}

static tw_lookup *find_lookup(tw_vm *vm, const char *name) {
    for (auto &[known, table] : vm->lookups)
        if (known == name) return table;
    return nullptr;
}

static int host_lookup(lua_State *L) {
    tw_vm *vm = vm_of(L);
    const char *name = luaL_checkstring(L, 1);
    tw_lookup *table = find_lookup(vm, name);
    if (!table) return luaL_error(L, "there is no lookup \"%s\": declare it under lookups:", name);
    if (lua_isnoneornil(L, 2) || is_null(L, 2)) {
        lua_pushnil(L);
        return 1;
    }
    std::string_view key = state_key(L, 2);
    if (lua_isnoneornil(L, 3)) {
        auto row = table->rows.find(key);
        if (row == table->rows.end()) {
            lua_pushnil(L);
            return 1;
        }
        lua_createtable(L, 0, int(table->columns.size()));
        for (size_t i = 0; i < table->columns.size(); i++) {
            lua_pushlstring(L, table->columns[i].data(), table->columns[i].size());
            push_cell(L, vm, table, &table->cells[row->second * table->columns.size() + i]);
            lua_rawset(L, -3);
        }
        return 1;
    }
    size_t length;
    const char *field = luaL_checklstring(L, 3, &length);
    int column = table->find_column({field, length});
    if (column < 0) return luaL_error(L, "the lookup \"%s\" has no field \"%s\"", name, field);
    push_cell(L, vm, table, table->find(key, size_t(column)));
    return 1;
}

void open_state(lua_State *L, int base) {
    static const luaL_Reg functions[] = {{"get", state_get}, {"set", state_set},
                                         {"incr", state_incr}, {"delete", state_delete},
                                         {nullptr, nullptr}};
    set_library(L, base, "state", functions);
    lua_pushcfunction(L, host_lookup);
    lua_setfield(L, base, "lookup");
}

}  // namespace tidewheel
