// How long keyed state lives, and by which time.
#include <cmath>

#include "internal/vm.h"

namespace tidewheel {

int64_t state_time(tw_vm *vm) {
    bool is_known = vm->watermark != INT64_MIN && vm->watermark != INT64_MAX;
    if (vm->event_time == INT64_MIN && !is_known) {
        vm->state.raise_floor(vm->now_milliseconds, false);
        return vm->now_milliseconds;
    }
    // While timers catch up, the time is theirs, and not yet that of the watermark.
    vm->state.raise_floor(is_known && !vm->timer.active ? vm->watermark : INT64_MIN, true);
    // Without a time in a stream that has one, such as a dead letter: the watermark's.
    return vm->event_time == INT64_MIN ? vm->watermark : vm->event_time;
}

static constexpr int64_t longest = 10'000 * int64_t(366) * 86'400'000;

static int64_t unit_of(std::string_view name) {
    struct Unit {
        std::string_view name;
        int64_t milliseconds;
    };
    static constexpr Unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
    for (const Unit &unit : units)
        if (unit.name == name) return unit.milliseconds;
    return 0;
}

// 0 when it is no duration.
static int64_t parse_duration(std::string_view text) {
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; digits++)
        if (value <= longest) value = value * 10 + (text[digits] - '0');
    int64_t unit = unit_of(text.substr(digits));
    if (digits == 0 || unit == 0 || value > longest / unit) return 0;
    return value * unit;
}

int64_t read_duration(lua_State *L, int index) {
    if (lua_type(L, index) == LUA_TNUMBER) {
        double milliseconds = std::floor(lua_tonumber(L, index) * 1000);
        return milliseconds >= 1 && milliseconds <= double(longest) ? int64_t(milliseconds) : 0;
    }
    if (lua_type(L, index) != LUA_TSTRING) return 0;
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    return parse_duration({text, length});
}

int64_t read_ttl(lua_State *L, int index, const char *function) {
    if (!lua_istable(L, index))
        luaL_error(L, "%s: options are a table such as {ttl = \"10m\"}, not a %s", function,
                   luaL_typename(L, index));
    int64_t ttl = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        bool known = lua_type(L, -2) == LUA_TSTRING && !strcmp(lua_tostring(L, -2), "ttl");
        if (!known)
            luaL_error(
                L, "%s: unknown option \"%s\"; there is ttl", function,
                lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2));
        ttl = read_duration(L, -1);
        if (ttl == 0)
            luaL_error(L, "%s: ttl = %s is no duration; write \"500ms\", \"2s\", \"10m\", \"2h\", "
                          "\"1d\" or a number of seconds", function,
                       luaL_tolstring(L, -1, nullptr));
        lua_pop(L, 1);
    }
    if (ttl == 0)
        luaL_error(L, "%s: the options are empty; write {ttl = \"10m\"}", function);
    return ttl;
}

}  // namespace tidewheel
