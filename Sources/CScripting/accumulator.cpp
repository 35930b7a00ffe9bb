// Accumulators of aggregates in Lua as bytes: exact, without references to anything alive.
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

static void append_count(Text &out, size_t count) {
    uint32_t value = uint32_t(count);
    out.append(reinterpret_cast<const char *>(&value), sizeof value);
}

template <typename Number>
static void append_number(Text &out, char tag, Number value) {
    out.append(tag);
    out.append(reinterpret_cast<const char *>(&value), sizeof value);
}

static void append_bytes(Text &out, char tag, const char *text, size_t length) {
    out.append(tag);
    append_count(out, length);
    out.append(text, length);
}

static void encode(lua_State *L, tw_vm *vm, int index, Text &out, int depth);

static void encode_pair(lua_State *L, tw_vm *vm, Text &out, int depth) {  // key and value on top
    encode(L, vm, lua_gettop(L) - 1, out, depth);
    encode(L, vm, lua_gettop(L), out, depth);
    check_budget(L);
    check_text(L, out);
}

// Text keys in their order, so that equal tables have equal bytes; then all other keys.
static void encode_table(lua_State *L, tw_vm *vm, int index, Text &out, int depth) {
    size_t entries = 0, texts = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        texts += lua_type(L, -1) == LUA_TSTRING;
        if ((++entries & 255) == 0) check_budget(L);
    }
    bool is_list = false;
    if (lua_getmetatable(L, index)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, vm->array_metatable);
        is_list = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    out.append(is_list ? 'a' : 't');
    append_count(out, entries);
    std::string_view *keys = vm->arena.make<std::string_view>(texts ? texts : 1);
    if (!keys) raise_memory(L);
    size_t filled = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) == LUA_TSTRING && filled < texts) {
            size_t length;
            const char *text = lua_tolstring(L, -2, &length);
            keys[filled++] = {text, length};
            if ((filled & 255) == 0) check_budget(L);
        } else {
            encode_pair(L, vm, out, depth + 1);
        }
        lua_pop(L, 1);
    }
    sort_names(L, keys, filled);
    for (size_t i = 0; i < filled; i++) {
        lua_pushlstring(L, keys[i].data(), keys[i].size());
        lua_pushvalue(L, -1);
        lua_rawget(L, index);
        encode_pair(L, vm, out, depth + 1);
        lua_pop(L, 2);
    }
}

static void encode(lua_State *L, tw_vm *vm, int index, Text &out, int depth) {
    if (depth > int(vm->config.depth_limit))
        luaL_error(L, "an accumulator that contains itself, or is nested too deeply");
    luaL_checkstack(L, 8, "an accumulator is nested too deeply");
    switch (lua_type(L, index)) {
    case LUA_TNIL: out.append('0'); break;
    case LUA_TBOOLEAN: out.append(lua_toboolean(L, index) ? 'T' : 'F'); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) append_number(out, 'i', lua_tointeger(L, index));
        else append_number(out, 'd', lua_tonumber(L, index));
        break;
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        append_bytes(out, 's', text, length);
        break;
    }
    case LUA_TTABLE: encode_table(L, vm, index, out, depth); break;
    default:
        if (is_null(L, index)) {
            out.append('N');
        } else if (is_exact(L, index)) {
            std::string_view text = exact_text(L, index);
            append_bytes(out, 'j', text.data(), text.size());
        } else if (Handle *handle = to_handle(L, vm, index)) {
            vm->scratch.clear();
            write_node(vm->scratch, checked_node(L, handle));
            append_bytes(out, 'j', vm->scratch.bytes, vm->scratch.length);
        } else {
            luaL_error(L, "an accumulator cannot keep a %s", luaL_typename(L, index));
        }
    }
    check_text(L, out);
}

void encode_accumulator(lua_State *L, tw_vm *vm, int index, Text &out) {
    encode(L, vm, lua_absindex(L, index), out, 0);
}

// ---- and back

struct Reader {
    const char *at, *end;

    template <typename Number>
    Number number() {
        Number value{};
        if (size_t(end - at) >= sizeof value) memcpy(&value, at, sizeof value);
        at += sizeof value;
        return value;
    }
};

static void decode(lua_State *L, tw_vm *vm, Reader &reader, int depth) {
    if (depth > int(vm->config.depth_limit) || reader.at >= reader.end)
        luaL_error(L, "an accumulator cannot be read back");
    luaL_checkstack(L, 8, "an accumulator is nested too deeply");
    char tag = *reader.at++;
    switch (tag) {
    case '0': lua_pushnil(L); return;
    case 'T': lua_pushboolean(L, 1); return;
    case 'F': lua_pushboolean(L, 0); return;
    case 'N': push_null(L); return;
    case 'i': lua_pushinteger(L, reader.number<lua_Integer>()); return;
    case 'd': lua_pushnumber(L, reader.number<lua_Number>()); return;
    default: break;
    }
    uint32_t count = reader.number<uint32_t>();
    if (count > size_t(reader.end - reader.at)) luaL_error(L, "an accumulator cannot be read back");
    if (tag == 's' || tag == 'j') {
        if (tag == 's') lua_pushlstring(L, reader.at, count);
        else push_json(L, vm, reader.at, count);
        reader.at += count;
        return;
    }
    lua_createtable(L, 0, int(count < 64 ? count : 64));
    for (uint32_t i = 0; i < count; i++) {
        decode(L, vm, reader, depth + 1);
        decode(L, vm, reader, depth + 1);
        lua_rawset(L, -3);
        check_budget(L);
    }
    if (tag != 'a') return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->array_metatable);
    lua_setmetatable(L, -2);
}

void decode_accumulator(lua_State *L, tw_vm *vm, const char *bytes, size_t length) {
    Reader reader{bytes, bytes + length};
    decode(L, vm, reader, 0);
}

}  // namespace tidewheel
