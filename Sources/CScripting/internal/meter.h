// The counters behind tw_meter, and where a call tells them about itself.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "CScripting.h"

namespace tidewheel {

struct Call;

// Written by one thread, so an addition need not be atomic as a whole.
struct Counter {
    std::atomic<uint64_t> value{0};
    void add(uint64_t amount) {
        value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    uint64_t read() const { return value.load(std::memory_order_relaxed); }
};

struct StageMeter {
    Counter records, calls, dropped, errors, nanoseconds;
    Counter buckets[TW_METER_BUCKETS];
};

struct SampleCount {
    uint64_t samples = 0, ticks = 0;
};

// A stage without a rule is counted by a native stage around what it does.
struct CountedStage {
    tw_vm *vm;
    uint32_t stage;
    tw_native inner;
    void *inner_context;
};

// meter.cpp
void begin_measured(tw_vm *vm);
void end_measured(tw_vm *vm, const Call &call, int status);
void meter_letter(tw_vm *vm);  // of vm->failure
void forget_meter(tw_vm *vm);  // the VM goes

}  // namespace tidewheel

struct tw_meter {
    std::atomic<int> references{1};
    size_t count = 0;
    std::unique_ptr<tidewheel::StageMeter[]> stages;
    int64_t clock_cost = 0;  // of reading the clock, in nanoseconds
    std::mutex lock;         // of `samples`
    std::map<std::pair<size_t, std::string>, tidewheel::SampleCount> samples;
};
