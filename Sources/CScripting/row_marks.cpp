#include "internal/row_marks.h"

#include "internal/vm.h"

namespace tidewheel {

static tw_mark mark_of(const tw_vm *vm) {
    tw_mark mark{};
    mark.ordinal = vm->record_index;
    mark.due = vm->timer.active ? vm->timer.at : INT64_MAX;
    return mark;
}

void note_marks(tw_vm *vm) {
    for (uint32_t i = 0; i < vm->sink_count; i++) {
        tw_buffer &sink = *vm->sinks[i];
        if (!sink.marks || sink.length == vm->marks[i]) continue;
        std::vector<tw_mark> &marks = sink.marks->marks;
        tw_mark mark = mark_of(vm);
        mark.end = sink.length;
        mark.rows = uint32_t(sink.rows);
        if (vm->timer.active) {
            mark.name_offset = uint32_t(sink.marks->names.size());
            mark.name_length = uint32_t(vm->timer.name.size());
            sink.marks->names += vm->timer.name;
        } else if (!marks.empty() && marks.back().ordinal == mark.ordinal &&
                   marks.back().due == INT64_MAX) {
            marks.pop_back();  // A record and its dead letter stand together.
        }
        marks.push_back(mark);
    }
}

}  // namespace tidewheel

void tw_buffer_keep_marks(tw_buffer *buffer) {
    if (!buffer->marks) buffer->marks = new tidewheel::RowMarks;
}

const tw_mark *tw_buffer_marks(const tw_buffer *buffer, size_t *count) {
    *count = buffer->marks ? buffer->marks->marks.size() : 0;
    return buffer->marks ? buffer->marks->marks.data() : nullptr;
}

const char *tw_buffer_names(const tw_buffer *buffer) {
    return buffer->marks ? buffer->marks->names.data() : nullptr;
}
