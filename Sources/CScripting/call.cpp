// The only door into Lua: every call is protected, timed, and leaves a plain result behind.
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

void note_failure(tw_vm *vm, const char *kind, const char *text, size_t length) {
    vm->error_text.clear();
    vm->error_text.append(text, length < 8192 ? length : 8192);
    while (!valid_utf8(vm->error_text.bytes, vm->error_text.length)) {
        // A message cut inside a character, or made of bytes: keep what people can read.
        for (size_t i = 0; i < vm->error_text.length; i++)
            if (static_cast<unsigned char>(vm->error_text.bytes[i]) >= 0x80)
                vm->error_text.bytes[i] = '?';
    }
    vm->failure.kind = kind;
    vm->failure.reason = vm->failure.error = vm->error_text.bytes;
    vm->failure.reason_length = vm->failure.error_length = vm->error_text.length;
}

static int convert_error(lua_State *L) {
    tw_vm *vm = vm_of(L);
    vm->scratch.clear();
    write_lua(L, vm, 1, vm->scratch);
    lua_pushlstring(L, vm->scratch.bytes, vm->scratch.length);
    return 1;
}

static void find_place(lua_State *L, tw_vm *vm) {
    lua_Debug frame;
    vm->failure_line = 0;
    vm->failure_file[0] = 0;
    for (int level = 1; level < 200 && lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0) continue;
        vm->failure_line = frame.currentline;
        snprintf(vm->failure_file, sizeof vm->failure_file, "%s", frame.short_src);
        return;
    }
}

// The file and line of a breach, from "rules/x.lua:3: ".
static void read_place(tw_vm *vm, const char *place) {
    vm->failure_file[0] = 0;
    vm->failure_line = 0;
    const char *colon = strchr(place, ':');
    if (!colon) return;
    snprintf(vm->failure_file, sizeof vm->failure_file, "%.*s", int(colon - place), place);
    vm->failure_line = int32_t(strtol(colon + 1, nullptr, 10));
}

// Runs where the error was raised, so the place is still known; never runs a script's code.
static int on_error(lua_State *L) {
    tw_vm *vm = vm_of(L);
    find_place(L, vm);
    if (lua_type(L, 1) == LUA_TTABLE || lua_type(L, 1) == LUA_TUSERDATA) {
        lua_pushcfunction(L, convert_error);
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) != LUA_OK)
            lua_pushfstring(L, "(an error object that is a %s)", luaL_typename(L, 1));
        return 1;
    }
    if (!lua_isstring(L, 1))
        lua_pushfstring(L, "(an error object that is a %s)", luaL_typename(L, 1));
    return 1;
}

static void interpret_list(lua_State *L, tw_vm *vm, Call &call) {
    size_t count = lua_rawlen(L, 1);
    lua_pushnil(L);
    size_t entries = 0;
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        if ((++entries & 255) == 0) check_budget(L);
    }
    if (entries != count)
        luaL_error(L, "process returned a table that is no list of records; to replace the record "
                      "return a list of one");
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, lua_Integer(i));
        call.list.append(make_record(L, vm, lua_gettop(L)));
        lua_pop(L, 1);
        check_budget(L);
    }
    call.result = Call::Result::list;
}

static void interpret(lua_State *L, tw_vm *vm, Call &call) {
    if (lua_isnil(L, 1)) return;
    if (Handle *handle = to_handle(L, vm, 1)) {
        if (checked_node(L, handle) == call.record) return;
        call.list.append(make_record(L, vm, 1));
        call.result = Call::Result::list;
        return;
    }
    if (VerdictObject *verdict = to_verdict(L, vm, 1)) {
        call.verdict = verdict;
        switch (verdict->kind) {
        case Verdict::drop: call.result = Call::Result::drop; break;
        case Verdict::route: call.result = Call::Result::route; break;
        case Verdict::reject: call.result = Call::Result::reject; break;
        case Verdict::snooze:
            if (!vm->config.allows_snooze)
                luaL_error(L, "snooze works only in the script of a queue's handler");
            call.result = Call::Result::snooze;
            break;
        }
        return;
    }
    if (lua_istable(L, 1)) {
        interpret_list(L, vm, call);
        return;
    }
    luaL_error(L, "process returned a %s: it returns nothing, the record, a list of records, or "
                  "what drop, route or reject give", is_null(L, 1) ? "null" : luaL_typename(L, 1));
}

static void load_stage(lua_State *L, tw_vm *vm, Stage &stage) {
    char chunk[300];
    snprintf(chunk, sizeof chunk, "@%s", stage.file.c_str());
    if (luaL_loadbufferx(L, stage.text.data(), stage.text.size(), chunk, "t") != LUA_OK)
        lua_error(L);
    new_environment(L, vm);
    lua_pushvalue(L, -1);
    stage.environment = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    stage.modules = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    lua_setupvalue(L, -3, 1);
    lua_insert(L, -2);
    lua_call(L, 0, 0);
    lua_pushliteral(L, "process");
    if (lua_rawget(L, -2) != LUA_TFUNCTION) {
        lua_pushliteral(L, "generate");
        if (lua_rawget(L, -3) != LUA_TFUNCTION)
            luaL_error(L, "%s:1: the file defines no function process(r, meta)",
                       stage.file.c_str());
    }
    lua_Debug function;
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">u", &function);
    stage.takes_meta = function.nparams > 1 || function.isvararg;
    stage.process = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushliteral(L, "on_timer");
    int type = lua_rawget(L, 1);
    if (type == LUA_TFUNCTION) stage.on_timer = luaL_ref(L, LUA_REGISTRYINDEX);
    else if (type != LUA_TNIL)
        luaL_error(L, "%s:1: on_timer is a %s, not a function", stage.file.c_str(),
                   lua_typename(L, type));
    read_migration(L, stage);
}

static int generate_rows(lua_State *L, tw_vm *vm, Call &call) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->stages[0].process);
    lua_pushinteger(L, lua_Integer(call.index));
    lua_call(L, 1, 1);
    check_budget(L);
    auto add = [&](int index) {
        Made *made = vm->arena.make<Made>();
        if (!made) raise_memory(L);
        if (lua_type(L, index) == LUA_TSTRING) {  // a raw line, malformed ones too
            size_t length;
            const char *text = lua_tolstring(L, index, &length);
            made->text = copy_or_raise(L, vm->arena, text, length);
            made->length = length;
        } else {
            made = make_record(L, vm, index);
        }
        call.list.append(made);
    };
    if (lua_isnil(L, 1)) return 0;
    if (lua_istable(L, 1) && lua_rawlen(L, 1) > 0) {
        size_t count = lua_rawlen(L, 1);
        for (size_t i = 1; i <= count; i++) {
            lua_rawgeti(L, 1, lua_Integer(i));
            add(lua_gettop(L));
            lua_pop(L, 1);
            check_budget(L);
        }
    } else {
        add(1);
    }
    return 0;
}

static int protected_call(lua_State *L) {
    Call &call = *static_cast<Call *>(lua_touserdata(L, 1));
    tw_vm *vm = call.vm;
    lua_settop(L, 0);
    if (call.kind == CallKind::load) {
        load_stage(L, vm, vm->stages[call.stage]);
        check_budget(L);
        return 0;
    }
    if (call.kind == CallKind::generate) return generate_rows(L, vm, call);
    if (call.kind == CallKind::load_aggregate) {
        load_user_aggregate(L, vm, vm->user_aggregates[call.index]);
        check_budget(L);
        return 0;
    }
    if (call.kind == CallKind::aggregate) {
        call_user_aggregate(L, vm, *call.aggregate);
        return 0;
    }
    if (call.kind == CallKind::timer) return call_timer(L, vm);
    if (call.kind == CallKind::migrate) {
        call_migration(L, vm, call);
        return 0;
    }
    if (call.kind == CallKind::evaluate) return evaluate(L, vm);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->stages[call.stage].process);
    push_handle(L, vm, call.record, &vm->arena, vm->generation, 0);
    const bool takes_meta = vm->stages[call.stage].takes_meta;
    if (takes_meta) lua_rawgeti(L, LUA_REGISTRYINDEX, vm->meta_object);
    lua_call(L, takes_meta ? 2 : 1, 1);
    check_budget(L);
    interpret(L, vm, call);
    check_budget(L);
    return 0;
}

// A breach outside any line, as while the engine reads what a rule has returned, is told where the
// rule begins.
static void note_beginning(lua_State *L, const Stage &stage, Budget &budget) {
    if (stage.process == LUA_NOREF) return;
    lua_Debug function;
    lua_rawgeti(L, LUA_REGISTRYINDEX, stage.process);
    lua_getinfo(L, ">S", &function);
    snprintf(budget.place, sizeof budget.place, "%s:%d: ", function.short_src,
             function.linedefined);
}

// What the failed call left on the stack becomes the failure; a breach is told in its own words,
// since a script's handlers may have garbled the message.
static void note_error(tw_vm *vm, const Stage &stage, int status) {
    lua_State *L = vm->L;
    Budget &budget = vm->budget;
    bool is_memory = budget.breach == int(Breach::none) ? status == LUA_ERRMEM
                                                        : budget.breach == int(Breach::memory);
    if (is_memory || budget.breach) {
        char message[256];
        if (!*budget.place) note_beginning(L, stage, budget);
        const char *place = budget.place;
        int size;
        if (is_memory)
            size = snprintf(message, sizeof message, "%smemory limit of %zu KiB exceeded", place,
                            vm->config.script_memory >> 10);
        else
            size = snprintf(message, sizeof message, "%stime budget of %d ms exceeded", place,
                            int(budget.allowed / 1'000'000));
        note_failure(vm, "budget", message, size_t(size));
        read_place(vm, place);
    } else {
        size_t length = 0;
        const char *text = lua_tolstring(L, -1, &length);
        note_failure(vm, "error", text ? text : "(no message)", text ? length : 12);
    }
    vm->failure.stage = stage.name.c_str();
    vm->failure.file = vm->failure_file[0] ? vm->failure_file : stage.file.c_str();
    vm->failure.line = vm->failure_line;
    lua_settop(L, 1);
}

[[gnu::always_inline]] static inline int settle_call(tw_vm *vm, const Stage &stage, int status) {
    vm->generation++;
    if (status != LUA_OK) note_error(vm, stage, status);
    // Copies take memory that Lua's collector does not see, so it is told when that has run out.
    bool out_of_memory = status == LUA_ERRMEM || vm->budget.breach == int(Breach::memory);
    end_call(vm);
    if (out_of_memory) lua_gc(vm->L, LUA_GCCOLLECT);
    if (vm->copies_lost) free_lost_copies(vm);
    return status;
}

// Apart, so that a call that nobody looks at does no work for it.
[[gnu::noinline]] static int run_with_tools(tw_vm *vm, const Call &call, const Stage &stage) {
    if (vm->tools.counts_lines) arm_line_counts(vm);
    bool measured = vm->tools.meter != nullptr;
    if (measured) begin_measured(vm);
    begin_call(vm, stage.budget);
    int status = lua_pcall(vm->L, 1, 0, 1);
    vm->budget.in_call = 0;
    if (measured) end_measured(vm, call, status);
    return settle_call(vm, stage, status);
}

int run_call(tw_vm *vm, Call &call) {
    lua_State *L = vm->L;
    const Stage &stage = vm->stages[call.stage];
    vm->stage = int32_t(call.stage);
    vm->random_ready = call.kind == CallKind::generate;
    vm->emitted = MadeList{};
    if (lua_gettop(L) == 0) lua_pushcfunction(L, on_error);
    lua_pushcfunction(L, protected_call);
    lua_pushlightuserdata(L, &call);
    bool traced = vm->trace.active;
    if (traced) arm_trace(vm);
    else if (vm->tools.is_used) return run_with_tools(vm, call, stage);
    begin_call(vm, stage.budget);
    int status = lua_pcall(L, 1, 0, 1);
    vm->budget.in_call = 0;
    if (traced) disarm_trace(vm);
    return settle_call(vm, stage, status);
}

}  // namespace tidewheel
