// Exact numbers: those that neither an integer of Lua nor 17 digits of a double hold keep their
// text. Arithmetic and order use the nearest double.
#include <algorithm>
#include <cmath>

#include "internal/budget.h"
#include "internal/libraries.h"
#include "internal/vm.h"

namespace tidewheel {

struct Exact {
    double nearest;
    uint32_t length;
    char text[];
};

// A number as its digits without zeros at either end, and where the point stands before them:
// equal ones are the same number. Points into the text that it was made of.
struct Decimal {
    bool negative = false;
    const char *text = nullptr;
    size_t first = 0, last = 0;  // of the digits that are not zero, a point between them included
    int64_t exponent = 0;        // of ten, for 0.DIGITS; 0 for zero

    Decimal(const char *number, size_t length) : text(number) {
        size_t at = 0;
        negative = length && number[0] == '-';
        at += negative;
        const size_t begin = at;
        while (at < length && number[at] != 'e' && number[at] != 'E') at++;
        const size_t end = at;
        int64_t written = 0;
        if (at < length) written = read_exponent(number + at + 1, length - at - 1);
        const char *point = static_cast<const char *>(memchr(number + begin, '.', end - begin));
        const size_t whole = point ? size_t(point - number) : end;
        first = begin;
        while (first < end && (number[first] == '0' || number[first] == '.')) first++;
        last = end;
        while (last > first && (number[last - 1] == '0' || number[last - 1] == '.')) last--;
        if (first == last) {
            negative = false;
            return;
        }
        const int64_t before = int64_t(whole) - int64_t(first);
        exponent = written + (before > 0 ? before : before + 1);
    }

    static int64_t read_exponent(const char *text, size_t length) {
        bool negative = length && *text == '-';
        size_t at = length && (*text == '-' || *text == '+') ? 1 : 0;
        int64_t value = 0;
        // A text of a billion digits cannot move the point further than this.
        for (; at < length; at++) value = std::min(value * 10 + (text[at] - '0'), int64_t(1) << 40);
        return negative ? -value : value;
    }

    size_t digits() const {
        const bool has_point = memchr(text + first, '.', last - first) != nullptr;
        return last - first - (has_point ? 1 : 0);
    }

    bool equals(const Decimal &other) const {
        if (negative != other.negative || exponent != other.exponent) return false;
        size_t left = first, right = other.first;
        while (left < last && right < other.last) {
            if (text[left] == '.') left++;
            else if (other.text[right] == '.') right++;
            else if (text[left++] != other.text[right++]) return false;
        }
        return left == last && right == other.last;
    }
};

static const Exact *to_exact(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return nullptr;
    const void *table = lua_topointer(L, -1);
    lua_pop(L, 1);
    if (table != vm_of(L)->exact_table) return nullptr;
    return static_cast<const Exact *>(lua_touserdata(L, index));
}

bool is_exact(lua_State *L, int index) { return to_exact(L, index) != nullptr; }

std::string_view exact_text(lua_State *L, int index) {
    const Exact *exact = to_exact(L, index);
    return exact ? std::string_view(exact->text, exact->length) : std::string_view();
}

// The same text is the same object, so that it can be the key of a table.
static void push_exact(lua_State *L, const char *text, size_t length, double nearest) {
    tw_vm *vm = vm_of(L);
    check_budget(L);
    luaL_checkstack(L, 4, nullptr);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->exact_values);
    lua_pushlstring(L, text, length);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
        lua_pop(L, 1);
        auto *exact = static_cast<Exact *>(lua_newuserdatauv(L, sizeof(Exact) + length, 0));
        exact->nearest = nearest;
        exact->length = uint32_t(length);
        memcpy(exact->text, text, length);
        lua_rawgeti(L, LUA_REGISTRYINDEX, vm->exact_metatable);
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

void push_decimal(lua_State *L, const char *text, size_t length) {
    constexpr size_t held = 17;
    double nearest = parse_decimal(text, length);
    bool fits = std::isfinite(nearest);
    if (fits && length > held) fits = Decimal(text, length).digits() <= held;
    if (__builtin_expect(fits, 1)) lua_pushnumber(L, nearest);
    else push_exact(L, text, length, nearest);
}

void push_integer(lua_State *L, const char *text, size_t length) {
    int64_t integer;
    if (__builtin_expect(parse_integer(text, length, integer), 1)) lua_pushinteger(L, integer);
    else push_exact(L, text, length, parse_decimal(text, length));
}

bool use_nearest(lua_State *L, int index) {
    const Exact *exact = to_exact(L, index);
    if (!exact) return false;
    lua_pushnumber(L, exact->nearest);
    lua_replace(L, index);
    return true;
}

// ---- metamethods

static int exact_tostring(lua_State *L) {
    const Exact *exact = to_exact(L, 1);
    lua_pushlstring(L, exact->text, exact->length);
    return 1;
}

static int exact_equal(lua_State *L) {
    const Exact *left = to_exact(L, 1), *right = to_exact(L, 2);
    check_budget(L);
    lua_pushboolean(L, left && right &&
                           Decimal(left->text, left->length)
                               .equals(Decimal(right->text, right->length)));
    return 1;
}

static int exact_concat(lua_State *L) {
    for (int i = 1; i <= 2; i++) {
        const int type = lua_type(L, i);
        if (type != LUA_TSTRING && type != LUA_TNUMBER && !is_exact(L, i))
            return luaL_error(L, "attempt to concatenate a %s value", luaL_typename(L, i));
        luaL_tolstring(L, i, nullptr);
    }
    lua_concat(L, 2);
    return 1;
}

static int compare(lua_State *L, int operation) {
    for (int i = 1; i <= 2; i++)
        if (!use_nearest(L, i) && lua_type(L, i) != LUA_TNUMBER)
            return luaL_error(
                L, "attempt to compare number with %s", luaL_typename(L, i));
    lua_pushboolean(L, lua_compare(L, 1, 2, operation));
    return 1;
}

static int exact_less(lua_State *L) { return compare(L, LUA_OPLT); }
static int exact_less_equal(lua_State *L) { return compare(L, LUA_OPLE); }

// Pushes the name of the field that came with this text, for the message of an error.
static bool push_field_holding(lua_State *L, tw_vm *vm, std::string_view text) {
    if (!vm->root_text || !vm->root_length || *vm->root_text != '{') return false;
    FieldList fields;
    bool found = false;
    if (index_members(vm->root_text, vm->root_length, fields)) {
        for (uint32_t i = 0; i < fields.count && !found; i++) {
            const Field &field = fields.items[i];
            found = field.kind == Kind::string && !field.value_escaped && !field.key_escaped &&
                    field.value_length == text.size() + 2 &&
                    !memcmp(vm->root_text + field.value_offset + 1, text.data(), text.size());
            // Nothing is pushed before the list is freed, since that may raise an error.
            if (found) fields.items[0] = field;
        }
    }
    const Field name = found ? fields.items[0] : Field{};
    free(fields.items);
    if (found) lua_pushlstring(L, vm->root_text + name.key_offset, name.key_length);
    return found;
}

static int refuse_arithmetic(lua_State *L, int index) {
    if (lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        if (push_field_holding(L, vm_of(L), {text, length}))
            return luaL_error(L, "attempt to perform arithmetic on a string value (field '%s')",
                              lua_tostring(L, -1));
    }
    return luaL_error(L, "attempt to perform arithmetic on a %s value",
                      is_null(L, index) ? "null" : luaL_typename(L, index));
}

// Makes a number of the operand at `index` where it stands for one.
static bool to_operand(lua_State *L, int index) {
    if (lua_type(L, index) == LUA_TNUMBER || use_nearest(L, index)) return true;
    if (lua_type(L, index) != LUA_TSTRING) return false;
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    constexpr size_t longest = 200;  // As in Lua, which reads no longer number.
    if (length > longest || lua_stringtonumber(L, text) != length + 1) return false;
    lua_replace(L, index);
    return true;
}

// A text that spells a number takes part in arithmetic, as in Lua. Upvalues: the operation, and the
// name of its metamethod.
static int arithmetic(lua_State *L) {
    const int operation = int(lua_tointeger(L, lua_upvalueindex(1)));
    // The other operand may know what to do.
    if (lua_type(L, 2) == LUA_TTABLE && lua_getmetatable(L, 2)) {
        lua_pop(L, 1);
        if (luaL_getmetafield(L, 2, lua_tostring(L, lua_upvalueindex(2))) != LUA_TNIL) {
            lua_insert(L, 1);
            lua_settop(L, 3);
            lua_call(L, 2, 1);
            return 1;
        }
    }
    lua_settop(L, 2);
    for (int i = 1; i <= 2; i++)
        if (!to_operand(L, i)) return refuse_arithmetic(L, i);
    if (operation == LUA_OPUNM) lua_settop(L, 1);
    lua_arith(L, operation);
    return 1;
}

void add_arithmetic(lua_State *L) {
    static const struct {
        const char *name;
        int operation;
    } operations[] = {{"__add", LUA_OPADD}, {"__sub", LUA_OPSUB},   {"__mul", LUA_OPMUL},
                      {"__mod", LUA_OPMOD}, {"__pow", LUA_OPPOW},   {"__div", LUA_OPDIV},
                      {"__unm", LUA_OPUNM}, {"__idiv", LUA_OPIDIV}};
    for (const auto &entry : operations) {
        lua_pushinteger(L, entry.operation);
        lua_pushstring(L, entry.name);
        lua_pushcclosure(L, arithmetic, 2);
        lua_setfield(L, -2, entry.name);
    }
}

void open_exact(lua_State *L, tw_vm *vm) {
    static const luaL_Reg methods[] = {
        {"__tostring", exact_tostring}, {"__eq", exact_equal},      {"__concat", exact_concat},
        {"__lt", exact_less},           {"__le", exact_less_equal}, {nullptr, nullptr}};
    lua_createtable(L, 0, 16);
    luaL_setfuncs(L, methods, 0);
    add_arithmetic(L);
    lua_pushliteral(L, "exact number");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    vm->exact_table = lua_topointer(L, -1);
    vm->exact_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    vm->exact_values = luaL_ref(L, LUA_REGISTRYINDEX);
}

// ---- libraries

// Upvalue: a function of Lua that takes numbers.
static int with_nearest(lua_State *L) {
    for (int i = lua_gettop(L); i >= 1; i--) use_nearest(L, i);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static int math_type(lua_State *L) {
    if (is_exact(L, 1)) {
        lua_pushliteral(L, "exact");
        return 1;
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void take_exact(lua_State *L) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_CFunction function = lua_tocfunction(L, -1);
        lua_pop(L, 1);
        if (!function) continue;
        const bool is_type = !strcmp(lua_tostring(L, -1), "type");
        lua_pushvalue(L, -1);
        lua_pushcfunction(L, function);
        lua_pushcclosure(L, is_type ? math_type : with_nearest, 1);
        lua_rawset(L, -4);
    }
}

static int is_number(lua_State *L) {
    luaL_checkany(L, 1);
    lua_pushboolean(L, lua_type(L, 1) == LUA_TNUMBER || is_exact(L, 1));
    return 1;
}

void open_numbers(lua_State *L, int base) {
    lua_pushcfunction(L, is_number);
    lua_setfield(L, base, "is_number");
    lua_pushcfunction(L, record_copy);
    lua_setfield(L, base, "copy");
}

}  // namespace tidewheel
