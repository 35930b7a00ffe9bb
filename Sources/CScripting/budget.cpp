// CPU time per call, without a permanent hook: a timer of the thread's own CPU clock ticks, and
// only when one call has been seen for too long does its signal arm a Lua hook, which raises.
#include "internal/budget.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

// For what runs inside the signal handler, where a sanitizer has no business.
#define TW_BARE __attribute__((disable_sanitizer_instrumentation))

static constexpr int64_t tick_nanoseconds = 4'000'000;

TW_BARE int64_t thread_cpu() {
    timespec time;
    syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &time);
    return int64_t(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

static void breach_hook(lua_State *L, lua_Debug *) { check_budget(L); }

TW_BARE void arm_breach(tw_vm *vm) {
    lua_sethook(
        vm->L, breach_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

// Runs on the VM's own thread, so it sees a consistent VM; lua_sethook is made for this.
TW_BARE static void on_tick(int, siginfo_t *info, void *) {
    int saved = errno;
    tw_vm *vm = static_cast<tw_vm *>(info->si_value.sival_ptr);
    Budget &budget = vm->budget;
    if (budget.in_call) {
        int64_t now = thread_cpu();
        if (budget.serial != budget.seen_serial) {
            budget.seen_serial = budget.serial;
            budget.seen_at = now;
        } else if (!budget.breach && now - budget.seen_at >= budget.allowed - tick_nanoseconds) {
            budget.breach = int(Breach::time);
            arm_breach(vm);
        }
        if (budget.sampler && !budget.breach) {
            budget.tick_due = 1;
            lua_sethook(vm->L, budget.sampler, LUA_MASKCOUNT, 1);
        }
    }
    errno = saved;
}

// The thread sanitizer holds signals back until the program calls something it knows, which a loop
// in Lua never does; so the kernel is given the handler itself.
static bool bypass_sanitizer(int number) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    constexpr size_t mask_size = 8;
    uintptr_t action[8] = {};
    if (syscall(SYS_rt_sigaction, number, nullptr, action, mask_size) != 0) return false;
    action[0] = reinterpret_cast<uintptr_t>(on_tick);
    return syscall(SYS_rt_sigaction, number, action, nullptr, mask_size) == 0;
#endif
#endif
    return number > 0;
}

bool start_timer(tw_vm *vm) {
    struct sigaction action {};
    action.sa_sigaction = on_tick;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    int number = SIGRTMIN + 5;
    if (sigaction(number, &action, nullptr) != 0 || !bypass_sanitizer(number)) return false;
    // Threads of a pool are often made with all signals blocked; then no budget would hold.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, number);
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = number;
    event.sigev_value.sival_ptr = vm;
#ifdef sigev_notify_thread_id
    event.sigev_notify_thread_id = pid_t(syscall(SYS_gettid));
#else
    event._sigev_un._tid = pid_t(syscall(SYS_gettid));
#endif
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &vm->budget.timer) != 0) return false;
    vm->budget.has_timer = true;
    itimerspec period{{0, tick_nanoseconds}, {0, tick_nanoseconds}};
    return timer_settime(vm->budget.timer, 0, &period, nullptr) == 0;
}

void stop_timer(tw_vm *vm) {
    if (vm->budget.has_timer) timer_delete(vm->budget.timer);
    vm->budget.has_timer = false;
}

void begin_call(tw_vm *vm, int64_t allowed) {
    Budget &budget = vm->budget;
    budget.allowed = allowed;
    budget.serial = budget.serial + 1;
    budget.place[0] = 0;
    budget.in_call = 1;
}

void end_call(tw_vm *vm) {
    Budget &budget = vm->budget;
    budget.in_call = 0;
    if (budget.breach == 0) return;
    lua_sethook(vm->L, nullptr, 0, 0);
    budget.breach = 0;
    budget.place_known = false;
}

// Where the rule is now; when it is not running, what is known stays.
void note_place(lua_State *L, Budget &budget) {
    lua_Debug frame;
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0) continue;
        snprintf(budget.place, sizeof budget.place, "%s:%d: ", frame.short_src, frame.currentline);
        return;
    }
}

// The words are put together by whoever gets the error: a script cannot catch it, and a deep stack
// may have it raised at every level.
void raise_breach(lua_State *L) {
    Budget &budget = vm_of(L)->budget;
    if (!budget.place_known) note_place(L, budget);
    budget.place_known = true;
    lua_checkstack(L, 4);  // Never settop: under a hook these are the script's own registers.
    lua_pushliteral(L, "budget exceeded");
    lua_error(L);
    __builtin_unreachable();
}

void raise_memory(lua_State *L) {
    Budget &budget = vm_of(L)->budget;
    // What came first counts: a call that is out of time may be cut off in the midst of its work.
    if (budget.breach == int(Breach::none)) budget.breach = int(Breach::memory);
    raise_breach(L);
}

void check_budget(lua_State *L) {
    if (__builtin_expect(vm_of(L)->budget.breach != 0, 0)) raise_breach(L);
}

}  // namespace tidewheel
