// A batch, record by record; what fails becomes a dead letter, and the next record goes on.
#include <time.h>

#include <cstdio>

#include "internal/slice.h"
#include "internal/vm.h"

namespace tidewheel {

static int64_t current_watermark(tw_vm *vm) {
    const tw_batch &batch = *vm->batch;
    return vm->watermarks.current(batch.source_index, batch.has_floor ? batch.floor : INT64_MAX,
                                  vm->time_reader.out_of_orderness);
}

// The watermark that the record in progress meets; its own time is not known yet.
static void meet_watermark(tw_vm *vm) {
    const tw_batch &batch = *vm->batch;
    vm->watermark = batch.times ? batch.watermarks[vm->record_index] : current_watermark(vm);
    vm->event_time = TW_NO_TIME;
}

static void reject_line(tw_vm *vm, const char *problem) {
    vm->counts.failed_records++;
    if (vm->time_reader.active) meet_watermark(vm);
    char reason[400];
    int length = snprintf(reason, sizeof reason, "%s", problem);
    begin_record(vm);
    note_failure(vm, vm->origin.is_continued ? "continued" : "malformed", reason, size_t(length));
    vm->failure.error_length = 0;
    vm->failure.stage = vm->origin.source;
    vm->failure.file = "";
    deliver_letter(vm);
}

// ---- time

static void reject_time(tw_vm *vm, const std::string &reason) {
    vm->counts.failed_records++;
    begin_record(vm);
    note_failure(vm, "invalid", reason.data(), reason.size());
    vm->failure.error_length = 0;
    vm->failure.stage = vm->origin.source;
    vm->failure.field = vm->time_reader.field.c_str();
    vm->failure.field_length = vm->time_reader.field.size();
    deliver_letter(vm);
}

// The record gets its time and the watermark that it meets; false when it has become a letter.
static bool admit_time(tw_vm *vm, const char *text) {
    const tw_batch &batch = *vm->batch;
    meet_watermark(vm);
    if (timers_due(vm)) fire_timers(vm, vm->watermark);
    vm->fired_until = vm->watermark;
    int64_t time = batch.times ? batch.times[vm->record_index] : TW_NO_TIME;
    vm->event_time = time;
    if (time != TW_NO_TIME) return true;
    std::string reason;
    if (vm->time_reader.read(text, vm->fields, vm->now_milliseconds, time, reason)) {
        vm->event_time = time;
        vm->watermarks.note(batch.source_index, time);
        return true;
    }
    reject_time(vm, reason);
    return false;
}

// ---- one record

static Node *root_node(tw_vm *vm, const char *text, size_t length) {
    Node *root = vm->arena.make<Node>();
    if (!root) return nullptr;
    *root = Node{};
    root->text = text;
    root->length = uint32_t(length);
    root->depth = 1;
    root->fields = vm->fields.items;
    root->count = vm->fields.count;
    if (vm->fields.shape) {
        root->shape = vm->fields.shape;
        root->keys_ready = true;
        memcpy(root->seen, vm->ingress.shape.seen, sizeof root->seen);
    }
    return root;
}

static bool attempt_record(tw_vm *vm, const char *text, size_t length, int32_t partition) {
    vm->arena.reset();
    vm->key_text = nullptr;
    Node *root = root_node(vm, text, length);
    if (!root) return false;
    if (partition >= 0) vm->partition = uint32_t(partition);
    else if (vm->uses_state) vm->partition = partition_of(vm, root);
    begin_record(vm);
    return deliver(vm, vm->source_output, root);
}

// True when something has come of the record in progress.
static bool has_written(const tw_vm *vm) {
    for (uint32_t i = 0; i < vm->sink_count; i++)
        if (vm->sinks[i]->length != vm->marks[i]) return true;
    for (size_t i = 0; vm->rows && i < vm->aggregates.size(); i++)
        if (vm->rows[i]->rows.size() != vm->rows_marks[i].rows) return true;
    return false;
}

static void run_record(tw_vm *vm, const char *text, size_t length, int32_t partition) {
    Problem problem;
    if (!vm->ingress.read_object(text, length, vm->fields, problem)) {
        char reason[300];
        snprintf(reason, sizeof reason, "malformed JSON: %s at byte %zu", problem.text,
                 problem.offset);
        reject_line(vm, reason);
        return;
    }
    vm->root_text = text;
    vm->root_length = length;
    if (vm->time_reader.active && !admit_time(vm, text)) return;
    if (attempt_record(vm, text, length, partition)) {
        if (vm->pending.dropped && !has_written(vm)) vm->counts.dropped_records++;
        commit(vm);
        return;
    }
    vm->counts.failed_records++;
    roll_back(vm);
    trace_failure(vm, [&] { return attempt_record(vm, text, length, partition); });
    deliver_letter(vm);
}

static void run_text(tw_vm *vm, const char *text, size_t length, int32_t partition) {
    if (length > vm->config.record_limit) {
        char reason[160];
        snprintf(reason, sizeof reason,
                 "line of %zu bytes is longer than the record limit of %zu bytes", length,
                 vm->config.record_limit);
        if (length > (64 << 10)) {
            size_t kept = 64 << 10, least = kept - 3;  // A character has four bytes at most.
            while (kept > least && (static_cast<unsigned char>(text[kept]) & 0xC0) == 0x80) kept--;
            vm->origin.original_length = kept;
        }
        reject_line(vm, reason);
        return;
    }
    run_record(vm, text, length, partition);
}

static bool is_blank(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
    return true;
}

// What tw_vm_scan fills in.
struct Scan {
    uint16_t *partitions;
    int64_t *times, *watermarks;
};

struct Visitor {
    tw_vm *vm;
    const tw_batch *batch;
    const Scan *scan;  // filled instead of running, when not NULL
    size_t capacity, index = 0;
    tw_slice *slice = nullptr;

    void visit(const char *text, size_t length, const char *problem) {
        size_t record = index++;
        if (scan) {
            if (record < capacity) scan_record(record, text, problem ? SIZE_MAX : length);
            return;
        }
        vm->record_index = uint32_t(record);
        int32_t partition = -1;
        if (batch->partitions) {
            partition = batch->partitions[record];
            if (batch->workers && partition % batch->workers != batch->worker) {
                pass_over(record);
                return;
            }
        }
        vm->counts.read++;
        if (problem) reject_line(vm, problem);
        else run_text(vm, text, length, partition);
    }

    // A record of others: time comes on all the same, also for partitions that get nothing.
    void pass_over(size_t record) {
        if (!batch->times || !vm->time_reader.active) return;
        vm->watermark = batch->watermarks[record];
        vm->event_time = TW_NO_TIME;
        if (timers_due(vm)) fire_timers(vm, vm->watermark);
        vm->fired_until = vm->watermark;
    }

    void scan_record(size_t record, const char *text, size_t length) {
        Problem problem;
        bool sound = length <= vm->config.record_limit &&
                     vm->ingress.read_object(text, length, vm->fields, problem);
        if (scan->watermarks) scan->watermarks[record] = current_watermark(vm);
        if (scan->times) {
            int64_t time;
            std::string reason;
            bool timely = sound && vm->time_reader.read(
                                       text, vm->fields, vm->now_milliseconds, time, reason);
            scan->times[record] = timely ? time : TW_NO_TIME;
            if (timely) vm->watermarks.note(batch->source_index, time);
        }
        if (!scan->partitions) return;
        vm->arena.reset();
        Node *root = sound ? root_node(vm, text, length) : nullptr;
        scan->partitions[record] = root ? uint16_t(partition_of(vm, root)) : 0;
    }

    // ---- slices

    // How far time is behind what was run.
    int64_t end_watermark() const {
        if (!batch->times) return current_watermark(vm);
        bool is_done = !slice || slice->is_done;
        return is_done ? batch->end_watermark : batch->watermarks[index];
    }

    size_t first_offset() const { return slice ? slice->offset : 0; }
    uint64_t first_line() const { return slice && slice->line ? slice->line : batch->line; }
    tw_slice bounds() const { return slice ? *slice : tw_slice{}; }

    void stop_at(size_t offset, uint64_t line, uint64_t position) {
        slice->offset = offset;
        slice->line = line;
        slice->position = position;
        slice->is_done = false;
    }
};

// Whole lines from `at` that fit the caches while they are walked; 0 when not even one does.
static size_t window_length(const char *at, const char *end, ptrdiff_t window) {
    if (end - at <= window) return size_t(end - at);
    auto last = static_cast<const char *>(memrchr(at, '\n', window));
    return last ? size_t(last + 1 - at) : 0;
}

static void visit_lines(Visitor &visitor) {
    const tw_batch *batch = visitor.batch;
    Origin &origin = visitor.vm->origin;
    const char *start = reinterpret_cast<const char *>(batch->bytes), *end = start + batch->length;
    const char *at = start + visitor.first_offset(), *window_end = at;
    constexpr ptrdiff_t window = 32 << 10;
    // What was looked at ahead holds over the slices of a batch, whose bytes stay as they are.
    if (visitor.slice && visitor.slice->prepared) window_end = start + visitor.slice->prepared;
    SliceWatch watch(visitor.bounds());
    for (uint64_t line = visitor.first_line(); at < end; line++) {
        if (at >= window_end) {
            size_t length = window_length(at, end, window);
            if (length) visitor.vm->ingress.prepare_lines(at, length);
            window_end = at + length;
        }
        const char *stop = static_cast<const char *>(memchr(at, '\n', size_t(end - at)));
        if (!stop) stop = end;
        size_t length = size_t(stop - at);
        if (*at == '{' || !is_blank(at, length)) {
            origin.position = batch->position + uint64_t(at - start);
            origin.line = line;
            origin.original = at;
            origin.original_length = origin.original_full_length = length;
            visitor.visit(at, length, nullptr);
            if (visitor.slice && watch.is_over() && stop + 1 < end) {
                size_t offset = size_t(stop + 1 - start);
                visitor.stop_at(offset, line + 1, batch->position + offset);
                visitor.slice->prepared = size_t(window_end - start);
                return;
            }
        }
        at = stop + 1;
    }
    visitor.vm->ingress.forget_lines();
}

static void visit_entries(Visitor &visitor) {
    const tw_batch *batch = visitor.batch;
    Origin &origin = visitor.vm->origin;
    const char *bytes = reinterpret_cast<const char *>(batch->bytes);
    const char *originals = reinterpret_cast<const char *>(batch->originals);
    char problem[400];
    SliceWatch watch(visitor.bounds());
    for (size_t i = visitor.first_offset(); i < batch->entry_count; i++) {
        const tw_entry &entry = batch->entries[i];
        origin.position = entry.position;
        origin.line = entry.line;
        origin.original = originals + entry.original_offset;
        origin.original_length = entry.original_length;
        origin.original_full_length = entry.original_full_length;
        origin.id = originals + entry.id_offset;
        origin.id_length = entry.id_length;
        origin.headers = originals + entry.headers_offset;
        origin.headers_length = entry.headers_length;
        origin.attempt = entry.attempt ? entry.attempt : 1;
        origin.is_entry = true;
        origin.is_continued = entry.is_continued;
        visitor.vm->root_text = nullptr;
        if (entry.problem_length)
            snprintf(problem, sizeof problem, "%.*s", int(entry.problem_length),
                     originals + entry.problem_offset);
        // The scanners read beyond the end, but a record must not see its neighbour's bytes only
        // in the sense of JSON: each text is complete in itself, so nothing needs to be copied.
        visitor.visit(bytes + entry.offset, entry.length, entry.problem_length ? problem : nullptr);
        if (visitor.slice && watch.is_over() && i + 1 < batch->entry_count) {
            const tw_entry &next = batch->entries[i + 1];
            visitor.stop_at(i + 1, next.line, next.position);
            break;
        }
    }
}

void read_clock(tw_vm *vm) {
    vm->now_milliseconds = vm->config.now_milliseconds;
    if (vm->now_milliseconds != 0) return;
    timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    vm->now_milliseconds = int64_t(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

// A small heap is collected rarely: marking the libraries again and again would cost more than the
// garbage of a few hundred records.
static void collect(tw_vm *vm) {
    lua_gc(vm->L, LUA_GCSETPAUSE, vm->memory.used < (1 << 20) ? 1000 : 200);
    vm->scratch.trim(1 << 20);
}

static void visit(Visitor &visitor) {
    tw_vm *vm = visitor.vm;
    if (visitor.slice) {
        visitor.slice->is_done = true;
        visitor.index = visitor.slice->index;
    }
    vm->batch = visitor.batch;
    vm->origin = Origin{};
    vm->origin.source = visitor.batch->source;
    vm->origin.file = visitor.batch->file;
    read_clock(vm);
    visitor.batch->entry_count ? visit_entries(visitor) : visit_lines(visitor);
    if (visitor.slice) visitor.slice->index = uint32_t(visitor.index);
    if (!vm->time_reader.active) return collect(vm);
    // Also behind a slice: windows are told of that time, and a timer's rows come before it.
    vm->watermark = visitor.end_watermark();
    vm->time_reached = vm->watermark;
    vm->record_index = uint32_t(visitor.index);
    if (!visitor.scan && timers_due(vm)) fire_timers(vm, vm->watermark);
    vm->fired_until = vm->watermark;
    collect(vm);
}

tw_status memory_status(tw_vm *vm) {
    tw_status status{};
    bool failed = false;
    for (uint32_t i = 0; i < vm->sink_count; i++) failed = failed || vm->sinks[i]->failed;
    for (size_t i = 0; vm->rows && i < vm->aggregates.size(); i++)
        failed = failed || vm->rows[i]->text.failed;
    if (!failed) return status;
    status.code = TW_OUT_OF_MEMORY;
    snprintf(status.message, sizeof status.message, "out of memory for the rows of a batch");
    return status;
}

}  // namespace tidewheel

using namespace tidewheel;

tw_status tw_vm_run(
    tw_vm *vm, const tw_batch *batch, tw_slice *slice, tw_buffer *const *sinks,
    tw_rows *const *rows) {
    vm->sinks = sinks;
    vm->rows = rows;
    Visitor visitor{vm, batch, nullptr, 0, 0, slice};
    visit(visitor);
    return memory_status(vm);
}

size_t tw_vm_scan(
    tw_vm *vm, const tw_batch *batch, uint16_t *partitions, int64_t *times, int64_t *watermarks,
    size_t capacity) {
    Scan scan{partitions, times, watermarks};
    Visitor visitor{vm, batch, &scan, capacity};
    visit(visitor);
    return visitor.index;
}

int64_t tw_vm_watermark(const tw_vm *vm) { return vm->watermarks.highest; }

int64_t tw_vm_newest(const tw_vm *vm, uint32_t source_index) {
    const std::vector<int64_t> &newest = vm->watermarks.newest;
    return source_index < newest.size() ? newest[source_index] : TW_NO_TIME;
}

void tw_vm_sweep(tw_vm *vm) {
    read_clock(vm);
    bool is_known = vm->time_reader.active && vm->time_reached != TW_NO_TIME;
    vm->state.raise_floor(is_known ? vm->time_reached : vm->now_milliseconds, is_known);
    vm->state.sweep(SIZE_MAX);
}
