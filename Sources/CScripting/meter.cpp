// Measuring calls and sampling lines, for as long as somebody looks; a VM that nobody looks at has
// none of this on its way.
#include "internal/meter.h"

#include <algorithm>
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

// A prime, so that loops do not beat with it.
static constexpr int sample_interval = 499;
// More stacks than these are counted together.
static constexpr size_t stack_limit = 4096;
static constexpr int depth_limit = 24;

static void append_frame(lua_State *L, lua_Debug *frame, std::string &stack) {
    lua_getinfo(L, "Sln", frame);
    char text[256];
    if (frame->currentline <= 0) {
        if (!frame->name) return;
        snprintf(text, sizeof text, "%s", frame->name);
    } else if (frame->name && *frame->namewhat) {
        snprintf(text, sizeof text, "%s (%s:%d)", frame->name, frame->short_src,
                 frame->currentline);
    } else {
        snprintf(text, sizeof text, "%s:%d", frame->short_src, frame->currentline);
    }
    // The separator of stacks must not be in a name.
    std::replace(text, text + strlen(text), ';', ',');
    if (!stack.empty()) stack += ';';
    stack += text;
}

static void note_stack(lua_State *L, tw_vm *vm, bool is_tick) {
    int levels = 0;
    lua_Debug frame;
    while (levels < depth_limit && lua_getstack(L, levels, &frame)) levels++;
    std::string stack;
    for (int level = levels - 1; level >= 0; level--)
        if (lua_getstack(L, level, &frame)) append_frame(L, &frame, stack);
    tw_meter &meter = *vm->tools.meter;
    std::lock_guard<std::mutex> guard(meter.lock);
    if (meter.samples.size() >= stack_limit) stack = "(other)";
    SampleCount &count = meter.samples[{size_t(vm->stage), stack}];
    (is_tick ? count.ticks : count.samples)++;
}

static void arm_sampler(tw_vm *vm);

// Runs at an instruction: every so many of them, or the first one after a tick of the timer.
static void sample_hook(lua_State *L, lua_Debug *) {
    check_budget(L);
    tw_vm *vm = vm_of(L);
    bool is_tick = vm->budget.tick_due;
    note_stack(L, vm, is_tick);
    if (!is_tick) return;
    vm->budget.tick_due = 0;
    arm_sampler(vm);
    // The timer may have armed its own hook just before this one took its place.
    if (vm->budget.breach) arm_breach(vm);
    check_budget(L);
}

// By instructions while profiling; else only where the timer asks for one.
static void arm_sampler(tw_vm *vm) {
    if (vm->tools.profiles) lua_sethook(vm->L, sample_hook, LUA_MASKCOUNT, sample_interval);
    else lua_sethook(vm->L, nullptr, 0, 0);
}

void begin_measured(tw_vm *vm) {
    // Armed once: a hook that is armed anew at each call would begin to count at each call.
    if (vm->tools.profiles && lua_gethook(vm->L) != sample_hook) arm_sampler(vm);
    vm->budget.tick_due = 0;
    vm->budget.sampler = sample_hook;
    vm->tools.call_started = thread_cpu();
}

size_t bucket_of(uint64_t nanoseconds) {
    if (nanoseconds < 16) return size_t(nanoseconds);
    int exponent = 63 - __builtin_clzll(nanoseconds);
    size_t bucket = size_t(exponent - 3) * 16 + size_t((nanoseconds >> (exponent - 4)) & 15);
    return bucket < TW_METER_BUCKETS ? bucket : TW_METER_BUCKETS - 1;
}

void end_measured(tw_vm *vm, const Call &call, int status) {
    tw_meter &meter = *vm->tools.meter;
    int64_t spent = thread_cpu() - vm->tools.call_started - meter.clock_cost;
    vm->budget.sampler = nullptr;
    if (vm->budget.tick_due) {
        vm->budget.tick_due = 0;
        arm_sampler(vm);
    }
    bool counts = call.kind == CallKind::process || call.kind == CallKind::timer ||
                  call.kind == CallKind::aggregate;
    if (!counts || call.stage >= meter.count) return;
    StageMeter &stage = meter.stages[call.stage];
    uint64_t nanoseconds = spent > 0 ? uint64_t(spent) : 0;
    if (call.kind == CallKind::process) stage.records.add(1);
    if (status == LUA_OK && call.result == Call::Result::drop) stage.dropped.add(1);
    stage.calls.add(1);
    stage.nanoseconds.add(nanoseconds);
    stage.buckets[bucket_of(nanoseconds)].add(1);
}

void meter_letter(tw_vm *vm) {
    tw_meter &meter = *vm->tools.meter;
    for (size_t i = 0; i < vm->stages.size() && i < meter.count; i++) {
        if (vm->stages[i].name != vm->failure.stage) continue;
        meter.stages[i].errors.add(1);
        // A rule that a schema has spared was not called, but the record came.
        if (!strcmp(vm->failure.kind, "invalid") && vm->stages[i].schema)
            meter.stages[i].records.add(1);
    }
}

static void run_counted(
    void *context, const uint8_t *record, size_t length, tw_verdict *verdict) {
    const CountedStage &counted = *static_cast<CountedStage *>(context);
    if (counted.inner) counted.inner(counted.inner_context, record, length, verdict);
    tw_meter *meter = counted.vm->tools.meter;
    // A failing record is run once more for its trace, which is no other record.
    if (!meter || counted.stage >= meter->count || counted.vm->trace.active) return;
    meter->stages[counted.stage].records.add(1);
    if (verdict->action == TW_DROP) meter->stages[counted.stage].dropped.add(1);
}

static void count_natives(tw_vm *vm) {
    for (uint32_t i = 0; i < vm->stages.size(); i++) {
        Stage &stage = vm->stages[i];
        if (stage.process != LUA_NOREF || stage.aggregate >= 0) continue;
        auto counted = std::make_unique<CountedStage>(
            CountedStage{vm, i, stage.native, stage.native_context});
        stage.native = run_counted;
        stage.native_context = counted.get();
        vm->tools.counted.push_back(std::move(counted));
    }
}

void forget_meter(tw_vm *vm) {
    Tools &tools = vm->tools;
    for (auto &counted : tools.counted) {
        Stage &stage = vm->stages[counted->stage];
        stage.native = counted->inner;
        stage.native_context = counted->inner_context;
    }
    tools.counted.clear();
    if (tools.meter) tw_meter_release(tools.meter);
    tools.meter = nullptr;
    tools.profiles = false;
    tools.is_used = tools.counts_lines;
}

}  // namespace tidewheel

using namespace tidewheel;

tw_meter *tw_meter_create(size_t stages) {
    tw_meter *meter = new tw_meter;
    meter->count = stages;
    meter->stages = std::make_unique<StageMeter[]>(stages);
    int64_t least = INT64_MAX;
    for (int i = 0; i < 32; i++) {
        int64_t start = thread_cpu();
        least = std::min(least, thread_cpu() - start);
    }
    meter->clock_cost = least;
    return meter;
}

void tw_meter_retain(tw_meter *meter) { meter->references.fetch_add(1); }

void tw_meter_release(tw_meter *meter) {
    if (meter->references.fetch_sub(1) == 1) delete meter;
}

tw_meter_counts tw_meter_read(const tw_meter *meter, size_t stage, uint64_t *buckets) {
    if (stage >= meter->count) return tw_meter_counts{};
    const StageMeter &found = meter->stages[stage];
    for (size_t i = 0; i < TW_METER_BUCKETS; i++) buckets[i] = found.buckets[i].read();
    return tw_meter_counts{found.records.read(), found.calls.read(), found.dropped.read(),
                           found.errors.read(), found.nanoseconds.read()};
}

size_t tw_meter_bucket(uint64_t nanoseconds) { return bucket_of(nanoseconds); }

uint64_t tw_meter_bucket_start(size_t bucket) {
    if (bucket < 16) return bucket;
    return uint64_t(16 + bucket % 16) << (bucket / 16 - 1);
}

void tw_meter_note_rows(tw_meter *meter, size_t stage, uint64_t count) {
    if (stage < meter->count) meter->stages[stage].records.add(count);
}

void tw_meter_each_sample(tw_meter *meter, tw_each_sample each, void *context) {
    std::lock_guard<std::mutex> guard(meter->lock);
    for (auto &[key, count] : meter->samples)
        each(context, key.first, key.second.data(), key.second.size(), count.samples, count.ticks);
}

void tw_vm_measure(tw_vm *vm, tw_meter *meter, bool profiles) {
    if (meter) tw_meter_retain(meter);
    forget_meter(vm);
    lua_sethook(vm->L, nullptr, 0, 0);
    if (!meter) return;
    vm->tools.meter = meter;
    vm->tools.profiles = profiles;
    vm->tools.is_used = true;
    count_natives(vm);
}

void tw_vm_tap(tw_vm *vm, int32_t origin, const char *output, int32_t sink) {
    vm->tools.tap_sinks.push_back(sink);
    tw_vm_add_wire(vm, origin, output, TW_TO_SINK, sink);
}

static void cut(Output &output, int32_t sink) {
    std::erase_if(output.wires, [sink](const Wire &wire) {
        return wire.kind == TW_TO_SINK && wire.target == sink;
    });
}

static void end_tap(tw_vm *vm, int32_t sink) {
    cut(vm->source_output, sink);
    cut(vm->letter_output, sink);
    for (Stage &stage : vm->stages) {
        for (Output &output : stage.outputs) cut(output, sink);
        for (size_t i = stage.outputs.size(); i > 1; i--)
            if (stage.outputs[i - 1].wires.empty())
                stage.outputs.erase(stage.outputs.begin() + ptrdiff_t(i - 1));
    }
}

void tw_vm_end_taps(tw_vm *vm) {
    for (int32_t sink : vm->tools.tap_sinks) end_tap(vm, sink);
    vm->tools.tap_sinks.clear();
}
