// Event-time timers: `state:timer` sets one, and when event time passes it, on_timer is called as a
// transaction of its own.
#include <cmath>
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

// Timers that timers set may come due at once, so that a chain of them could hold up the stream.
static constexpr uint32_t chain_limit = 1'000'000;

// ---- state:timer

static int64_t timer_time(lua_State *L, int index) {
    constexpr lua_Integer first = -62167219200000, last = 253402300799999;
    lua_Integer at = 0;
    bool known = false;
    if (lua_isinteger(L, index)) {
        at = lua_tointeger(L, index);
        known = true;
    } else if (lua_type(L, index) == LUA_TNUMBER) {
        known = lua_numbertointeger(std::floor(lua_tonumber(L, index)), &at);
    } else if (lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        int64_t milliseconds = 0;
        known = parse_timestamp(text, length, milliseconds);
        at = milliseconds;
    }
    if (!known || at < first || at > last)
        luaL_error(L, "state:timer: %s is no time; give milliseconds since 1970, an RFC 3339 text, "
                      "or nil to cancel", luaL_tolstring(L, index, nullptr));
    return at;
}

int state_timer(lua_State *L) {
    tw_vm *vm = vm_of(L);
    if (vm->stage < 0 || !vm->loaded)
        return luaL_error(L, "state can only be used inside process and on_timer");
    const Stage &stage = vm->stages[size_t(vm->stage)];
    if (stage.on_timer == LUA_NOREF)
        return luaL_error(L, "state:timer: %s defines no function on_timer(name, at, meta)",
                          stage.file.c_str());
    luaL_checkany(L, 3);
    if (vm->state.undo_is_full()) raise_memory(L);
    std::string_view name = state_key(L, 2);
    StateTable &table = vm->state.open(StateKind::timer, uint32_t(vm->stage), vm->partition);
    if (lua_isnil(L, 3)) {
        vm->state.erase(table, name);
        return 0;
    }
    if (!valid_utf8(name.data(), name.size()))
        return luaL_error(L, "state:timer: a name must be valid UTF-8");
    int64_t at = timer_time(L, 3);
    const Timer &timer = vm->timer;
    bool is_own = timer.active && timer.stage == vm->stage;
    if (is_own && at <= timer.at)
        return luaL_error(L, "state:timer: a timer set in on_timer must be later than the one that "
                             "fires");
    if (timer.active && at <= timer.watermark && ++table.chained > chain_limit)
        return luaL_error(L, "state:timer: more than %d timers were set by timers at one time",
                          int(chain_limit));
    if (!vm->state.put(table, vm->state.find(table, name), name, {}, at))
        return luaL_error(L, "state is full: limits.state_memory is reached");
    // At the end of the input everything fires, so a timer that sets itself anew would never end.
    if (is_own && timer.at_end && timer.name == name) vm->state.hold_timer(table, name);
    return 0;
}

// ---- on_timer

int call_timer(lua_State *L, tw_vm *vm) {
    const Stage &stage = vm->stages[size_t(vm->timer.stage)];
    if (stage.on_timer == LUA_NOREF)
        return luaL_error(L, "%s defines no function on_timer(name, at, meta)",
                          stage.file.c_str());
    lua_rawgeti(L, LUA_REGISTRYINDEX, stage.on_timer);
    lua_pushlstring(L, vm->timer.name.data(), vm->timer.name.size());
    lua_pushinteger(L, vm->timer.at);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->meta_object);
    lua_call(L, 3, 1);
    check_budget(L);
    if (lua_isnil(L, 1)) return 0;
    const VerdictObject *verdict = to_verdict(L, vm, 1);
    if (verdict && verdict->kind == Verdict::drop) return 0;
    const char *what = luaL_typename(L, 1);
    static const char *const verdicts[] = {"drop", "route", "reject", "snooze"};
    if (verdict) what = verdicts[int(verdict->kind)];
    return luaL_error(L, "on_timer returned a %s: it returns nothing, and emits records", what);
}

static bool attempt_timer(tw_vm *vm) {
    vm->arena.reset();
    vm->key_text = nullptr;
    vm->partition = vm->timer.partition;
    begin_record(vm);
    Call call{vm, CallKind::timer, uint32_t(vm->timer.stage), nullptr};
    if (run_call(vm, call) != LUA_OK) return false;
    MadeList emitted = vm->emitted;
    vm->pending.extra += int64_t(emitted.count);
    return deliver_made(vm, vm->stages[call.stage], emitted);
}

// A timer's dead letter is a record that came in addition.
static void fail_timer(tw_vm *vm) {
    roll_back(vm);
    trace_failure(vm, [vm] { return attempt_timer(vm); });
    vm->counts.extra++;
    deliver_letter(vm);
}

// Where a timer comes from, as `meta` and dead letters tell it.
static void describe(tw_vm *vm) {
    Timer &timer = vm->timer;
    const char *stage = vm->stages[size_t(timer.stage)].name.c_str();
    timer.place = std::string("timers/") + stage + "/" + std::to_string(timer.partition) + "/" +
                  timer.name;
    char time[32];
    Text text;
    text.append_literal("{\"timer\":");
    write_string(text, timer.name.data(), timer.name.size());
    text.append_literal(",\"at\":\"");
    text.append(time, format_timestamp(timer.at, time));
    text.append_literal("\"}");
    timer.original.assign(text.bytes, text.length);
    free(text.bytes);
    vm->origin = Origin{};
    vm->origin.source = stage;
    vm->origin.file = timer.place.c_str();
    vm->origin.position = uint64_t(timer.at);
    vm->origin.original = timer.original.data();
    vm->origin.original_length = vm->origin.original_full_length = timer.original.size();
}

static void fire(tw_vm *vm, StateNode *node) {
    Timer &timer = vm->timer;
    StateTable &table = *node->second.table;
    timer.name = node->first;
    timer.at = vm->event_time = node->second.expiry;
    timer.stage = int32_t(table.stage);
    timer.partition = table.partition;
    // Gone before it runs, so that it is gone whatever happens then.
    vm->state.erase(table, timer.name);
    vm->state.commit();
    describe(vm);
    if (attempt_timer(vm)) commit(vm);
    else fail_timer(vm);
}

void fire_timers(tw_vm *vm, int64_t watermark) {
    if (watermark > vm->watermark) vm->watermark = watermark;
    watermark = vm->watermark;
    bool at_end = watermark == INT64_MAX;
    StateNode *node = vm->state.due_timer(watermark);
    if (node) {
        Origin origin = vm->origin;
        int64_t event_time = vm->event_time;
        uint32_t partition = vm->partition;
        vm->timer.active = true;
        vm->timer.at_end = at_end;
        vm->timer.watermark = watermark;
        vm->state.forget_chains();
        // The end of the input is no time: what has a ttl must be there when more input comes.
        vm->state.set_clocks_stand(at_end);
        for (; node; node = vm->state.due_timer(watermark)) fire(vm, node);
        vm->state.set_clocks_stand(false);
        vm->timer.active = false;
        vm->origin = origin;
        vm->event_time = event_time;
        vm->partition = partition;
    }
    if (!at_end && watermark != INT64_MIN) vm->state.raise_floor(watermark, true);
}

}  // namespace tidewheel

using namespace tidewheel;

tw_status tw_vm_advance(
    tw_vm *vm, int64_t watermark, tw_buffer *const *sinks, tw_rows *const *rows) {
    constexpr size_t most = 1 << 13;
    vm->sinks = sinks;
    vm->rows = rows;
    vm->origin = Origin{};
    read_clock(vm);
    fire_timers(vm, watermark);
    vm->state.raise_floor(vm->now_milliseconds, false);
    vm->state.sweep(most);
    return memory_status(vm);
}
