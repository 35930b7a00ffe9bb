// Values between Lua and JSON text.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

void check_text(lua_State *L, const Text &text) {
    if (text.failed) raise_memory(L);
}

const char *copy_or_raise(lua_State *L, Arena &arena, const char *text, size_t length) {
    char *copy = arena.copy(text, length);
    if (!copy) raise_memory(L);
    return copy;
}

static inline void check_string(lua_State *L, const char *text, size_t length) {
    if (!valid_utf8(text, length)) luaL_error(L, "a string in a record must be valid UTF-8");
    if (length > INT32_MAX) luaL_error(L, "a string in a record is too long");
}

static void check_finite(lua_State *L, double number) {
    if (!std::isfinite(number))
        luaL_error(L, "%s is not a JSON number", std::isnan(number) ? "nan" : "inf");
}

static void write_any(lua_State *L, tw_vm *vm, int index, Text &out, uint32_t depth);

// The comparison may raise, which leaves nothing behind.
void sort_names(lua_State *L, std::string_view *names, size_t count) {
    Toll toll(L);
    std::sort(names, names + count, [&toll](std::string_view left, std::string_view right) {
        toll.pay(std::min(left.size(), right.size()) + 64);
        return left < right;
    });
}

struct TableShape {
    size_t entries, strings;
    bool list;
};

// A table is a list when its keys are 1…n, an object when all of them are strings.
static TableShape inspect_table(lua_State *L, tw_vm *vm, int index) {
    TableShape shape{0, 0, false};
    size_t integers = 0;
    lua_Integer largest = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if ((++shape.entries & 255) == 0) check_budget(L);
        if (lua_type(L, -1) == LUA_TSTRING) {
            shape.strings++;
        } else if (lua_isinteger(L, -1)) {
            lua_Integer key = lua_tointeger(L, -1);
            if (key < 1) luaL_error(L, "a list cannot have the index %d", int(key));
            if (key > largest) largest = key;
            integers++;
        } else {
            luaL_error(L, "a %s cannot name a field", luaL_typename(L, -1));
        }
    }
    if (shape.strings && integers)
        luaL_error(L, "a table with both names and numbers is neither a JSON object nor a list");
    if (size_t(largest) != integers)
        luaL_error(L, "a list with holes: use null for an element without a value");
    shape.list = integers > 0;
    if (shape.entries == 0 && lua_getmetatable(L, index)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, vm->array_metatable);
        shape.list = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    return shape;
}

static void write_list(
    lua_State *L, tw_vm *vm, int index, size_t count, Text &out, uint32_t depth) {
    out.append('[');
    for (size_t i = 1; i <= count; i++) {
        if (i > 1) out.append(',');
        lua_rawgeti(L, index, lua_Integer(i));
        write_any(L, vm, lua_gettop(L), out, depth);
        lua_pop(L, 1);
        check_budget(L);
        check_text(L, out);
    }
    out.append(']');
}

// Fields of a table are written in the order of their names, so that output never depends on
// Lua's hash order.
static void write_object(
    lua_State *L, tw_vm *vm, int index, size_t count, Text &out, uint32_t depth) {
    std::string_view *keys = vm->arena.make<std::string_view>(count ? count : 1);
    if (!keys) raise_memory(L);
    size_t filled = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (filled < count) {
            size_t length;
            const char *text = lua_tolstring(L, -1, &length);
            keys[filled++] = {text, length};
            if ((filled & 255) == 0) check_budget(L);
        }
    }
    sort_names(L, keys, filled);
    out.append('{');
    for (size_t i = 0; i < filled; i++) {
        if (i) out.append(',');
        check_string(L, keys[i].data(), keys[i].size());
        write_string(out, keys[i].data(), keys[i].size());
        out.append(':');
        lua_pushlstring(L, keys[i].data(), keys[i].size());
        lua_rawget(L, index);
        write_any(L, vm, lua_gettop(L), out, depth);
        lua_pop(L, 1);
        check_budget(L);
        check_text(L, out);
    }
    out.append('}');
}

static void write_userdata(lua_State *L, tw_vm *vm, int index, Text &out) {
    if (is_null(L, index)) {
        out.append_literal("null");
    } else if (is_exact(L, index)) {
        std::string_view text = exact_text(L, index);
        out.append(text.data(), text.size());
    } else if (Handle *handle = to_handle(L, vm, index)) {
        write_node(out, checked_node(L, handle));
    } else {
        luaL_error(L, "a %s cannot be stored in a record", luaL_typename(L, index));
    }
}

static void write_any(lua_State *L, tw_vm *vm, int index, Text &out, uint32_t depth) {
    switch (lua_type(L, index)) {
    case LUA_TNIL: out.append_literal("null"); break;
    case LUA_TBOOLEAN:
        lua_toboolean(L, index) ? out.append_literal("true") : out.append_literal("false");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            write_integer(out, lua_tointeger(L, index));
        } else {
            check_finite(L, lua_tonumber(L, index));
            write_number(out, lua_tonumber(L, index));
        }
        break;
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        check_string(L, text, length);
        write_string(out, text, length);
        break;
    }
    case LUA_TTABLE: {
        if (depth >= vm->config.depth_limit)
            luaL_error(L, "a table that contains itself, or is nested more than %d levels deep "
                          "(limits.depth)", int(vm->config.depth_limit));
        luaL_checkstack(L, 8, "a table is nested too deeply");
        TableShape shape = inspect_table(L, vm, index);
        if (shape.list) write_list(L, vm, index, shape.entries, out, depth + 1);
        else write_object(L, vm, index, shape.entries, out, depth + 1);
        break;
    }
    case LUA_TLIGHTUSERDATA:
    case LUA_TUSERDATA: write_userdata(L, vm, index, out); break;
    default: luaL_error(L, "a %s cannot be stored in a record", luaL_typename(L, index));
    }
    check_text(L, out);
}

void check_depth(lua_State *L, tw_vm *vm, const char *text, size_t length, uint32_t above) {
    const uint32_t most = vm->config.depth_limit;
    if (above + length / 2 <= most) return;  // Every level takes two bytes.
    if (above + nesting_depth(text, length) > most)
        luaL_error(L, "a value nested more than %d levels deep (limits.depth)", int(most));
}

void write_lua(lua_State *L, tw_vm *vm, int index, Text &out) {
    const size_t start = out.length;
    write_any(L, vm, lua_absindex(L, index), out, 0);
    check_depth(L, vm, out.bytes + start, out.length - start, 0);
}

Value read_value(lua_State *L, tw_vm *vm, int index, Arena &arena) {
    Value value{};
    switch (lua_type(L, index)) {
    case LUA_TNIL: value.tag = Value::Tag::deleted; return value;
    case LUA_TBOOLEAN:
        value.tag = Value::Tag::boolean;
        value.boolean = lua_toboolean(L, index);
        return value;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            value.tag = Value::Tag::integer;
            value.integer = lua_tointeger(L, index);
        } else {
            value.tag = Value::Tag::number;
            value.number = lua_tonumber(L, index);
            check_finite(L, value.number);
        }
        return value;
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        check_string(L, text, length);
        char *copy = arena.make<char>(length + 1);
        if (!copy) raise_memory(L);
        copy_short(copy, text, length);
        value.tag = Value::Tag::string;
        value.length = uint32_t(length);
        value.text = copy;
        return value;
    }
    default: break;
    }
    if (is_null(L, index)) {
        value.tag = Value::Tag::null;
        return value;
    }
    if (is_exact(L, index)) {
        std::string_view text = exact_text(L, index);
        value.tag = Value::Tag::exact;
        value.length = uint32_t(text.size());
        value.text = copy_or_raise(L, arena, text.data(), text.size());
        return value;
    }
    // Tables and nested values are copied as they are now; later changes there do not show here.
    vm->scratch.clear();
    write_lua(L, vm, index, vm->scratch);
    const char *text = copy_or_raise(L, arena, vm->scratch.bytes, vm->scratch.length);
    value.tag = Value::Tag::node;
    value.node = make_node(arena, text, vm->scratch.length, nullptr);
    if (!value.node) raise_memory(L);
    return value;
}

// ---- JSON text to plain Lua tables (json.decode, state, lookups)

struct Decoder {
    lua_State *L;
    tw_vm *vm;
    const char *end;
    char *buffer;
};

static const char *push_text(Decoder &decoder, const char *at) {
    const char *stop = skip_value(at, decoder.end);
    size_t length = decode_string(
        at + 1, size_t(stop - at) - 2, decoder.buffer, &decoder.vm->budget.breach);
    lua_pushlstring(decoder.L, decoder.buffer, length);
    return stop;
}

void push_number(lua_State *L, const char *at, size_t length) {
    bool whole = true;
    for (size_t i = 0; i < length; i++)
        if (at[i] == '.' || at[i] == 'e' || at[i] == 'E') whole = false;
    check_budget(L);
    if (whole) push_integer(L, at, length);
    else push_decimal(L, at, length);
}

static const char *push_next(Decoder &decoder, const char *at, uint32_t depth) {
    lua_State *L = decoder.L;
    at = skip_space(at, decoder.end);
    if (depth > decoder.vm->config.depth_limit)
        luaL_error(L, "a JSON text is nested too deeply to become tables");
    check_budget(L);
    if (*at == '"') return push_text(decoder, at);
    if (*at == '{' || *at == '[') {
        luaL_checkstack(L, 6, "a JSON text is nested too deeply");
        bool object = *at == '{';
        lua_newtable(L);
        at = skip_space(at + 1, decoder.end);
        for (lua_Integer i = 1; *at != '}' && *at != ']'; i++) {
            if (object) {
                at = push_text(decoder, at);
                at = skip_space(at, decoder.end) + 1;
            }
            at = push_next(decoder, at, depth + 1);
            if (object) lua_rawset(L, -3);
            else lua_rawseti(L, -2, i);
            at = skip_space(at, decoder.end);
            if (*at == ',') at = skip_space(at + 1, decoder.end);
        }
        if (!object) {
            lua_rawgeti(L, LUA_REGISTRYINDEX, decoder.vm->array_metatable);
            lua_setmetatable(L, -2);
        }
        return at + 1;
    }
    const char *stop = skip_value(at, decoder.end);
    if (*at == 't') lua_pushboolean(L, 1);
    else if (*at == 'f') lua_pushboolean(L, 0);
    else if (*at == 'n') push_null(L);
    else push_number(L, at, size_t(stop - at));
    return stop;
}

void push_json(lua_State *L, tw_vm *vm, const char *text, size_t length) {
    const char *copy = copy_or_raise(L, vm->arena, text, length);
    char *buffer = vm->arena.make<char>(length + 1);
    if (!buffer) raise_memory(L);
    Decoder decoder{L, vm, copy + length, buffer};
    luaL_checkstack(L, 8, "JSON");
    push_next(decoder, copy, 0);
}

}  // namespace tidewheel
