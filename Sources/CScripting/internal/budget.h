// What every C function that may run long must ask now and then.
#pragma once
struct lua_State;
namespace tidewheel {
// Raises the (uncatchable) budget error in `L` when the current call has used up its time.
// Cheap: one load and one branch.  Call it at least once per ~1,000 steps of any loop.
void check_budget(lua_State *L);
}  // namespace tidewheel
