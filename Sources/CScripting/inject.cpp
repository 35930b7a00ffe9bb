// Records that begin in the middle of a pipeline: the rows of windows, and letters about them.
#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

static const Output *find_connected(const tw_vm *vm, int32_t stage, const char *name) {
    const std::vector<Output> &outputs = vm->stages[size_t(stage)].outputs;
    for (size_t i = 0; i < outputs.size(); i++)
        if ((name && i) ? outputs[i].name == name : (!name && !i))
            return outputs[i].wires.empty() ? nullptr : &outputs[i];
    return nullptr;
}

static bool attempt(tw_vm *vm, const Output &output, const char *text, size_t length) {
    vm->arena.reset();
    vm->key_text = nullptr;
    Node *root = fresh_node(vm, text, length);
    if (!root) return false;
    if (vm->uses_state) vm->partition = partition_of(vm, root);
    begin_record(vm);
    return deliver(vm, output, root);
}

static void run_row(tw_vm *vm, const Output &output, const char *text, size_t length) {
    vm->root_text = text;
    vm->root_length = length;
    if (attempt(vm, output, text, length)) {
        commit(vm);
        return;
    }
    roll_back(vm);
    trace_failure(vm, [&] { return attempt(vm, output, text, length); });
    deliver_letter(vm);
}

// Time comes on row by row, whatever the size of batches.
static void come_to_row(tw_vm *vm, int64_t time) {
    if (timers_due(vm)) {
        fire_timers(vm, vm->watermark);
        vm->event_time = time;
    }
    if (vm->watermark > vm->fired_until) vm->fired_until = vm->watermark;
}

}  // namespace tidewheel

using namespace tidewheel;

bool tw_vm_is_connected(const tw_vm *vm, int32_t stage, const char *output) {
    return find_connected(vm, stage, output) != nullptr;
}

tw_status tw_vm_inject(
    tw_vm *vm, int32_t stage, const char *output, const tw_batch *batch, tw_buffer *const *sinks,
    tw_rows *const *rows) {
    vm->sinks = sinks;
    vm->rows = rows;
    vm->batch = batch;
    vm->origin = Origin{};
    vm->origin.source = batch->source;
    vm->origin.file = batch->file;
    read_clock(vm);
    const Output *target = find_connected(vm, stage, output);
    const char *bytes = reinterpret_cast<const char *>(batch->bytes);
    for (size_t i = 0; target && i < batch->entry_count; i++) {
        const tw_entry &entry = batch->entries[i];
        vm->origin.position = entry.position;
        vm->origin.line = entry.line;
        vm->origin.original = bytes + entry.offset;
        vm->origin.original_length = vm->origin.original_full_length = entry.length;
        vm->record_index = batch->ordinals ? batch->ordinals[i] : uint32_t(i);
        vm->event_time = batch->times[i];
        vm->watermark = batch->watermarks[i];
        if (!batch->ordinals) come_to_row(vm, batch->times[i]);
        run_row(vm, *target, bytes + entry.offset, entry.length);
    }
    return memory_status(vm);
}

// Begins a dead letter of something that no source has given; `name` stands for its place.
static void begin_letter(
    tw_vm *vm, const char *name, const char *kind, const char *reason, const char *original,
    size_t length, uint64_t position) {
    read_clock(vm);
    begin_record(vm);
    note_failure(vm, kind, reason, strlen(reason));
    vm->origin = Origin{};
    vm->origin.source = vm->origin.file = name;
    vm->origin.position = position;
    vm->origin.original = original;
    vm->origin.original_length = vm->origin.original_full_length = length;
    vm->failure.stage = name;
}

void tw_vm_reject(
    tw_vm *vm, int32_t stage, const char *source, const char *kind, const tw_failure *failure,
    const char *original, size_t length, uint64_t position, tw_buffer *const *sinks,
    tw_rows *const *rows) {
    vm->sinks = sinks;
    vm->rows = rows;
    begin_letter(vm, source, kind, failure->message, original, length, position);
    vm->failure.stage = vm->stages[size_t(stage)].name.c_str();
    vm->failure.file = failure->file;
    vm->failure.line = failure->line;
    deliver_letter(vm);
}

void tw_vm_refuse(
    tw_vm *vm, const char *sink, const char *reason, const char *row, size_t length,
    uint64_t position, tw_buffer *const *sinks, tw_rows *const *rows) {
    vm->sinks = sinks;
    vm->rows = rows;
    begin_letter(vm, sink, "refused", reason, row, length, position);
    vm->failure.error_length = 0;
    deliver_letter(vm);
}
