// Library functions for rules: every loop that a script can make long can be interrupted.
#pragma once
#include <lua.hpp>

#include <cstdint>

namespace tidewheel {

struct LibraryFunction {
    const char *name;
    lua_CFunction function;
};

// What replaces Lua's own functions; both end with {nullptr, nullptr}.
extern const LibraryFunction pattern_functions[];  // find match gmatch gsub rep lower upper
extern const LibraryFunction list_functions[];     // insert remove concat unpack move sort
extern const LibraryFunction text_functions[], utf8_functions[], pack_functions[], base_functions[];

// Puts functions into the table on top of the stack; what stood there under the name is the first
// upvalue of each.
void replace_functions(lua_State *L, const LibraryFunction *functions);

// Makes string, table, math and utf8 of Lua's functions that are bounded, and of ours.
void push_string_library(lua_State *L);
void push_table_library(lua_State *L);
void push_math_library(lua_State *L);
void push_utf8_library(lua_State *L);

}  // namespace tidewheel
