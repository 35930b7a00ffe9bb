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
    constexpr size_t limit = 1000;  // names come from data, so they are bounded
    std::string key(name);
    if (table.size() >= limit && !table.contains(key)) key = "(others)";
    table[key] += value;
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
        count_name(table, name, pending.values[i]);
    }
}

static void pend(tw_vm *vm, int kind, std::string name, double value) {
    vm->pending.names.emplace_back(kind, std::move(name));
    vm->pending.values.push_back(value);
}

// A record that leaves the pipeline by decision of a rule.
void count_drop(tw_vm *vm, std::string reason) {
    if (vm->in_letter) {
        pend(vm, TW_COUNT_METRIC, "dead_letters_dropped", 1);
        return;
    }
    vm->pending.dropped++;
    pend(vm, TW_COUNT_DROPPED, std::move(reason), 1);
}

}  // namespace tidewheel
