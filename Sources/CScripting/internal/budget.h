// What every C function that may run long must ask now and then.
#pragma once
#include <signal.h>

#include <cstddef>

struct lua_State;
namespace tidewheel {
// Raises the (uncatchable) budget error in `L` when the current call has used up its time.
// Cheap: one load and one branch.  Call it at least once per ~1,000 steps of any loop.
void check_budget(lua_State *L);

// Where the call in progress says that it has used up its time; not 0 then. For loops that know no
// Lua: they stop soon and leave half a result, and whoever called them asks `check_budget`.
using StopFlag = const volatile sig_atomic_t *;

// What one native function has walked since it last looked at the budget. Bytes are what counts:
// a step of a loop may be long when its operands are.
struct Toll {
    static constexpr size_t unit = 64 << 10;  // bytes, far less than a millisecond's work

    explicit Toll(lua_State *L) : L(L) {}
    void pay(size_t bytes) {
        walked += bytes;
        if (walked < unit) return;
        walked = 0;
        check_budget(L);
    }

    lua_State *L;
    size_t walked = 0;
};

// Walks a text in pieces, each of them short: `piece` gets the text and length of one.
template <typename Piece>
void walk_pieces(lua_State *L, const char *text, size_t length, Piece piece) {
    for (; length > Toll::unit; text += Toll::unit, length -= Toll::unit) {
        piece(text, Toll::unit);
        check_budget(L);
    }
    piece(text, length);
}
}  // namespace tidewheel
