// Debian's Lua 5.4, found through pkg-config; only CScripting and its tests include it.
#include_next <lua.h>

#include <lauxlib.h>
#include <lualib.h>
