// What a rule decides about a record: drop, route, reject, emit.
#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

static int current_line(lua_State *L) {
    lua_Debug frame;
    if (!lua_getstack(L, 1, &frame)) return 0;
    lua_getinfo(L, "l", &frame);
    return frame.currentline > 0 ? frame.currentline : 0;
}

VerdictObject *to_verdict(lua_State *L, tw_vm *vm, int index) {
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return nullptr;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->verdict_metatable);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same ? static_cast<VerdictObject *>(lua_touserdata(L, index)) : nullptr;
}

static void push_verdict(
    lua_State *L, Verdict kind, const char *reason, size_t length, const char *field,
    size_t field_length, int line) {
    tw_vm *vm = vm_of(L);
    if (!valid_utf8(reason, length) || !valid_utf8(field, field_length))
        luaL_error(L, "a reason must be valid UTF-8");
    auto *verdict = static_cast<VerdictObject *>(
        lua_newuserdatauv(L, sizeof(VerdictObject) + length + field_length + 2, 0));
    verdict->kind = kind;
    verdict->line = line;
    verdict->reason_length = uint32_t(length);
    verdict->field_length = uint32_t(field_length);
    memcpy(verdict->text, reason, length);
    verdict->text[length] = 0;
    memcpy(verdict->text + length + 1, field, field_length);
    verdict->text[length + 1 + field_length] = 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->verdict_metatable);
    lua_setmetatable(L, -2);
}

// The same reason gives the same object: rules drop and route with few different words.
static int push_cached(lua_State *L, Verdict kind, const char *name) {
    size_t length;
    const char *reason = luaL_checklstring(L, 1, &length);
    if (length == 0) return luaL_error(L, "%s needs a name that is not empty", name);
    tw_vm *vm = vm_of(L);
    if (length > name_limit) {  // No output has such a name, so the record ends here anyway.
        push_verdict(L, Verdict::drop, other_name, sizeof other_name - 1, "", 0, 0);
        return 1;
    }
    size_t slot = ((reinterpret_cast<uintptr_t>(reason) >> 4) ^ (kind == Verdict::route)) & 63;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->verdict_cache);
    if (lua_rawgeti(L, -1, lua_Integer(slot + 1)) == LUA_TUSERDATA) {
        auto *known = static_cast<VerdictObject *>(lua_touserdata(L, -1));
        if (known->kind == kind && known->reason_length == length &&
            !memcmp(known->text, reason, length))
            return 1;
    }
    lua_pop(L, 1);
    push_verdict(L, kind, reason, length, "", 0, 0);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, lua_Integer(slot + 1));
    return 1;
}

static int host_drop(lua_State *L) {
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_pushliteral(L, "dropped");
    }
    return push_cached(L, Verdict::drop, "drop");
}

static int host_route(lua_State *L) { return push_cached(L, Verdict::route, "route"); }

static int host_reject(lua_State *L) {
    size_t length, field_length = 0;
    const char *reason = luaL_optlstring(L, 1, "rejected", &length);
    const char *field = luaL_optlstring(L, 2, "", &field_length);
    push_verdict(L, Verdict::reject, reason, length, field, field_length, current_line(L));
    return 1;
}

// The reason is the time to wait, in milliseconds.
static int host_snooze(lua_State *L) {
    int64_t delay = read_duration(L, 1);
    if (delay == 0)
        return luaL_error(L, "snooze needs a duration such as \"10s\", or a number of seconds");
    char text[24];
    int length = snprintf(text, sizeof text, "%lld", (long long)delay);
    push_verdict(L, Verdict::snooze, text, size_t(length), "", 0, current_line(L));
    return 1;
}

Made *make_record(lua_State *L, tw_vm *vm, int index) {
    Handle *handle = to_handle(L, vm, index);
    if (!handle && lua_type(L, index) != LUA_TTABLE)
        luaL_error(L, "a record is a table or a record, not a %s", luaL_typename(L, index));
    vm->scratch.clear();
    write_lua(L, vm, index, vm->scratch);
    const char *text = vm->scratch.bytes, *end = text + vm->scratch.length;
    if (*skip_space(text, end) != '{') luaL_error(L, "a record is an object, not a list");
    if (vm->scratch.length > vm->config.record_limit)
        luaL_error(L, "the record is longer than the limit of %d bytes",
                   int(vm->config.record_limit));
    Made *made = vm->arena.make<Made>();
    if (!made) raise_memory(L);
    made->text = copy_or_raise(L, vm->arena, vm->scratch.bytes, vm->scratch.length);
    made->length = vm->scratch.length;
    made->output = nullptr;
    return made;
}

static int host_emit(lua_State *L) {
    tw_vm *vm = vm_of(L);
    size_t length = 0;
    const char *output = luaL_optlstring(L, 2, nullptr, &length);
    Made *made = make_record(L, vm, 1);
    if (output && length > name_limit) made->output = "";  // No output has such a name.
    else if (output) made->output = copy_or_raise(L, vm->arena, output, length);
    vm->emitted.append(made);
    return 0;
}

static int verdict_tostring(lua_State *L) {
    auto *verdict = static_cast<VerdictObject *>(lua_touserdata(L, 1));
    static const char *const names[] = {"drop", "route", "reject", "snooze"};
    lua_pushfstring(L, "%s(\"%s\")", names[int(verdict->kind)], verdict->reason());
    return 1;
}

void open_verdicts(lua_State *L, tw_vm *vm, int base) {
    static const luaL_Reg functions[] = {{"drop", host_drop}, {"route", host_route},
                                         {"reject", host_reject}, {"snooze", host_snooze},
                                         {"emit", host_emit}, {nullptr, nullptr}};
    for (const luaL_Reg *entry = functions; entry->name; entry++) {
        lua_pushcfunction(L, entry->func);
        lua_setfield(L, base, entry->name);
    }
    lua_newtable(L);
    lua_pushcfunction(L, verdict_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "verdict");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    vm->verdict_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_createtable(L, 64, 0);
    vm->verdict_cache = luaL_ref(L, LUA_REGISTRYINDEX);
}

}  // namespace tidewheel
