// What a VM measures while somebody looks: calls by CPU time, and lines by samples.  Part of
// CScripting.h.
#ifndef TIDEWHEEL_CSCRIPTING_METER_H
#define TIDEWHEEL_CSCRIPTING_METER_H

// The measurements of one VM. Written by its thread, read by any; counted references.
typedef struct tw_meter tw_meter;
tw_meter *tw_meter_create(size_t stages);
void tw_meter_retain(tw_meter *meter);
void tw_meter_release(tw_meter *meter);

// `records` that came to a stage, `calls` of its rule (also of on_timer and aggregates) and their
// CPU time, and what the stage dropped and made dead letters of.
typedef struct {
    uint64_t records, calls, dropped, errors, nanoseconds;
} tw_meter_counts;
// The CPU time of a call, in buckets that are at most a sixteenth wide: 16 for each doubling, as
// in HdrHistogram (Tene).
enum { TW_METER_BUCKETS = 608 };
tw_meter_counts tw_meter_read(const tw_meter *meter, size_t stage, uint64_t *buckets);
size_t tw_meter_bucket(uint64_t nanoseconds);
// The first nanosecond of a bucket.
uint64_t tw_meter_bucket_start(size_t bucket);
// Rows that came to an aggregate stage.
void tw_meter_note_rows(tw_meter *meter, size_t stage, uint64_t count);

// A stack is "rules/x.lua:3;helper (rules/lib/y.lua:7)", from the outermost call to the line that
// ran.  `samples` were taken by instructions of Lua, `ticks` by CPU time.
typedef void (*tw_each_sample)(
    void *context, size_t stage, const char *stack, size_t length, uint64_t samples,
    uint64_t ticks);
void tw_meter_each_sample(tw_meter *meter, tw_each_sample each, void *context);

// From now on, between two batches, the VM measures its calls (NULL: no more); with `profiles` it
// also takes a sample every so many instructions, which costs a hook.
void tw_vm_measure(tw_vm *vm, tw_meter *meter, bool profiles);

// Adds a wire from an output to a sink of its own, between two batches.
void tw_vm_tap(tw_vm *vm, int32_t origin, const char *output, int32_t sink);
// Takes all of them away, and the outputs, too, if nothing else has asked for them.
void tw_vm_end_taps(tw_vm *vm);

#endif
