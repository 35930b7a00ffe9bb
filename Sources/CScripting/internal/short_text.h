// Short strings that records have again and again, kept as Lua strings: finding one here is
// cheaper than making it.
#pragma once
#include <lua.hpp>

#include <cstdint>

struct tw_vm;

namespace tidewheel {

struct ShortText {
    static constexpr int count = 128;
    static constexpr size_t longest = 16;
    uint64_t head, tail;  // its first and last eight bytes, zeros where there are none
    uint32_t length;
    int reference;        // into the registry; 0: seen once, not kept yet
};

void open_short_texts(lua_State *L, tw_vm *vm);
// Pushes a string of at most `longest` bytes; 16 bytes from `text` on must be readable.
void push_short(lua_State *L, const char *text, size_t length);

}  // namespace tidewheel
