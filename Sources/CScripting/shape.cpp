#include "internal/shape.h"

#include "internal/record.h"

namespace tidewheel {

void Shape::learn(const char *text, const FieldList &fields) {
    constexpr uint32_t patience = 4;
    if (serial && ++misses < patience) return;
    misses = count = 0;
    if (++serial == 0) serial = 1;
    if (fields.count > most) return;
    memset(seen, 0, sizeof seen);
    memset(keys, 0, sizeof(Key) * fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        const Field &field = fields.items[i];
        const char *key = text + field.key_offset;
        if (field.key_escaped || field.key_length > longest) return;
        keys[i].length = field.key_length;
        keys[i].tag = padded_key_tag(key, field.key_length);
        memcpy(keys[i].text, key, field.key_length);
        const uint32_t length = field.key_length;
        memcpy(&keys[i].head, keys[i].text, 8);
        keys[i].mask = length == 0 ? 0 : UINT64_MAX >> (length < 8 ? 64 - 8 * length : 0);
        if (length > 8) memcpy(&keys[i].tail, key + length - 8, 8);
        for (uint32_t j = 0; j < i; j++)
            if (keys[j].tag == keys[i].tag) return;
        seen[keys[i].tag >> 6 & 3] |= uint64_t(1) << (keys[i].tag & 63);
    }
    count = fields.count;
}

}  // namespace tidewheel
