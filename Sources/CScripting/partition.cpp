// Partitions as Kafka's default partitioner assigns them, and the stable identity of a record.
#include <cstdio>

#include "internal/vm.h"

namespace tidewheel {

// MurmurHash2 (Appleby), 32 bits, with the seed and the sign rule of Kafka's clients.
static uint32_t murmur2(const char *key, size_t length) {
    constexpr uint32_t m = 0x5bd1e995;
    uint32_t hash = 0x9747b28c ^ uint32_t(length);
    const unsigned char *at = reinterpret_cast<const unsigned char *>(key);
    for (; length >= 4; at += 4, length -= 4) {
        uint32_t k = uint32_t(at[0]) | uint32_t(at[1]) << 8 | uint32_t(at[2]) << 16 |
                     uint32_t(at[3]) << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        hash = hash * m ^ k;
    }
    if (length == 3) hash ^= uint32_t(at[2]) << 16;
    if (length >= 2) hash ^= uint32_t(at[1]) << 8;
    if (length >= 1) hash = (hash ^ at[0]) * m;
    hash ^= hash >> 13;
    hash *= m;
    return hash ^ hash >> 15;
}

uint32_t murmur2_partition(const char *key, size_t length, uint32_t partitions) {
    return (murmur2(key, length) & 0x7fffffff) % partitions;
}

uint32_t partition_of(tw_vm *vm, Node *record) {
    vm->key_text = nullptr;
    if (vm->key.empty()) return 0;
    if (!record->keys_ready && !prepare_keys(vm->arena, record)) return 0;
    uint32_t index = find_field(
        record, vm->key.data(), vm->key.size(), key_tag(vm->key.data(), vm->key.size()));
    if (index == not_found) return 0;
    const Field &field = record->fields[index];
    if (field.kind == Kind::null) return 0;
    vm->key_text = record->text + field.value_offset;
    vm->key_length = field.value_length;
    if (field.kind == Kind::string) {
        vm->key_text++;
        vm->key_length -= 2;
    }
    if (field.kind == Kind::string && field.value_escaped) {
        char *decoded = vm->arena.make<char>(field.value_length);
        if (!decoded) return 0;
        vm->key_length = decode_string(vm->key_text, vm->key_length, decoded);
        vm->key_text = decoded;
    }
    return murmur2_partition(vm->key_text, vm->key_length, vm->config.partitions);
}

void record_id(const tw_vm *vm, Text &out) {
    if (vm->origin.id_length) {
        out.append(vm->origin.id, vm->origin.id_length);
        return;
    }
    char number[32];
    int length = snprintf(
        number, sizeof number, ":%llu", static_cast<unsigned long long>(vm->origin.position));
    out.append_word(vm->origin.file);
    out.append(number, size_t(length));
}

}  // namespace tidewheel
