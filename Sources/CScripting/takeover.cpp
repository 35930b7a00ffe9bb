// A new version of the rules takes over from the old one between two batches, on the thread of the
// old one: it gets the state, the time and the counters, and changes the state if it wants to.
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

void read_migration(lua_State *L, Stage &stage) {
    lua_pushliteral(L, "state_version");
    int type = lua_rawget(L, 1);
    if (type != LUA_TNIL) {
        int is_integer = 0;
        stage.state_version = lua_tointegerx(L, -1, &is_integer);
        if (type != LUA_TNUMBER || !is_integer || stage.state_version < 1)
            luaL_error(L, "%s:1: state_version must be a whole number from 1 on",
                       stage.file.c_str());
    }
    lua_pushliteral(L, "migrate");
    type = lua_rawget(L, 1);
    if (type == LUA_TFUNCTION) stage.migrate = luaL_ref(L, LUA_REGISTRYINDEX);
    else if (type != LUA_TNIL)
        luaL_error(L, "%s:1: migrate is a %s, not a function", stage.file.c_str(),
                   lua_typename(L, type));
}

void call_migration(lua_State *L, tw_vm *vm, const Call &call) {
    const Stage &stage = vm->stages[call.stage];
    lua_rawgeti(L, LUA_REGISTRYINDEX, stage.migrate);
    lua_pushinteger(L, lua_Integer(call.index));
    lua_rawgeti(L, LUA_REGISTRYINDEX, stage.environment);
    lua_getfield(L, -1, "state");
    lua_remove(L, -2);
    lua_call(L, 2, 0);
    check_budget(L);
}

static tw_status refuse(const char *text, size_t length) {
    tw_status status{};
    status.code = TW_ERROR;
    snprintf(status.message, sizeof status.message, "%.*s", int(length), text);
    return status;
}

}  // namespace tidewheel

using namespace tidewheel;

bool tw_vm_take_over(tw_vm *vm, tw_vm *old) {
    stop_timer(vm);
    if (!start_timer(vm)) return false;
    std::swap(vm->state, old->state);
    std::swap(vm->watermarks, old->watermarks);
    std::swap(vm->watermark, old->watermark);
    std::swap(vm->fired_until, old->fired_until);
    std::swap(vm->time_reached, old->time_reached);
    std::swap(vm->counts, old->counts);
    std::swap(vm->dropped, old->dropped);
    std::swap(vm->dead, old->dead);
    std::swap(vm->names_said, old->names_said);
    std::swap(vm->metrics, old->metrics);
    std::swap(vm->unconnected, old->unconnected);
    return true;
}

int64_t tw_vm_state_version(const tw_vm *vm, int32_t stage) {
    return vm->stages[size_t(stage)].state_version;
}

bool tw_vm_has_migrate(const tw_vm *vm, int32_t stage) {
    return vm->stages[size_t(stage)].migrate != LUA_NOREF;
}

bool tw_vm_has_state(const tw_vm *vm, int32_t stage) {
    return !vm->state.partitions(uint32_t(stage)).empty();
}

tw_status tw_vm_migrate(tw_vm *vm, int32_t stage, int64_t old_version) {
    const Stage &rule = vm->stages[size_t(stage)];
    if (rule.migrate == LUA_NOREF) return tw_status{};
    read_clock(vm);
    vm->event_time = TW_NO_TIME;
    for (uint32_t partition : vm->state.partitions(uint32_t(stage))) {
        vm->partition = partition;
        vm->arena.reset();
        Call call{vm, CallKind::migrate, uint32_t(stage), nullptr};
        call.index = uint64_t(old_version);
        if (run_call(vm, call) == LUA_OK) continue;
        // What was done in other partitions goes with it: they are one transaction.
        vm->state.roll_back();
        return refuse(vm->failure.reason, vm->failure.reason_length);
    }
    vm->state.commit();
    return tw_status{};
}
