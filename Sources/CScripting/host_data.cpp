// Host functions over values: json, time, hash, round, now, log, metric, require.
#include <charconv>
#include <cmath>
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

// ---- json

static int json_encode(lua_State *L) {
    tw_vm *vm = vm_of(L);
    luaL_checkany(L, 1);
    vm->scratch.clear();
    write_lua(L, vm, 1, vm->scratch);
    lua_pushlstring(L, vm->scratch.bytes, vm->scratch.length);
    return 1;
}

static int json_decode(lua_State *L) {
    tw_vm *vm = vm_of(L);
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    if (length > vm->config.record_limit) return luaL_error(L, "json.decode: the text is too long");
    Problem problem;
    const char *copy = copy_or_raise(L, vm->arena, text, length);
    bool is_sound = vm->checker.check(copy, length, problem, &vm->budget.breach);
    check_budget(L);
    if (!is_sound)
        return luaL_error(L, "json.decode: %s at byte %d", problem.text, int(problem.offset));
    push_json(L, vm, copy, length);
    return 1;
}

static int json_array(lua_State *L) {
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_getmetatable(L, 1)) return luaL_error(L, "json.array: the table has a metatable");
    lua_settop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->array_metatable);
    lua_setmetatable(L, 1);
    return 1;
}

// ---- time, numbers, hashes

static int time_parse(lua_State *L) {
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    int64_t milliseconds;
    if (parse_timestamp(text, length, milliseconds)) lua_pushinteger(L, milliseconds);
    else lua_pushnil(L);
    return 1;
}

static int time_format(lua_State *L) {
    constexpr lua_Integer first = -62167219200000, last = 253402300799999;
    lua_Integer milliseconds = 0;
    bool known = true;
    use_nearest(L, 1);
    if (lua_isinteger(L, 1)) milliseconds = lua_tointeger(L, 1);
    else known = lua_numbertointeger(std::floor(luaL_checknumber(L, 1)), &milliseconds);
    luaL_argcheck(
        L, known && milliseconds >= first && milliseconds <= last, 1,
        "outside the years 0 to 9999");
    char text[32];
    lua_pushlstring(L, text, format_timestamp(milliseconds, text));
    return 1;
}

static int host_now(lua_State *L) {
    lua_pushinteger(L, vm_of(L)->now_milliseconds);
    return 1;
}

// Rounds half away from zero as people do it, on the shortest decimal text of a number: 1.005 has
// the digits 1005, although the double is a little less.
static double round_decimal(double number, int digits) {
    if (!std::isfinite(number) || number == 0) return number;
    char text[40];
    auto end = std::to_chars(
        text, text + sizeof text, std::fabs(number), std::chars_format::scientific).ptr;
    const char *mark = static_cast<const char *>(memchr(text, 'e', size_t(end - text)));
    int exponent = 0;
    std::from_chars(mark + (mark[1] == '+' ? 2 : 1), end, exponent);
    char kept[40];
    int count = 0;
    for (const char *c = text; c < mark; c++)
        if (*c != '.') kept[count++] = *c;
    const int wanted = exponent + 1 + digits;
    if (wanted >= count) return number;
    if (wanted < 0) return 0;
    uint64_t whole = 0;
    for (int i = 0; i < wanted; i++) whole = whole * 10 + uint64_t(kept[i] - '0');
    if (kept[wanted] >= '5') whole++;
    char *at = std::to_chars(kept, kept + sizeof kept, whole).ptr;
    *at++ = 'e';
    at = std::to_chars(at, kept + sizeof kept, -digits).ptr;
    double result = 0;
    std::from_chars(kept, at, result);
    return std::copysign(result, whole ? number : 1.0);
}

static int host_round(lua_State *L) {
    if (lua_isinteger(L, 1) && luaL_optinteger(L, 2, 0) >= 0) {
        lua_settop(L, 1);
        return 1;
    }
    use_nearest(L, 1);
    double number = luaL_checknumber(L, 1);
    lua_Integer digits = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, digits >= -300 && digits <= 300, 2, "must be between -300 and 300");
    double result = round_decimal(number, int(digits));
    lua_Integer whole;
    if (lua_isnoneornil(L, 2) && lua_numbertointeger(result, &whole)) lua_pushinteger(L, whole);
    else lua_pushnumber(L, result);
    return 1;
}

static int host_hash(lua_State *L) {
    size_t length;
    if (is_exact(L, 1)) {
        luaL_tolstring(L, 1, nullptr);
        lua_replace(L, 1);
    }
    const char *text = luaL_checklstring(L, 1, &length);
    static const char *const algorithms[] = {"sha256", "murmur2", nullptr};
    if (luaL_checkoption(L, 2, "sha256", algorithms) == 1) {
        lua_pushinteger(L, murmur2_partition(text, length, 0x80000000u));
        return 1;
    }
    char hex[65];
    sha256_hex(L, text, length, hex);
    lua_pushlstring(L, hex, 64);
    return 1;
}

// SplitMix64 (Steele, Lea, Flood 2014), seeded by stage and record: the same record draws the
// same numbers in every run.
static uint64_t next_random(tw_vm *vm) {
    if (!vm->random_ready) {
        uint64_t seed = 0xcbf29ce484222325u ^ uint64_t(vm->stage + 1);
        for (const char *c = vm->origin.file; *c; c++)
            seed = (seed ^ uint64_t(static_cast<unsigned char>(*c))) * 0x100000001b3u;
        vm->random_state = seed ^ (vm->origin.position * 0x9E3779B97F4A7C15u);
        vm->random_ready = true;
    }
    uint64_t z = vm->random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

int host_random(lua_State *L) {
    uint64_t bits = next_random(vm_of(L));
    if (lua_gettop(L) == 0) {
        lua_pushnumber(L, double(bits >> 11) * 0x1p-53);
        return 1;
    }
    lua_Integer low = lua_gettop(L) == 1 ? 1 : luaL_checkinteger(L, 1);
    lua_Integer high = luaL_checkinteger(L, lua_gettop(L) == 1 ? 1 : 2);
    luaL_argcheck(L, low <= high, lua_gettop(L) == 1 ? 1 : 2, "interval is empty");
    uint64_t span = uint64_t(high) - uint64_t(low) + 1;
    uint64_t offset = span ? uint64_t((static_cast<unsigned __int128>(bits) * span) >> 64) : bits;
    lua_pushinteger(L, lua_Integer(uint64_t(low) + offset));
    return 1;
}

// ---- log, metric, require

static int host_log(lua_State *L) {
    tw_vm *vm = vm_of(L);
    int count = lua_gettop(L);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (int i = 1; i <= count; i++) {
        if (i > 1) luaL_addchar(&buffer, ' ');
        luaL_tolstring(L, i, nullptr);
        luaL_addvalue(&buffer);
        check_budget(L);
    }
    luaL_pushresult(&buffer);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (length > 8192) length = 8192;
    if (!vm->config.log || (vm->trace.active && !vm->tools.keeps_trace)) return 0;
    const char *stage = vm->stage >= 0 ? vm->stages[size_t(vm->stage)].name.c_str() : "";
    vm->config.log(vm->config.log_context, stage, text, length);
    return 0;
}

static int host_metric(lua_State *L) {
    tw_vm *vm = vm_of(L);
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    use_nearest(L, 2);
    double value = luaL_optnumber(L, 2, 1);
    luaL_argcheck(L, std::isfinite(value), 2, "must be a finite number");
    if (length > name_limit) name = other_name;
    pend(vm, TW_COUNT_METRIC, name, value);
    return 0;
}

static const Module *find_module(const tw_vm *vm, const char *name) {
    for (const Module &module : vm->modules)
        if (module.name == name) return &module;
    return nullptr;
}

static int host_require(lua_State *L) {
    tw_vm *vm = vm_of(L);
    const char *name = luaL_checkstring(L, 1);
    const Module *module = find_module(vm, name);
    if (!module)
        return luaL_error(L, "there is no module \"%s\": require takes a name, rules/lib/%s.lua",
                          name, name);
    if (vm->stage < 0) return luaL_error(L, "require can only be used in a rule");
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->stages[size_t(vm->stage)].modules);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) == LUA_TBOOLEAN)
        return luaL_error(L, "the module \"%s\" requires itself", name);
    if (!lua_isnil(L, -1)) return 1;
    lua_pop(L, 1);
    char chunk[300];
    snprintf(chunk, sizeof chunk, "@%s", module->file.c_str());
    if (luaL_loadbufferx(L, module->text.data(), module->text.size(), chunk, "t") != LUA_OK)
        return lua_error(L);
    new_environment(L, vm);
    lua_setupvalue(L, -2, 1);
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, -4);  // in progress
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1) || lua_isboolean(L, -1))
        return luaL_error(L, "the module \"%s\" returns nothing: end it with return …", name);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    return 1;
}

// ---- registration

void set_functions(lua_State *L, const luaL_Reg *functions) {
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

static int refuse_change(lua_State *L) {
    return luaL_error(L, "this table belongs to the engine and cannot be changed");
}

// A table of functions behind a read-only view, as a field of the base.
void set_library(lua_State *L, int base, const char *name, const luaL_Reg *functions) {
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    lua_newtable(L);
    set_functions(L, functions);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_change);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setfield(L, base, name);
}

void open_host(lua_State *L, tw_vm *vm, int base) {
    static const luaL_Reg functions[] = {
        {"now", host_now}, {"log", host_log}, {"metric", host_metric},
        {"hash", host_hash}, {"round", host_round}, {"require", host_require},
        {nullptr, nullptr}};
    static const luaL_Reg json_functions[] = {
        {"encode", json_encode}, {"decode", json_decode}, {"array", json_array},
        {nullptr, nullptr}};
    static const luaL_Reg time_functions[] = {
        {"parse", time_parse}, {"format", time_format}, {nullptr, nullptr}};
    lua_pushvalue(L, base);
    set_functions(L, functions);
    lua_pop(L, 1);
    open_state(L, base);
    set_library(L, base, "json", json_functions);
    set_library(L, base, "time", time_functions);
    push_null(L);
    lua_setfield(L, base, "null");
    open_verdicts(L, vm, base);
    open_meta(L, vm);
}

}  // namespace tidewheel
