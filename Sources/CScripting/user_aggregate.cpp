// Aggregates in Lua: a file that returns {init, add, result, merge, retract, version}.
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

static const char *const function_names[] = {"init", "add", "merge", "retract", "result"};

// A misspelt name would make a function that is never called.
static void check_names(lua_State *L, const char *file) {
    static const char *const others[] = {"version", "migrate"};
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        bool known = false;
        for (const char *other : function_names) known = known || !strcmp(name, other);
        for (const char *other : others) known = known || !strcmp(name, other);
        if (!known)
            luaL_error(L, "%s:1: an aggregate has no \"%s\"; there are init, add, merge, retract, "
                          "result, version and migrate", file, name);
    }
}

// `version` says how accumulators are laid out; `migrate(old_version, accumulator)` changes those
// of an older version when they are next used.
static void read_version(lua_State *L, UserAggregate &aggregate) {
    const char *file = aggregate.file.c_str();
    lua_pushliteral(L, "version");
    int type = lua_rawget(L, -2);
    int is_integer = 1;
    aggregate.version = type == LUA_TNIL ? 1 : lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || aggregate.version < 1)
        luaL_error(L, "%s:1: the version of an aggregate must be a whole number from 1 on", file);
    lua_pop(L, 1);
    lua_pushliteral(L, "migrate");
    type = lua_rawget(L, -2);
    if (type == LUA_TFUNCTION) {
        aggregate.migrate = luaL_ref(L, LUA_REGISTRYINDEX);
    } else {
        if (type != LUA_TNIL)
            luaL_error(L, "%s:1: migrate is a %s, not a function", file, lua_typename(L, type));
        lua_pop(L, 1);
    }
}

// Compiles and runs the file once, and keeps the functions of the table that it returns.
void load_user_aggregate(lua_State *L, tw_vm *vm, UserAggregate &aggregate) {
    Stage &stage = vm->stages[aggregate.stage];
    char chunk[300];
    snprintf(chunk, sizeof chunk, "@%s", aggregate.file.c_str());
    if (luaL_loadbufferx(L, aggregate.text.data(), aggregate.text.size(), chunk, "t") != LUA_OK)
        lua_error(L);
    if (stage.modules == LUA_NOREF) {
        lua_newtable(L);
        stage.modules = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    new_environment(L, vm);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    const char *file = aggregate.file.c_str();
    if (!lua_istable(L, -1))
        luaL_error(L, "%s:1: an aggregate returns a table {init = …, add = …, result = …}, "
                      "not a %s", file, luaL_typename(L, -1));
    check_names(L, file);
    for (int i = 0; i < 5; i++) {
        lua_pushstring(L, function_names[i]);
        int type = lua_rawget(L, -2);
        bool needed = i == TW_AGGREGATE_INIT || i == TW_AGGREGATE_ADD || i == TW_AGGREGATE_RESULT;
        if (type != LUA_TFUNCTION && (needed || type != LUA_TNIL))
            luaL_error(L, "%s:1: the aggregate has no function \"%s\"", file, function_names[i]);
        if (type == LUA_TFUNCTION) {
            aggregate.functions[i] = luaL_ref(L, LUA_REGISTRYINDEX);
        } else {
            aggregate.functions[i] = LUA_NOREF;
            lua_pop(L, 1);
        }
    }
    read_version(L, aggregate);
}

// What stands in front of the bytes of accumulators that are not of version 1.
constexpr char version_mark = '\x7f';
constexpr size_t version_size = 1 + sizeof(int64_t);

static void push_accumulator(
    lua_State *L, tw_vm *vm, const UserAggregate &aggregate, const void *bytes, size_t length) {
    const char *text = static_cast<const char *>(bytes);
    int64_t version = 1;
    if (length >= version_size && *text == version_mark) {
        memcpy(&version, text + 1, sizeof version);
        text += version_size;
        length -= version_size;
    }
    if (version == aggregate.version || aggregate.migrate == LUA_NOREF) {
        decode_accumulator(L, vm, text, length);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, aggregate.migrate);
    lua_pushinteger(L, lua_Integer(version));
    decode_accumulator(L, vm, text, length);
    lua_call(L, 2, 1);
    check_budget(L);
    if (lua_isnil(L, -1))
        luaL_error(L, "%s:1: migrate returned nothing: it returns the accumulator",
                   aggregate.file.c_str());
}

static void push_window(lua_State *L, int64_t start, int64_t end) {
    char text[32];
    lua_createtable(L, 0, 4);
    lua_pushlstring(L, text, format_timestamp(start, text));
    lua_setfield(L, -2, "window_start");
    lua_pushlstring(L, text, format_timestamp(end, text));
    lua_setfield(L, -2, "window_end");
    lua_pushinteger(L, start);
    lua_setfield(L, -2, "start_ms");
    lua_pushinteger(L, end);
    lua_setfield(L, -2, "end_ms");
}

static void push_record(lua_State *L, tw_vm *vm, const AggregateCall &call) {
    const char *text = copy_or_raise(
        L, vm->arena, static_cast<const char *>(call.second), call.second_length);
    Node *node = fresh_node(vm, text, call.second_length);
    if (!node) raise_memory(L);
    push_handle(L, vm, node, &vm->arena, vm->generation, 0);
}

void call_user_aggregate(lua_State *L, tw_vm *vm, const AggregateCall &call) {
    const UserAggregate &aggregate = vm->user_aggregates[call.index];
    lua_rawgeti(L, LUA_REGISTRYINDEX, aggregate.functions[call.operation]);
    int arguments = 0;
    if (call.operation != TW_AGGREGATE_INIT) {
        push_accumulator(L, vm, aggregate, call.accumulator, call.length);
        arguments++;
    }
    if (call.operation == TW_AGGREGATE_ADD || call.operation == TW_AGGREGATE_RETRACT) {
        push_record(L, vm, call);
        arguments++;
    } else if (call.operation == TW_AGGREGATE_MERGE) {
        push_accumulator(L, vm, aggregate, call.second, call.second_length);
        arguments++;
    } else if (call.operation == TW_AGGREGATE_RESULT) {
        push_window(L, call.start, call.end);
        arguments++;
    }
    lua_call(L, arguments, 1);
    check_budget(L);
    if (call.operation == TW_AGGREGATE_RESULT) {
        write_lua(L, vm, -1, *call.out);
    } else {
        if (lua_isnil(L, -1))
            luaL_error(L, "%s:1: %s returned nothing: it returns the accumulator",
                       aggregate.file.c_str(), function_names[call.operation]);
        if (aggregate.version != 1) {
            call.out->append(version_mark);
            call.out->append(
                reinterpret_cast<const char *>(&aggregate.version), sizeof aggregate.version);
        }
        encode_accumulator(L, vm, -1, *call.out);
    }
    check_text(L, *call.out);
}

}  // namespace tidewheel

using namespace tidewheel;

int32_t tw_vm_add_user_aggregate(
    tw_vm *vm, int32_t stage, const char *file, const char *text, size_t length) {
    UserAggregate aggregate{uint32_t(stage), file, std::string(text, length), {}, LUA_NOREF, 1};
    for (int &function : aggregate.functions) function = LUA_NOREF;
    vm->user_aggregates.push_back(std::move(aggregate));
    return int32_t(vm->user_aggregates.size()) - 1;
}

bool tw_vm_user_aggregate_has(const tw_vm *vm, int32_t index, int operation) {
    return vm->user_aggregates[size_t(index)].functions[operation] != LUA_NOREF;
}

bool tw_vm_user_aggregate(
    tw_vm *vm, int32_t index, int operation, const void *accumulator, size_t length,
    const void *second, size_t second_length, int64_t start, int64_t end, tw_buffer *out,
    tw_failure *failure) {
    // While a record is in progress its memory must stay; otherwise nothing there is needed.
    if (!vm->record_open) vm->arena.reset();
    AggregateCall aggregate{uint32_t(index), operation,     accumulator, length, second,
                            second_length,   start,         end,         out};
    Call call{vm, CallKind::aggregate, vm->user_aggregates[size_t(index)].stage, nullptr};
    call.aggregate = &aggregate;
    if (run_call(vm, call) == LUA_OK) return true;
    snprintf(failure->message, sizeof failure->message, "%.*s", int(vm->failure.reason_length),
             vm->failure.reason);
    snprintf(failure->file, sizeof failure->file, "%s",
             vm->failure_file[0] ? vm->failure_file
                                 : vm->user_aggregates[size_t(index)].file.c_str());
    failure->line = vm->failure.line;
    failure->is_breach = !strcmp(vm->failure.kind, "budget");
    return false;
}
