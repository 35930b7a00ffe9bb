// How often each line of the scripts has run, for the coverage of tests and the REPL.
#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

static void line_hook(lua_State *L, lua_Debug *frame) {
    tw_vm *vm = vm_of(L);
    check_budget(L);
    lua_getinfo(L, "Sl", frame);
    if (frame->currentline > 0) vm->tools.line_counts[frame->short_src][frame->currentline]++;
}

void arm_line_counts(tw_vm *vm) { lua_sethook(vm->L, line_hook, LUA_MASKLINE, 0); }

}  // namespace tidewheel

void tw_vm_count_lines(tw_vm *vm) { vm->tools.is_used = vm->tools.counts_lines = true; }

void tw_vm_each_line(const tw_vm *vm, tw_each_line each, void *context) {
    for (auto &[file, lines] : vm->tools.line_counts)
        for (auto &[line, count] : lines) each(context, file.c_str(), line, count);
}
