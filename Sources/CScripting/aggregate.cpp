#include "internal/aggregate.h"

#include <cmath>
#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

static PathStep step(std::string name) {
    uint32_t tag = key_tag(name.data(), name.size());
    return PathStep{std::move(name), tag};
}

FieldPath::FieldPath(const char *field) : whole(step(field)) {
    std::string text = field;
    if (text.find('.') == std::string::npos) return;
    for (size_t at = 0; at <= text.size();) {
        size_t dot = text.find('.', at);
        if (dot == std::string::npos) dot = text.size();
        steps.push_back(step(text.substr(at, dot - at)));
        at = dot + 1;
    }
}

// A value of a record as it is now: JSON text, or what a rule has put there.
struct Found {
    const Value *value = nullptr;
    const char *text = nullptr;
    size_t length = 0;
    Kind kind = Kind::null;
    bool escaped = false;
};

static bool is_written(const Value &value) {
    return value.tag != Value::Tag::none && value.tag != Value::Tag::deleted;
}

static bool find_step(tw_vm *vm, Node *node, const PathStep &step, Found &found) {
    if (!index_node(vm->arena, node, vm->nested_fields) || !prepare_keys(vm->arena, node))
        return false;
    uint32_t index = find_field(node, step.name.data(), step.name.size(), step.tag);
    if (index != not_found) {
        if (node->values && node->values[index].tag == Value::Tag::deleted) return false;
        if (node->values && is_written(node->values[index])) {
            found.value = &node->values[index];
            return true;
        }
        const Field &field = node->fields[index];
        found.value = nullptr;
        found.text = node->text + field.value_offset;
        found.length = field.value_length;
        found.kind = field.kind;
        found.escaped = field.value_escaped;
        return true;
    }
    index = find_added(node, step.name.data(), step.name.size());
    if (index == not_found || !is_written(node->added[index].value)) return false;
    found.value = &node->added[index].value;
    return true;
}

static bool find_path(tw_vm *vm, Node *record, const FieldPath &path, Found &found) {
    if (find_step(vm, record, path.whole, found)) return true;
    if (path.steps.empty()) return false;
    Node *node = record;
    for (size_t i = 0; i < path.steps.size(); i++) {
        if (!node || node->is_array || !find_step(vm, node, path.steps[i], found)) return false;
        if (found.value)
            node = found.value->tag == Value::Tag::node ? found.value->node : nullptr;
        else if (i + 1 < path.steps.size())
            node = found.kind == Kind::object
                       ? make_node(vm->arena, found.text, found.length, nullptr) : nullptr;
    }
    return true;
}

// ---- cells

enum : uint32_t { cell_missing, cell_integer, cell_number, cell_string, cell_boolean,
                  cell_composite, cell_big };

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void read_number_text(const char *text, size_t length, Kind kind, tw_cell &cell) {
    int64_t integer;
    if (kind == Kind::integer && parse_integer(text, length, integer)) {
        cell.kind = cell_integer;
        cell.bits = uint64_t(integer);
        return;
    }
    double value = parse_decimal(text, length);
    cell.bits = bits_of(value);
    // Up to fifteen digits name exactly one double, and writing that gives the digits back.
    bool exact = kind == Kind::decimal && length <= 16 && std::isfinite(value);
    cell.kind = exact || kind == Kind::decimal ? cell_number : cell_big;
}

// Appends a string as JSON text in which the same characters always look the same.
static void append_string(tw_vm *vm, Text &out, const Found &found) {
    if (!found.escaped) {
        out.append(found.text, found.length);
        return;
    }
    char *decoded = vm->arena.make<char>(found.length + 1);
    if (!decoded) {
        out.failed = true;
        return;
    }
    size_t length = decode_string(found.text + 1, found.length - 2, decoded);
    write_string(out, decoded, length);
}

static void read_value_cell(const Value &value, Text &out, tw_cell &cell) {
    switch (value.tag) {
    case Value::Tag::boolean:
        cell.kind = cell_boolean;
        cell.bits = value.boolean;
        break;
    case Value::Tag::integer:
        cell.kind = cell_integer;
        cell.bits = uint64_t(value.integer);
        break;
    case Value::Tag::number:
        cell.kind = cell_number;
        cell.bits = bits_of(value.number);
        break;
    case Value::Tag::string: cell.kind = cell_string; break;
    case Value::Tag::exact: {
        bool whole = true;
        for (uint32_t i = 0; i < value.length; i++) {
            const char c = value.text[i];
            if (c == '.' || c == 'e' || c == 'E') whole = false;
        }
        read_number_text(value.text, value.length, whole ? Kind::integer : Kind::decimal, cell);
        break;
    }
    case Value::Tag::node:
        cell.kind = cell_composite;
        write_node(out, value.node);
        break;
    default: cell.kind = cell_missing;
    }
    if (cell.kind == cell_string) write_string(out, value.text, value.length);
}

static void read_text_cell(tw_vm *vm, const Found &found, Text &out, tw_cell &cell) {
    switch (found.kind) {
    case Kind::null: cell.kind = cell_missing; break;
    case Kind::boolean:
        cell.kind = cell_boolean;
        cell.bits = *found.text == 't';
        break;
    case Kind::integer:
    case Kind::decimal: read_number_text(found.text, found.length, found.kind, cell); break;
    case Kind::string:
        cell.kind = cell_string;
        append_string(vm, out, found);
        break;
    default:
        cell.kind = cell_composite;
        out.append(found.text, found.length);
    }
}

// Numbers keep their digits where they are asked for, or where no number type holds them.
static void append_number_text(const Column &column, const Found &found, Text &out, tw_cell &cell) {
    bool is_number = cell.kind == cell_integer || cell.kind == cell_number;
    if (cell.kind != cell_big && !(is_number && column.needs_text)) return;
    if (found.value) write_value(out, *found.value);
    else out.append(found.text, found.length);
}

static const char *problem_of(const Column &column, const tw_cell &cell) {
    if (cell.kind == cell_missing || column.requirement == 0) return nullptr;
    bool is_number =
        cell.kind == cell_integer || cell.kind == cell_number || cell.kind == cell_big;
    if (is_number && cell.kind != cell_integer) {
        double value;
        memcpy(&value, &cell.bits, sizeof value);
        if (!std::isfinite(value)) return "is beyond the range of numbers";
    }
    if (column.requirement == 2 && !is_number) return "is not a number";
    if (column.requirement == 1 && cell.kind == cell_composite) return "is an object or a list";
    return nullptr;
}

// ---- rows

static bool fail_field(tw_vm *vm, const Stage &stage, const FieldPath &path, const char *problem) {
    char reason[400];
    int length = snprintf(reason, sizeof reason, "field \"%s\" %s", path.whole.name.c_str(),
                          problem);
    note_failure(vm, "invalid", reason, size_t(length) < sizeof reason ? size_t(length) : 399);
    vm->failure.error_length = 0;
    vm->failure.stage = stage.name.c_str();
    vm->failure.field = path.whole.name.c_str();
    vm->failure.field_length = path.whole.name.size();
    return false;
}

// Why a value cannot be a key; nullptr when it was appended.
static const char *append_key(tw_vm *vm, Node *record, const FieldPath &path, Text &out) {
    Found found;
    if (!find_path(vm, record, path, found)) return "is missing, so the record has no key";
    tw_cell cell{};
    size_t start = out.length;
    if (found.value) read_value_cell(*found.value, out, cell);
    else read_text_cell(vm, found, out, cell);
    double number;
    memcpy(&number, &cell.bits, sizeof number);
    switch (cell.kind) {
    case cell_missing: return "is null, so the record has no key";
    case cell_composite:
        out.length = start;
        return "is an object or a list and cannot be a key";
    case cell_boolean: out.append_word(cell.bits ? "true" : "false"); break;
    case cell_integer: write_integer(out, int64_t(cell.bits)); break;
    case cell_big:
        if (found.value) write_value(out, *found.value);
        else out.append(found.text, found.length);
        break;
    case cell_number:
        // 2500 and 2500.0 are the same value, so they are the same key.
        if (!std::isfinite(number)) return "is beyond the range of numbers";
        if (number == std::floor(number) && std::fabs(number) < 9007199254740992.0)
            write_integer(out, int64_t(number));
        else write_number(out, number);
        break;
    }
    return nullptr;
}

static bool append_cells(tw_vm *vm, const Stage &stage, Node *record, tw_rows &rows) {
    for (const Column &column : vm->aggregates[size_t(stage.aggregate)].columns) {
        Found found;
        tw_cell cell{};
        if (find_path(vm, record, column.path, found)) {
            cell.text_offset = rows.text.length;
            if (found.value) read_value_cell(*found.value, rows.text, cell);
            else read_text_cell(vm, found, rows.text, cell);
            append_number_text(column, found, rows.text, cell);
            cell.text_length = uint32_t(rows.text.length - cell.text_offset);
            if (const char *problem = problem_of(column, cell))
                return fail_field(vm, stage, column.path, problem);
        }
        rows.cells.push_back(cell);
    }
    return true;
}

static bool prepare_row(tw_vm *vm, const Stage &stage, const Aggregate &aggregate, tw_rows &rows) {
    tw_failure failure{};
    std::string file;
    vm->prepared = true;
    if (aggregate.config.prepare(aggregate.config.context, &rows, rows.rows.size() - 1, &failure))
        return true;
    note_failure(vm, vm->failure.kind && !strcmp(vm->failure.kind, "budget") ? "budget" : "error",
                 failure.message, strlen(failure.message));
    snprintf(vm->failure_file, sizeof vm->failure_file, "%s", failure.file);
    vm->failure.stage = stage.name.c_str();
    vm->failure.file = vm->failure_file;
    vm->failure.line = failure.line;
    return false;
}

bool append_row(tw_vm *vm, uint32_t index, Node *record) {
    const Stage &stage = vm->stages[index];
    const Aggregate &aggregate = vm->aggregates[size_t(stage.aggregate)];
    if (!vm->rows) return true;
    tw_rows &rows = *vm->rows[stage.aggregate];
    rows.columns = uint32_t(aggregate.columns.size());
    tw_row row{};
    row.time = vm->event_time;
    // A dead letter without a time of its own stands where time is, so that it is never late.
    row.stands = row.time == TW_NO_TIME;
    if (row.stands)
        row.time = vm->watermark == TW_NO_TIME ? vm->now_milliseconds : vm->watermark + 1;
    // What a timer emits belongs to the time at which it was due, even if time is beyond that; one
    // that was due already when it was set comes as late as the record that has set it.
    row.watermark = vm->watermark;
    if (vm->timer.active)
        row.watermark = vm->event_time > vm->fired_until ? vm->event_time - 1 : vm->fired_until;
    row.ordinal = vm->record_index;
    row.key_offset = rows.text.length;
    for (size_t i = 0; i < aggregate.keys.size(); i++) {
        if (i) rows.text.append(',');
        if (const char *problem = append_key(vm, record, aggregate.keys[i], rows.text))
            return fail_field(vm, stage, aggregate.keys[i], problem);
    }
    row.key_length = uint32_t(rows.text.length - row.key_offset);
    if (!append_cells(vm, stage, record, rows)) return false;
    if (aggregate.config.needs_record) {
        row.record_offset = rows.text.length;
        write_node(rows.text, record);
        row.record_length = uint32_t(rows.text.length - row.record_offset);
    }
    rows.text.reserve(64);
    rows.rows.push_back(row);
    return !aggregate.config.prepare || prepare_row(vm, stage, aggregate, rows);
}

void mark_rows(tw_vm *vm) {
    if (!vm->rows) return;
    for (size_t i = 0; i < vm->aggregates.size(); i++) {
        const tw_rows &rows = *vm->rows[i];
        vm->rows_marks[i] = RowMark{rows.rows.size(), rows.cells.size(), rows.text.length};
    }
}

void settle_rows(tw_vm *vm, bool committed) {
    if (!vm->rows) return;
    for (size_t i = 0; i < vm->aggregates.size(); i++) {
        if (!committed) {
            vm->rows[i]->rows.resize(vm->rows_marks[i].rows);
            vm->rows[i]->cells.resize(vm->rows_marks[i].cells);
            vm->rows[i]->text.length = vm->rows_marks[i].text;
        }
        const tw_aggregate_config &config = vm->aggregates[i].config;
        if (vm->prepared && config.settle) config.settle(config.context, committed);
    }
    vm->prepared = false;
}

}  // namespace tidewheel

using namespace tidewheel;

tw_rows *tw_rows_create(void) { return new tw_rows; }

void tw_rows_destroy(tw_rows *rows) {
    free(rows->text.bytes);
    delete rows;
}

void tw_rows_clear(tw_rows *rows) {
    rows->rows.clear();
    rows->cells.clear();
    rows->text.clear();
}

void tw_rows_settle_time(tw_rows *rows, int64_t watermark, int64_t newest, int64_t floor) {
    for (tw_row &row : rows->rows) {
        int64_t local = row.watermark > newest ? row.watermark : newest;
        if (floor < local) local = floor;
        row.watermark = local > watermark ? local : watermark;
        if (row.stands && row.watermark != TW_NO_TIME) row.time = row.watermark + 1;
    }
}

tw_rows_view tw_rows_look(const tw_rows *rows) {
    return tw_rows_view{rows->rows.data(), rows->cells.data(), rows->text.bytes, rows->rows.size(),
                        rows->columns};
}

int32_t tw_vm_set_aggregate(tw_vm *vm, int32_t stage, const tw_aggregate_config *config) {
    Aggregate aggregate;
    for (size_t i = 0; i < config->key_count; i++) aggregate.keys.emplace_back(config->keys[i]);
    for (size_t i = 0; i < config->column_count; i++) {
        const tw_column &column = config->columns[i];
        aggregate.columns.push_back(
            Column{FieldPath(column.field), column.requirement, column.needs_text});
    }
    aggregate.config = *config;
    aggregate.config.keys = nullptr;
    aggregate.config.columns = nullptr;
    vm->aggregates.push_back(std::move(aggregate));
    vm->rows_marks.emplace_back();
    vm->stages[size_t(stage)].aggregate = int32_t(vm->aggregates.size()) - 1;
    return int32_t(vm->aggregates.size()) - 1;
}
