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

// Puts changes back as far as they belong to a worker's partitions and to stages that there are.
class Decoder {
  public:
    Decoder(tw_vm *vm, uint32_t worker, uint32_t workers)
        : vm(vm), worker(worker), workers(workers) {}

    // The size of a change that will be restored soon; all that is left when it is damaged.
    size_t expect(const uint8_t *bytes, size_t length) {
        size_t size = tw_state_change_size(bytes, length);
        if (size == 0) return length;
        read(bytes);
        if (is_wanted() && header.kind < uint8_t(StateKind::clock))
            vm->state.expect(StateKind(header.kind), stage, header.partition, key());
        return size;
    }

    // The size of a change, which is put back.
    size_t restore(const uint8_t *bytes, size_t length, tw_status &status) {
        size_t size = tw_state_change_size(bytes, length);
        if (size == 0) {
            status.code = TW_ERROR;
            snprintf(status.message, sizeof status.message, "the state in the store is damaged");
            return 0;
        }
        read(bytes);
        if (!is_wanted()) return size;
        tw_state_change change{};
        change.kind = header.kind;
        change.partition = header.partition;
        change.stage = name.c_str();
        change.key = key().data();
        change.key_length = header.key_length;
        change.value = header.gone ? nullptr : change.key + header.key_length;
        change.value_length = header.value_length;
        change.expiry = header.expiry;
        if (const char *reason = restore_change(vm, stage, change, true))
            refuse_change(status, name.c_str(), reason);
        return size;
    }

  private:
    tw_vm *vm;
    uint32_t worker, workers;
    ChangeHeader header;
    const char *text;
    std::string name;
    uint32_t stage = 0;
    bool is_known = false;

    void read(const uint8_t *bytes) {
        memcpy(&header, bytes, sizeof header);
        text = reinterpret_cast<const char *>(bytes + sizeof header);
        // Neighbours are mostly of one stage.
        if (is_known && std::string_view(text, header.stage_length) == name) return;
        name.assign(text, header.stage_length);
        is_known = false;
        for (stage = 0; stage < vm->stages.size() && !is_known; stage++)
            is_known = vm->stages[stage].name == name;
        if (is_known) stage--;
    }

    // The state of a stage that was taken out of the pipeline goes with it.
    bool is_wanted() const { return is_known && header.partition % workers == worker; }

    std::string_view key() const { return {text + header.stage_length, header.key_length}; }
};

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
    Decoder decoder{vm, worker, workers};
    size_t ahead = 0, offset = 0;
    for (size_t count = 0; offset < length; count++) {
        // Each entry's place in the index is fetched while those before it are put back.
        constexpr size_t distance = 8;
        for (size_t more = count == 0 ? distance : 1; more > 0 && ahead < length; more--)
            ahead += decoder.expect(bytes + ahead, length - ahead);
        size_t size = decoder.restore(bytes + offset, length - offset, status);
        if (status.code != TW_OK) return status;
        offset += size;
    }
    return status;
}

void tw_vm_restore_time(tw_vm *vm, uint32_t source_index, int64_t newest, int64_t watermark) {
    std::vector<int64_t> &times = vm->watermarks.newest;
    if (source_index >= times.size()) times.resize(source_index + 1, TW_NO_TIME);
    times[source_index] = newest;
    vm->watermarks.highest = watermark;
}
