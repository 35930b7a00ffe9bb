// Changes of the state as bytes and back: what a commit writes and a restart reads.
//
//     change: kind u8 | gone u8 | stage u16 | key u32 | value u32 | partition u32 | expiry i64
//             | the bytes of stage, key and value
#include <cstdio>
#include <cstring>

#include "internal/vm.h"

namespace tidewheel {

struct ChangeHeader {
    uint8_t kind, gone;
    uint16_t stage_length;
    uint32_t key_length, value_length, partition;
    int64_t expiry;
};
static_assert(sizeof(ChangeHeader) == 24, "it is written as it lies in memory");

static void append_change(void *context, const tw_state_change *change) {
    tw_buffer *out = static_cast<tw_buffer *>(context);
    ChangeHeader header{};
    header.kind = uint8_t(change->kind);
    header.gone = change->value == nullptr && change->kind != TW_STATE_CLOCK;
    header.stage_length = uint16_t(strlen(change->stage));
    header.key_length = uint32_t(change->key_length);
    header.value_length = change->value ? uint32_t(change->value_length) : 0;
    header.partition = change->partition;
    header.expiry = change->expiry;
    tw_buffer_append(out, &header, sizeof header, 0);
    tw_buffer_append(out, change->stage, header.stage_length, 0);
    tw_buffer_append(out, change->key, header.key_length, 0);
    if (header.value_length) tw_buffer_append(out, change->value, header.value_length, 1);
}

}  // namespace tidewheel

using namespace tidewheel;

void tw_vm_state_encode(tw_vm *vm, tw_buffer *out) {
    tw_vm_state_changes(vm, append_change, out);
}

size_t tw_state_change_size(const uint8_t *bytes, size_t length) {
    ChangeHeader header;
    if (length < sizeof header) return 0;
    memcpy(&header, bytes, sizeof header);
    uint64_t size = sizeof header + uint64_t(header.stage_length) + header.key_length +
                    header.value_length;
    return size <= length ? size_t(size) : 0;
}

size_t tw_state_change_key(const uint8_t *bytes) {
    ChangeHeader header;
    memcpy(&header, bytes, sizeof header);
    return size_t(header.stage_length) + header.key_length;
}

bool tw_state_change_is_gone(const uint8_t *bytes) { return bytes[1] != 0; }

tw_status tw_vm_state_decode(
    tw_vm *vm, const uint8_t *bytes, size_t length, uint32_t worker, uint32_t workers) {
    tw_status status{};
    std::string stage;
    for (size_t offset = 0; offset < length;) {
        size_t size = tw_state_change_size(bytes + offset, length - offset);
        if (size == 0) {
            status.code = TW_ERROR;
            snprintf(status.message, sizeof status.message, "the state in the store is damaged");
            return status;
        }
        ChangeHeader header;
        memcpy(&header, bytes + offset, sizeof header);
        const char *text = reinterpret_cast<const char *>(bytes + offset + sizeof header);
        offset += size;
        if (header.partition % workers != worker) continue;
        stage.assign(text, header.stage_length);
        bool is_known = false;
        for (const Stage &candidate : vm->stages) is_known = is_known || candidate.name == stage;
        // The state of a stage that was taken out of the pipeline goes with it.
        if (!is_known) continue;
        tw_state_change change{};
        change.kind = header.kind;
        change.partition = header.partition;
        change.stage = stage.c_str();
        change.key = text + header.stage_length;
        change.key_length = header.key_length;
        change.value = header.gone ? nullptr : change.key + header.key_length;
        change.value_length = header.value_length;
        change.expiry = header.expiry;
        status = tw_vm_state_restore(vm, &change);
        if (status.code != TW_OK) return status;
    }
    return status;
}

void tw_vm_restore_time(tw_vm *vm, uint32_t source_index, int64_t newest, int64_t watermark) {
    if (newest != TW_NO_TIME) vm->watermarks.note(source_index, newest);
    if (watermark > vm->watermarks.highest) vm->watermarks.highest = watermark;
}
