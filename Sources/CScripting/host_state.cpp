// Host functions over what the engine keeps: state and lookup tables.
#include <algorithm>

#include "internal/budget.h"
#include "internal/lookup.h"
#include "internal/vm.h"

namespace tidewheel {

// ---- state: values are stored as a tag and bytes

std::string_view state_key(lua_State *L, int index) {
    if (lua_type(L, index) == LUA_TNUMBER || lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        return {text, length};
    }
    if (is_exact(L, index)) return exact_text(L, index);
    luaL_typeerror(L, index, "string or number");
    return {};
}

static void push_stored(lua_State *L, tw_vm *vm, const StateNode *node) {
    if (!node) {
        lua_pushnil(L);
        return;
    }
    const std::string &stored = node->second.value;
    const char *payload = stored.data() + 1;
    size_t length = stored.size() - 1;
    switch (stored[0]) {
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
static std::string_view encode_state(lua_State *L, tw_vm *vm, int index) {
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
    return {out.bytes, out.length};
}

static void need_stage(lua_State *L, tw_vm *vm) {
    if (vm->stage < 0 || !vm->loaded)
        luaL_error(L, "state can only be used inside process and on_timer");
}

// The values of the running stage in this partition, at the time of the record in progress.
static StateTable &values_now(lua_State *L, tw_vm *vm) {
    need_stage(L, vm);
    if (vm->state.undo_is_full()) raise_memory(L);
    StateTable &table = vm->state.open(StateKind::value, uint32_t(vm->stage), vm->partition);
    vm->state.raise_clock(table, state_time(vm));
    return table;
}

static void full(lua_State *L) { luaL_error(L, "state is full: limits.state_memory is reached"); }

static int state_get(lua_State *L) {
    tw_vm *vm = vm_of(L);
    StateTable &table = values_now(L, vm);
    push_stored(L, vm, vm->state.find(table, state_key(L, 2)));
    return 1;
}

static int state_set(lua_State *L) {
    tw_vm *vm = vm_of(L);
    StateTable &table = values_now(L, vm);
    std::string_view key = state_key(L, 2);
    int64_t expiry = never;
    if (!lua_isnoneornil(L, 4)) expiry = table.clock + read_ttl(L, 4, "state:set");
    if (lua_isnoneornil(L, 3)) {
        vm->state.erase(table, key);
        return 0;
    }
    std::string_view value = encode_state(L, vm, 3);
    if (!vm->state.put(table, nullptr, key, value, expiry)) full(L);
    return 0;
}

static int state_incr(lua_State *L) {
    tw_vm *vm = vm_of(L);
    StateTable &table = values_now(L, vm);
    std::string_view key = state_key(L, 2);
    bool by_one = lua_isnoneornil(L, 3);
    if (!by_one) luaL_checknumber(L, 3);
    StateNode *node = vm->state.find(table, key);
    int64_t expiry = node ? node->second.expiry : never;
    if (!lua_isnoneornil(L, 4)) expiry = table.clock + read_ttl(L, 4, "state:incr");
    if ((!node || node->second.value[0] == 'i') && (by_one || lua_isinteger(L, 3))) {
        char bytes[1 + sizeof(int64_t)] = {'i'};
        uint64_t value = 0;  // unsigned, since Lua's integers wrap around
        if (node) memcpy(&value, node->second.value.data() + 1, sizeof value);
        value += by_one ? 1 : uint64_t(lua_tointeger(L, 3));
        memcpy(bytes + 1, &value, sizeof value);
        if (!vm->state.put(table, node, key, {bytes, sizeof bytes}, expiry)) full(L);
        lua_pushinteger(L, lua_Integer(value));
        return 1;
    }
    if (node) push_stored(L, vm, node);
    else lua_pushinteger(L, 0);
    if (lua_type(L, -1) != LUA_TNUMBER)
        return luaL_error(L, "state:incr: the value of \"%s\" is a %s", key.data(),
                          luaL_typename(L, -1));
    if (by_one) lua_pushinteger(L, 1);
    else lua_pushvalue(L, 3);
    lua_arith(L, LUA_OPADD);
    std::string_view sum = encode_state(L, vm, lua_gettop(L));
    if (!vm->state.put(table, node, key, sum, expiry)) full(L);
    return 1;
}

static int state_delete(lua_State *L) {
    tw_vm *vm = vm_of(L);
    StateTable &table = values_now(L, vm);
    vm->state.erase(table, state_key(L, 2));
    return 0;
}

static int state_keys(lua_State *L) {
    tw_vm *vm = vm_of(L);
    StateTable &table = values_now(L, vm);
    // In the arena, because an error of Lua would leave a vector behind.
    std::string_view *keys = vm->arena.make<std::string_view>(table.entries.size() + 1);
    if (!keys) raise_memory(L);
    size_t count = 0;
    Toll toll(L);
    table.entries.for_each([&](const StateNode &node) {
        toll.pay(64);
        if (node.second.expiry > table.clock) keys[count++] = node.first;
    });
    sort_names(L, keys, count);
    lua_createtable(L, int(std::min(count, size_t(INT32_MAX))), 0);
    for (size_t i = 0; i < count; i++) {
        toll.pay(keys[i].size() + 64);
        lua_pushlstring(L, keys[i].data(), keys[i].size());
        lua_rawseti(L, -2, lua_Integer(i) + 1);
    }
    return 1;
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
                                         {"keys", state_keys}, {"timer", state_timer},
                                         {nullptr, nullptr}};
    set_library(L, base, "state", functions);
    lua_pushcfunction(L, host_lookup);
    lua_setfield(L, base, "lookup");
}

}  // namespace tidewheel
