// A batch, record by record; what fails becomes a dead letter, and the next record goes on.
#include <time.h>

#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

// ---- dead letters

static void deliver_letter(tw_vm *vm) {
    vm->letter.clear();
    write_letter(vm, vm->letter);
    vm->counts.dead_letters++;
    count_name(vm->dead, vm->failure.stage, 1);
    if (vm->letter_output.wires.empty() || vm->letter.failed) return;
    vm->letter.reserve(64);
    memset(vm->letter.bytes + vm->letter.length, 0, 64);
    const char *text = vm->letter.bytes;
    vm->in_letter = true;
    for (int attempt = 0; attempt < 2; attempt++) {
        begin_record(vm);
        vm->arena.reset();
        Node *node = fresh_node(vm, text, vm->letter.length);
        if (node && deliver(vm, vm->letter_output, node)) {
            commit(vm);
            break;
        }
        // A rule that fails on a dead letter must not lose it: it goes on as it is.
        roll_back(vm);
        vm->skip_rules = true;
        count_name(vm->metrics, "dead_letter_stage_errors", 1);
    }
    vm->in_letter = vm->skip_rules = false;
}

static void reject_line(tw_vm *vm, const char *problem) {
    char reason[400];
    int length = snprintf(reason, sizeof reason, "%s", problem);
    begin_record(vm);
    note_failure(vm, "malformed", reason, size_t(length));
    vm->failure.error_length = 0;
    vm->failure.stage = vm->origin.source;
    vm->failure.file = "";
    deliver_letter(vm);
}

// ---- one record

static Node *root_node(tw_vm *vm, const char *text, size_t length) {
    Node *root = vm->arena.make<Node>();
    if (!root) return nullptr;
    *root = Node{};
    root->text = text;
    root->length = uint32_t(length);
    root->fields = vm->fields.items;
    root->count = vm->fields.count;
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
    if (attempt_record(vm, text, length, partition)) {
        commit(vm);
        return;
    }
    roll_back(vm);
    bool was_error = !strcmp(vm->failure.kind, "error") || !strcmp(vm->failure.kind, "budget");
    if (vm->config.trace && was_error) {
        vm->trace.active = true;
        bool repeated = !attempt_record(vm, text, length, partition);
        vm->trace.active = false;
        roll_back(vm);
        vm->failure.traced = repeated;
        if (!repeated) {  // It does not fail again: keep the first story.
            note_failure(vm, "error", vm->error_text.bytes, vm->error_text.length);
            vm->failure.stage = vm->stages.empty() ? "" : vm->stages[0].name.c_str();
        }
    }
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

struct Visitor {
    tw_vm *vm;
    const tw_batch *batch;
    uint16_t *partitions_out;  // filled instead of running, when not NULL
    size_t capacity, index = 0;

    void visit(const char *text, size_t length, const char *problem) {
        size_t record = index++;
        if (partitions_out) {
            if (record < capacity)
                partitions_out[record] = problem ? 0 : uint16_t(find_partition(text, length));
            return;
        }
        int32_t partition = -1;
        if (batch->partitions) {
            partition = batch->partitions[record];
            if (batch->workers && partition % batch->workers != batch->worker) return;
        }
        vm->counts.read++;
        if (problem) reject_line(vm, problem);
        else run_text(vm, text, length, partition);
    }

    uint32_t find_partition(const char *text, size_t length) {
        Problem problem;
        if (length > vm->config.record_limit ||
            !vm->ingress.read_object(text, length, vm->fields, problem))
            return 0;
        vm->arena.reset();
        Node *root = root_node(vm, text, length);
        return root ? partition_of(vm, root) : 0;
    }
};

// Whole lines from `at` that fit the caches while they are walked; 0 when not even one does.
static size_t window_length(const char *at, const char *end) {
    constexpr ptrdiff_t window = 32 << 10;
    if (end - at <= window) return size_t(end - at);
    auto last = static_cast<const char *>(memrchr(at, '\n', window));
    return last ? size_t(last + 1 - at) : 0;
}

static void visit_lines(Visitor &visitor) {
    const tw_batch *batch = visitor.batch;
    Origin &origin = visitor.vm->origin;
    const char *at = reinterpret_cast<const char *>(batch->bytes), *end = at + batch->length;
    const char *start = at, *window_end = at;
    for (uint64_t line = batch->line; at < end; line++) {
        if (at >= window_end) {
            size_t length = window_length(at, end);
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
        }
        at = stop + 1;
    }
}

static void visit_entries(Visitor &visitor) {
    const tw_batch *batch = visitor.batch;
    Origin &origin = visitor.vm->origin;
    const char *bytes = reinterpret_cast<const char *>(batch->bytes);
    const char *originals = reinterpret_cast<const char *>(batch->originals);
    char problem[400];
    for (size_t i = 0; i < batch->entry_count; i++) {
        const tw_entry &entry = batch->entries[i];
        origin.position = entry.position;
        origin.line = entry.line;
        origin.original = originals + entry.original_offset;
        origin.original_length = entry.original_length;
        origin.original_full_length = entry.original_full_length;
        if (entry.problem_length)
            snprintf(problem, sizeof problem, "%.*s", int(entry.problem_length),
                     originals + entry.problem_offset);
        // The scanners read beyond the end, but a record must not see its neighbour's bytes only
        // in the sense of JSON: each text is complete in itself, so nothing needs to be copied.
        visitor.visit(bytes + entry.offset, entry.length, entry.problem_length ? problem : nullptr);
    }
}

static void visit(Visitor &visitor) {
    tw_vm *vm = visitor.vm;
    vm->origin = Origin{};
    vm->origin.source = visitor.batch->source;
    vm->origin.file = visitor.batch->file;
    vm->now_milliseconds = vm->config.now_milliseconds;
    if (vm->now_milliseconds == 0) {
        timespec time;
        clock_gettime(CLOCK_REALTIME, &time);
        vm->now_milliseconds = int64_t(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
    }
    visitor.batch->entry_count ? visit_entries(visitor) : visit_lines(visitor);
    // A small heap is collected rarely: marking the libraries again and again would cost more
    // than the garbage of a few hundred records.
    lua_gc(vm->L, LUA_GCSETPAUSE, vm->memory.used < (1 << 20) ? 1000 : 200);
}

}  // namespace tidewheel

using namespace tidewheel;

tw_status tw_vm_run(tw_vm *vm, const tw_batch *batch, tw_buffer *const *sinks) {
    tw_status status{};
    vm->sinks = sinks;
    Visitor visitor{vm, batch, nullptr, 0};
    visit(visitor);
    for (uint32_t i = 0; i < vm->sink_count; i++) {
        if (!sinks[i]->failed) continue;
        status.code = TW_OUT_OF_MEMORY;
        snprintf(status.message, sizeof status.message, "out of memory for the rows of a batch");
    }
    return status;
}

size_t tw_vm_partition(tw_vm *vm, const tw_batch *batch, uint16_t *partitions, size_t capacity) {
    Visitor visitor{vm, batch, partitions, capacity};
    visit(visitor);
    return visitor.index;
}
