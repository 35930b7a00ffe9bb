// A batch, record by record, each one as a transaction over all stages and branches.
#include <time.h>

#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

static bool deliver(tw_vm *vm, const Output &output, Node *record);

// ---- the transaction

static void begin_record(tw_vm *vm) {
    for (uint32_t i = 0; i < vm->sink_count; i++) {
        vm->marks[i] = vm->sinks[i]->length;
        vm->row_marks[i] = vm->sinks[i]->rows;
    }
    vm->pending.clear();
    vm->failure = Failure{};
}

static void roll_back(tw_vm *vm) {
    for (uint32_t i = 0; i < vm->sink_count; i++) {
        vm->sinks[i]->length = vm->marks[i];
        vm->sinks[i]->rows = vm->row_marks[i];
    }
    vm->pending.clear();
    vm->state.roll_back();
}

static void count_name(std::unordered_map<std::string, double> &table, std::string_view name,
                       double value) {
    constexpr size_t limit = 1000;  // names come from data, so they are bounded
    std::string key(name);
    if (table.size() >= limit && !table.contains(key)) key = "(others)";
    table[key] += value;
}

static void commit(tw_vm *vm) {
    Pending &pending = vm->pending;
    vm->state.commit();
    vm->counts.extra += uint64_t(pending.extra);
    vm->counts.dropped += pending.dropped;
    for (size_t i = 0; i < pending.names.size(); i++) {
        auto &[kind, name] = pending.names[i];
        auto &table = kind == TW_COUNT_DROPPED ? vm->dropped
                      : kind == TW_COUNT_METRIC ? vm->metrics
                                                : vm->unconnected;
        count_name(table, name, pending.values[i]);
    }
}

static void pend(tw_vm *vm, int kind, std::string name, double value) {
    vm->pending.names.emplace_back(kind, std::move(name));
    vm->pending.values.push_back(value);
}

// A record that leaves the pipeline by decision of a rule.
static void count_drop(tw_vm *vm, std::string reason) {
    if (vm->in_letter) {
        pend(vm, TW_COUNT_METRIC, "dead_letters_dropped", 1);
        return;
    }
    vm->pending.dropped++;
    pend(vm, TW_COUNT_DROPPED, std::move(reason), 1);
}

// ---- stages

static bool fail(tw_vm *vm, const Stage &stage, const char *kind, const char *reason, size_t n) {
    note_failure(vm, kind, reason, n);
    vm->failure.stage = stage.name.c_str();
    vm->failure.error_length = 0;
    return false;
}

static bool fail_memory(tw_vm *vm, const Stage &stage) {
    static const char text[] = "memory limit exceeded: the record and its changes are too large";
    return fail(vm, stage, "budget", text, sizeof text - 1);
}

static const Output *find_output(const Stage &stage, const char *name, size_t length) {
    for (size_t i = 1; i < stage.outputs.size(); i++)
        if (stage.outputs[i].name == std::string_view(name, length)) return &stage.outputs[i];
    return nullptr;
}

static Node *fresh_node(tw_vm *vm, const char *text, size_t length) {
    Node *node = make_node(vm->arena, text, length, nullptr);
    return node && index_node(vm->arena, node, vm->nested_fields) ? node : nullptr;
}

// The record as it is now, as text with nothing pending.
static Node *settled(tw_vm *vm, Node *record) {
    if (!record->dirty) return record;
    vm->scratch.clear();
    write_node(vm->scratch, record);
    if (vm->scratch.failed) return nullptr;
    const char *text = vm->arena.copy(vm->scratch.bytes, vm->scratch.length);
    return text ? fresh_node(vm, text, vm->scratch.length) : nullptr;
}

static bool check_schema(tw_vm *vm, const Stage &stage, Node *&record) {
    record = settled(vm, record);
    if (!record) return fail_memory(vm, stage);
    FieldList fields{record->fields, record->count, record->count};
    if (schema_validate(stage.schema, record->text, record->length, fields, vm->findings))
        return true;
    const Finding &first = vm->findings.items[0];
    char reason[640], more[48] = "";
    if (vm->findings.total > 1)
        snprintf(more, sizeof more, " (and %u more)", vm->findings.total - 1);
    int length = snprintf(reason, sizeof reason, "%s: %s, wanted %s%s",
                          *first.field ? first.field : "record", first.problem, first.rule, more);
    fail(vm, stage, "invalid", reason, size_t(length));
    vm->failure.file = stage.schema_file.c_str();
    vm->failure.field = first.field;
    vm->failure.field_length = strlen(first.field);
    vm->failure.findings = &vm->findings;
    vm->failure.findings_text = record->text;
    return false;
}

static bool deliver_made(tw_vm *vm, const Stage &stage, const MadeList &list) {
    for (const Made *made = list.first; made; made = made->next) {
        const Output *output = &stage.outputs[0];
        if (made->output) output = find_output(stage, made->output, strlen(made->output));
        if (!output) {
            count_drop(vm, "no sink for " + stage.name + "." + made->output);
            continue;
        }
        Node *node = fresh_node(vm, made->text, made->length);
        if (!node) return fail_memory(vm, stage);
        if (!deliver(vm, *output, node)) return false;
    }
    return true;
}

static bool route_to(tw_vm *vm, const Stage &stage, Node *record, const char *name, size_t n) {
    if (const Output *output = find_output(stage, name, n)) return deliver(vm, *output, record);
    count_drop(vm, "no sink for " + stage.name + "." + std::string(name, n));
    return true;
}

static bool run_script(tw_vm *vm, uint32_t index, Node *record) {
    const Stage &stage = vm->stages[index];
    Call call{vm, CallKind::process, index, record};
    if (run_call(vm, call) != LUA_OK) return false;
    MadeList emitted = vm->emitted;
    vm->pending.extra += int64_t(emitted.count);
    const VerdictObject *verdict = call.verdict;
    if (call.result == Call::Result::reject) {
        fail(vm, stage, "rejected", verdict->reason(), verdict->reason_length);
        vm->failure.file = stage.file.c_str();
        vm->failure.line = verdict->line;
        char *field = vm->arena.copy(verdict->field(), verdict->field_length);
        vm->failure.field = field ? field : "";
        vm->failure.field_length = field ? verdict->field_length : 0;
        return false;
    }
    // The verdict may be collected once other rules run, so its name is kept first.
    std::string name;
    if (verdict) name.assign(verdict->reason(), verdict->reason_length);
    if (emitted.count && !deliver_made(vm, stage, emitted)) return false;
    switch (call.result) {
    case Call::Result::drop: count_drop(vm, std::move(name)); return true;
    case Call::Result::route: return route_to(vm, stage, record, name.data(), name.size());
    case Call::Result::list:
        vm->pending.extra += int64_t(call.list.count) - 1;
        return deliver_made(vm, stage, call.list);
    default: return deliver(vm, stage.outputs[0], record);
    }
}

}  // namespace tidewheel

struct tw_verdict {
    int action = TW_PASS;
    std::string text;
};

void tw_verdict_set(tw_verdict *verdict, int action, const char *text, size_t length) {
    verdict->action = action;
    verdict->text.assign(text ? text : "", length);
}

namespace tidewheel {

static bool replace_record(tw_vm *vm, const Stage &stage, const std::string &json) {
    Problem problem;
    const char *text = vm->arena.copy(json.data(), json.size());
    if (!text) return fail_memory(vm, stage);
    if (!vm->checker.read_object(text, json.size(), vm->nested_fields, problem)) {
        char reason[300];
        int n = snprintf(reason, sizeof reason, "the stage returned no JSON object: %s",
                         problem.text);
        return fail(vm, stage, "error", reason, size_t(n));
    }
    Node *node = fresh_node(vm, text, json.size());
    return node ? deliver(vm, stage.outputs[0], node) : fail_memory(vm, stage);
}

static bool run_native(tw_vm *vm, uint32_t index, Node *record) {
    const Stage &stage = vm->stages[index];
    record = settled(vm, record);
    if (!record) return fail_memory(vm, stage);
    tw_verdict verdict;
    stage.native(stage.native_context, reinterpret_cast<const uint8_t *>(record->text),
                 record->length, &verdict);
    switch (verdict.action) {
    case TW_REPLACE: return replace_record(vm, stage, verdict.text);
    case TW_DROP: count_drop(vm, verdict.text); return true;
    case TW_REJECT:
        return fail(vm, stage, "rejected", verdict.text.data(), verdict.text.size());
    case TW_ROUTE:
        return route_to(vm, stage, record, verdict.text.data(), verdict.text.size());
    default: return deliver(vm, stage.outputs[0], record);
    }
}

static bool run_stage(tw_vm *vm, uint32_t index, Node *record) {
    const Stage &stage = vm->stages[index];
    if (vm->skip_rules) return deliver(vm, stage.outputs[0], record);
    if (stage.schema && !check_schema(vm, stage, record)) return false;
    if (stage.process != LUA_NOREF) return run_script(vm, index, record);
    if (stage.native) return run_native(vm, index, record);
    return deliver(vm, stage.outputs[0], record);
}

static void write_row(tw_vm *vm, tw_buffer *sink, const Node *record) {
    (void)vm;
    write_node(*sink, record);
    sink->append('\n');
    sink->rows++;
}

static bool deliver(tw_vm *vm, const Output &output, Node *record) {
    if (output.wires.empty()) {
        count_drop(vm, "no sink for " + output.name);
        return true;
    }
    for (const Wire &wire : output.wires)
        if (wire.kind == TW_TO_SINK) write_row(vm, vm->sinks[wire.target], record);
    const Wire *waiting = nullptr;
    for (const Wire &wire : output.wires) {
        if (wire.kind != TW_TO_STAGE) continue;
        if (waiting) {  // Not the last branch: it gets a record of its own.
            Node *copy = settled(vm, record);
            if (copy == record) copy = fresh_node(vm, record->text, record->length);
            if (!copy) return fail_memory(vm, vm->stages[size_t(waiting->target)]);
            if (!run_stage(vm, uint32_t(waiting->target), copy)) return false;
        }
        waiting = &wire;
    }
    return !waiting || run_stage(vm, uint32_t(waiting->target), record);
}

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
            size_t kept = 64 << 10;
            while ((static_cast<unsigned char>(text[kept]) & 0xC0) == 0x80) kept--;
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

static void visit_lines(Visitor &visitor) {
    const tw_batch *batch = visitor.batch;
    Origin &origin = visitor.vm->origin;
    const char *at = reinterpret_cast<const char *>(batch->bytes), *end = at + batch->length;
    const char *start = at;
    for (uint64_t line = batch->line; at < end; line++) {
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
