// A dead letter as JSON: what came, where it failed, why, and the values on the way there.
#include <time.h>

#include "internal/vm.h"

namespace tidewheel {

static void name(Text &out, const char *key) {
    out.append(out.length > 1 ? ",\"" : "\"", out.length > 1 ? 2 : 1);
    out.append_word(key);
    out.append_literal("\":");
}

static void text_field(Text &out, const char *key, const char *text, size_t length) {
    name(out, key);
    write_string(out, text, length);
}

static void base64(Text &out, const char *text, size_t length) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.append('"');
    for (size_t i = 0; i < length; i += 3) {
        uint32_t word = uint32_t(uint8_t(text[i])) << 16;
        if (i + 1 < length) word |= uint32_t(uint8_t(text[i + 1])) << 8;
        if (i + 2 < length) word |= uint8_t(text[i + 2]);
        char group[4] = {digits[word >> 18], digits[word >> 12 & 63],
                         i + 1 < length ? digits[word >> 6 & 63] : '=',
                         i + 2 < length ? digits[word & 63] : '='};
        out.append(group, 4);
    }
    out.append('"');
}

static void write_original(const Origin &origin, Text &out) {
    if (valid_utf8(origin.original, origin.original_length)) {
        text_field(out, "original", origin.original, origin.original_length);
    } else {
        name(out, "original_base64");
        base64(out, origin.original, origin.original_length);
    }
    if (origin.original_full_length <= origin.original_length) return;
    name(out, "original_length");
    write_integer(out, int64_t(origin.original_full_length));
}

static void write_findings(const Failure &failure, Text &out) {
    name(out, "findings");
    out.append('[');
    for (uint32_t i = 0; i < failure.findings->count; i++) {
        const Finding &finding = failure.findings->items[i];
        if (i) out.append(',');
        out.append_literal("{\"field\":");
        write_string(out, finding.field, strlen(finding.field));
        out.append_literal(",\"problem\":");
        write_string(out, finding.problem, strlen(finding.problem));
        if (finding.value_length) {
            out.append_literal(",\"value\":");
            out.append(failure.findings_text + finding.value_offset, finding.value_length);
        }
        out.append_literal(",\"rule\":");
        write_string(out, finding.rule, strlen(finding.rule));
        out.append('}');
    }
    out.append(']');
}

static void write_trace(Trace &trace, Text &out) {
    name(out, "trace");
    out.append('[');
    uint32_t first = trace.count > trace_limit ? trace.count - trace_limit : 0;
    Text line;
    for (uint32_t i = first; i < trace.count; i++) {
        TraceLine &entry = trace.at(i);
        line.clear();
        line.append_word(entry.file);
        line.append(':');
        write_integer(line, entry.line);
        line.append(':');
        if (entry.length) line.append(' ');
        line.append(entry.text, entry.length);
        if (i > first) out.append(',');
        if (valid_utf8(line.bytes, line.length)) write_string(out, line.bytes, line.length);
        else write_string(out, line.bytes, line.length - entry.length);
    }
    free(line.bytes);
    out.append(']');
}

// An error that Lua gave no line, such as a wrong return value, came after the last one traced.
static int32_t line_of(tw_vm *vm) {
    const Failure &failure = vm->failure;
    if (failure.line > 0 || !failure.traced || !vm->trace.count) return failure.line;
    const TraceLine &last = vm->trace.at(vm->trace.count - 1);
    return strcmp(last.file, failure.file) ? 0 : int32_t(last.line);
}

void write_letter(tw_vm *vm, Text &out) {
    const Failure &failure = vm->failure;
    out.append('{');
    text_field(out, "stage", failure.stage, strlen(failure.stage));
    text_field(out, "reason", failure.reason, failure.reason_length);
    text_field(out, "kind", failure.kind, strlen(failure.kind));
    if (failure.error_length) text_field(out, "error", failure.error, failure.error_length);
    if (*failure.file) text_field(out, "file", failure.file, strlen(failure.file));
    if (int32_t line = line_of(vm); line > 0) {
        name(out, "line");
        write_integer(out, line);
    }
    if (failure.field_length) text_field(out, "field", failure.field, failure.field_length);
    text_field(out, "rule_set", vm->config.rule_set, strlen(vm->config.rule_set));
    vm->scratch.clear();
    record_id(vm, vm->scratch);
    text_field(out, "id", vm->scratch.bytes, vm->scratch.length);
    text_field(out, "source", vm->origin.source, strlen(vm->origin.source));
    text_field(out, "source_file", vm->origin.file, strlen(vm->origin.file));
    name(out, "source_line");
    write_integer(out, int64_t(vm->origin.line));
    name(out, "position");
    write_integer(out, int64_t(vm->origin.position));
    char time[32];
    text_field(out, "at", time, format_timestamp(vm->now_milliseconds, time));
    if (failure.findings) write_findings(failure, out);
    if (failure.traced && vm->trace.count) write_trace(vm->trace, out);
    // A record that a connector has made from other bytes, such as a row of CSV, goes along.
    bool is_made = vm->origin.is_entry && strcmp(failure.kind, "malformed") != 0 &&
                   !vm->origin.is_continued &&
                   vm->root_text && vm->root_length &&
                   (vm->root_length != vm->origin.original_length ||
                    memcmp(vm->root_text, vm->origin.original, vm->root_length) != 0);
    if (is_made) {
        name(out, "record");
        out.append(vm->root_text, vm->root_length);
    }
    write_original(vm->origin, out);
    out.append('}');
}

void deliver_letter(tw_vm *vm) {
    vm->letter.clear();
    write_letter(vm, vm->letter);
    vm->counts.dead_letters++;
    count_name(vm->dead, vm->failure.stage, 1);
    if (vm->tools.meter) meter_letter(vm);
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

}  // namespace tidewheel
