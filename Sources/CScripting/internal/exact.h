// Numbers that neither an integer of Lua nor 17 digits of a double hold.
#pragma once
#include <lua.hpp>

#include <string_view>

struct tw_vm;

namespace tidewheel {

void open_exact(lua_State *L, tw_vm *vm);
void open_numbers(lua_State *L, int base);
void push_integer(lua_State *L, const char *text, size_t length);  // of JSON
void push_decimal(lua_State *L, const char *text, size_t length);
bool is_exact(lua_State *L, int index);
std::string_view exact_text(lua_State *L, int index);  // empty when it is none
bool use_nearest(lua_State *L, int index);  // replaces an exact number by its nearest double
void add_arithmetic(lua_State *L);          // of texts that spell numbers, to a metatable
void take_exact(lua_State *L);              // lets the functions of a library take exact numbers
void push_number(lua_State *L, const char *text, size_t length);

}  // namespace tidewheel
