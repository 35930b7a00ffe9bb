// One record is one transaction: what it wrote, counted and stored stays or goes as a whole.
#include "internal/row_marks.h"
#include "internal/vm.h"

namespace tidewheel {

void begin_record(tw_vm *vm) {
    for (uint32_t i = 0; i < vm->sink_count; i++) {
        vm->marks[i] = vm->sinks[i]->length;
        vm->row_marks[i] = vm->sinks[i]->rows;
    }
    if (!vm->aggregates.empty()) mark_rows(vm);
    vm->record_open = true;
    vm->pending.clear();
    vm->failure = Failure{};
}

void roll_back(tw_vm *vm) {
    for (uint32_t i = 0; i < vm->sink_count; i++) {
        vm->sinks[i]->length = vm->marks[i];
        vm->sinks[i]->rows = vm->row_marks[i];
    }
    if (!vm->aggregates.empty()) settle_rows(vm, false);
    vm->record_open = false;
    vm->pending.clear();
    vm->state.roll_back();
}

void count_name(CountTable &table, std::string_view name, double value) {
    table[std::string(name)] += value;
}

static void say_once(tw_vm *vm, const char *text) {
    if (vm->names_said || !vm->config.log) return;
    vm->names_said = true;
    vm->config.log(vm->config.log_context, "", text, strlen(text));
}

// Names that rules give may come from data, so there is an end to them.
static void count_given(tw_vm *vm, CountTable &table, const std::string &name, double value) {
    constexpr size_t most = 1000;
    const bool is_new = table.size() >= most && !table.contains(name);
    if (is_new || name == other_name)
        say_once(vm, "some names that rules give to metric, drop and route are counted as "
                     "\"other\": there are more than 1,000 of them, or they have more than 256 "
                     "bytes");
    table[is_new ? std::string(other_name) : name] += value;
}

void commit(tw_vm *vm) {
    Pending &pending = vm->pending;
    vm->state.commit();
    vm->record_open = false;
    if (vm->sink_count && vm->sinks[0]->marks) note_marks(vm);
    if (!vm->aggregates.empty()) settle_rows(vm, true);
    vm->counts.extra += uint64_t(pending.extra);
    vm->counts.dropped += pending.dropped;
    for (size_t i = 0; i < pending.names.size(); i++) {
        auto &[kind, name] = pending.names[i];
        auto &table = kind == TW_COUNT_DROPPED ? vm->dropped
                      : kind == TW_COUNT_METRIC ? vm->metrics
                                                : vm->unconnected;
        count_given(vm, table, name, pending.values[i]);
    }
}

// Few names come again and again, so the last ones are looked at first.
void pend(tw_vm *vm, int kind, std::string_view name, double value) {
    constexpr size_t looked_at = 8;
    Pending &pending = vm->pending;
    if (pending.names.size() >= Pending::most) name = other_name;
    const size_t count = pending.names.size();
    for (size_t i = count; i-- > 0 && count - i <= looked_at;) {
        if (pending.names[i].first != kind || pending.names[i].second != name) continue;
        pending.values[i] += value;
        return;
    }
    pending.names.emplace_back(kind, name);
    pending.values.push_back(value);
}

// A record that leaves the pipeline by decision of a rule.
void count_drop(tw_vm *vm, std::string reason) {
    if (vm->in_letter) {
        pend(vm, TW_COUNT_METRIC, "dead_letters_dropped", 1);
        return;
    }
    vm->pending.dropped++;
    pend(vm, TW_COUNT_DROPPED, reason, 1);
}

}  // namespace tidewheel
