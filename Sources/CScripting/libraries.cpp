// Which of Lua's own functions rules get: those whose work is a few milliseconds at most, whatever
// their arguments are.
#include "internal/libraries.h"

namespace tidewheel {

// Pushes a table of the named members of a standard library.
static void push_members(
    lua_State *L, const char *library, lua_CFunction open, const char *const *names) {
    constexpr int roomy = 64;  // More room than needed, so that functions are found at once.
    luaL_requiref(L, library, open, 0);
    lua_createtable(L, 0, roomy);
    for (; *names; names++) {
        lua_getfield(L, -2, *names);
        lua_setfield(L, -2, *names);
    }
    lua_remove(L, -2);
}

static void add_functions(lua_State *L, const LibraryFunction *functions) {
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->function);
        lua_setfield(L, -2, functions->name);
    }
}

void push_string_library(lua_State *L) {
    static const char *const names[] = {"byte", "char", "format", "len", "sub", nullptr};
    push_members(L, LUA_STRLIBNAME, luaopen_string, names);
    replace_functions(L, text_functions);
    add_functions(L, pattern_functions);
}

void push_table_library(lua_State *L) {
    static const char *const names[] = {nullptr};
    push_members(L, LUA_TABLIBNAME, luaopen_table, names);
    replace_functions(L, pack_functions);
    add_functions(L, list_functions);
}

void push_math_library(lua_State *L) {
    static const char *const names[] = {
        "abs", "acos", "asin", "atan", "ceil", "cos", "exp", "floor", "fmod", "huge", "log", "max",
        "maxinteger", "min", "mininteger", "modf", "pi", "sin", "sqrt", "tan", "tointeger", "type",
        "ult", nullptr};
    push_members(L, LUA_MATHLIBNAME, luaopen_math, names);
}

void push_utf8_library(lua_State *L) {
    static const char *const names[] = {"char", "charpattern", "codepoint", "codes", "len",
                                        "offset", nullptr};
    push_members(L, LUA_UTF8LIBNAME, luaopen_utf8, names);
    replace_functions(L, utf8_functions);
}

}  // namespace tidewheel
