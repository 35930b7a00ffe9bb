// Debian's Lua 5.4, found through pkg-config; only CScripting includes it.
#include_next <lua.h>
