// How much of a batch is run at once.
#pragma once
#include <time.h>

#include <cstdint>

#include "CScripting.h"

namespace tidewheel {

// Tells when a call has taken its share. Looking at the processor's counter costs next to nothing;
// only when that has moved on is the clock asked.
class SliceWatch {
    static constexpr uint64_t ticks_between_looks = 1 << 20;
    const int64_t deadline;
    uint64_t records_left, looked_at;

    static uint64_t ticks() {
#if defined(__x86_64__)
        return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
        uint64_t value;
        asm volatile("mrs %0, cntvct_el0" : "=r"(value));
        return value << 6;
#else
        return clock_nanoseconds();
#endif
    }

    static int64_t clock_nanoseconds() {
        timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return int64_t(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
    }

  public:
    explicit SliceWatch(const tw_slice &slice)
        : deadline(slice.deadline),
          records_left(slice.record_limit ? slice.record_limit : UINT64_MAX),
          looked_at(ticks()) {}

    // One more record was run; true when that was the last one for now.
    bool is_over() {
        if (--records_left == 0) return true;
        uint64_t now = ticks();
        if (now - looked_at < ticks_between_looks || !deadline) return false;
        looked_at = now;
        return clock_nanoseconds() >= deadline;
    }
};

}  // namespace tidewheel
