// A record on its way through the stages and branches, from one output to the next.
#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

// ---- stages

static bool fail(tw_vm *vm, const Stage &stage, const char *kind, const char *reason, size_t n) {
    note_failure(vm, kind, reason, n);
    vm->failure.stage = stage.name.c_str();
    vm->failure.error_length = 0;
    return false;
}

static bool fail_memory(tw_vm *vm, const Stage &stage) {
    static const char text[] = "memory limit exceeded: the record and its changes are too large";
    lua_gc(vm->L, LUA_GCCOLLECT);  // Copies that nobody holds may be what takes the room.
    return fail(vm, stage, "budget", text, sizeof text - 1);
}

static const Output *find_output(const Stage &stage, const char *name, size_t length) {
    for (size_t i = 1; i < stage.outputs.size(); i++)
        if (stage.outputs[i].name == std::string_view(name, length)) return &stage.outputs[i];
    return nullptr;
}

Node *fresh_node(tw_vm *vm, const char *text, size_t length) {
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

bool deliver_made(tw_vm *vm, const Stage &stage, const MadeList &list) {
    for (const Made *made = list.first; made; made = made->next) {
        const Output *output = &stage.outputs[0];
        if (made->output) output = find_output(stage, made->output, strlen(made->output));
        if (!output) {
            count_drop(vm, *made->output ? "no sink for " + stage.name + "." + made->output
                                         : std::string(other_name));
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
    if (call.result == Call::Result::snooze)
        return fail(vm, stage, "snoozed", verdict->reason(), verdict->reason_length);
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

[[gnu::noinline]] static bool fail_emitted(tw_vm *vm) {
    char reason[128];
    int length = snprintf(
        reason, sizeof reason, "more than %zu KiB of rows came of one record (limits.emitted)",
        vm->config.emitted_limit >> 10);
    note_failure(vm, "budget", reason, size_t(length));
    const bool in_stage = vm->stage >= 0 && size_t(vm->stage) < vm->stages.size();
    vm->failure.stage = in_stage ? vm->stages[size_t(vm->stage)].name.c_str() : vm->origin.source;
    return false;
}

// False when the record has become too many rows; a dead letter, which no rule made, never has.
static bool write_row(tw_vm *vm, int32_t target, const Node *record) {
    tw_buffer &sink = *vm->sinks[target];
    write_node(sink, record);
    sink.append('\n');
    sink.rows++;
    const size_t written = sink.length - vm->marks[size_t(target)];
    return written <= vm->config.emitted_limit || vm->in_letter || fail_emitted(vm);
}

// The same for the rows that windows take.
static bool check_rows(tw_vm *vm, int32_t aggregate) {
    if (!vm->rows) return true;
    const tw_rows &rows = *vm->rows[aggregate];
    const RowMark &mark = vm->rows_marks[size_t(aggregate)];
    const size_t written = rows.text.length - mark.text +
                           (rows.rows.size() - mark.rows) * sizeof(tw_row) +
                           (rows.cells.size() - mark.cells) * sizeof(tw_cell);
    return written <= vm->config.emitted_limit || vm->in_letter || fail_emitted(vm);
}

static bool run_stage(tw_vm *vm, uint32_t index, Node *record) {
    const Stage &stage = vm->stages[index];
    // A dead letter that a window cannot take goes on where else it can.
    if (stage.aggregate >= 0)
        return vm->skip_rules ||
               (append_row(vm, index, record) && check_rows(vm, stage.aggregate));
    if (vm->skip_rules) return deliver(vm, stage.outputs[0], record);
    if (stage.schema && !check_schema(vm, stage, record)) return false;
    if (stage.process != LUA_NOREF) return run_script(vm, index, record);
    if (stage.native) return run_native(vm, index, record);
    return deliver(vm, stage.outputs[0], record);
}

bool deliver(tw_vm *vm, const Output &output, Node *record) {
    if (output.wires.empty()) {
        count_drop(vm, "no sink for " + output.name);
        return true;
    }
    for (const Wire &wire : output.wires)
        if (wire.kind == TW_TO_SINK && !write_row(vm, wire.target, record)) return false;
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

}  // namespace tidewheel
