#include "internal/short_text.h"

#include "internal/vm.h"

namespace tidewheel {

void open_short_texts(lua_State *L, tw_vm *vm) {
    for (ShortText &entry : vm->short_texts) {
        lua_pushboolean(L, 0);
        entry = ShortText{0, 0, UINT32_MAX, -luaL_ref(L, LUA_REGISTRYINDEX)};
    }
}

// The first bytes of a word, zeros behind them.
static uint64_t leading(const char *text, size_t length) {
    if (length == 0) return 0;
    uint64_t word;
    memcpy(&word, text, 8);
    return length < 8 ? word & (UINT64_MAX >> (64 - 8 * length)) : word;
}

void push_short(lua_State *L, const char *text, size_t length) {
    const uint64_t head = leading(text, length);
    const uint64_t tail = length > 8 ? leading(text + 8, length - 8) : 0;
    const uint64_t mixed = (head ^ tail * 0xC2B2AE3D27D4EB4Fu ^ length) * 0x9E3779B97F4A7C15u;
    ShortText &entry = vm_of(L)->short_texts[(mixed >> 40) % ShortText::count];
    const bool same = entry.head == head && entry.tail == tail && entry.length == length;
    if (same && entry.reference > 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, entry.reference);
        return;
    }
    lua_pushlstring(L, text, length);
    if (same) {  // Seen twice in a row: such strings come again.
        entry.reference = -entry.reference;
        lua_pushvalue(L, -1);
        lua_rawseti(L, LUA_REGISTRYINDEX, entry.reference);
    } else {
        entry = ShortText{head, tail, uint32_t(length),
                          entry.reference > 0 ? -entry.reference : entry.reference};
    }
}

}  // namespace tidewheel
