#include "internal/record.h"

#include <functional>
#include <string_view>

#include "internal/shape.h"

namespace tidewheel {

Node *make_node(Arena &arena, const char *text, size_t length, Node *parent) {
    Node *node = arena.make<Node>();
    if (!node) return nullptr;
    *node = Node{};
    node->text = text;
    node->length = uint32_t(length);
    node->parent = parent;
    node->depth = parent ? parent->depth + 1 : 1;
    node->is_array = *skip_space(text, text + length) == '[';
    return node;
}

bool index_node(Arena &arena, Node *node, FieldList &scratch) {
    if (node->fields) return true;
    scratch.count = 0;
    if (!index_members(node->text, node->length, scratch)) return false;
    Field *fields = arena.make<Field>(scratch.count ? scratch.count : 1);
    if (!fields) return false;
    if (scratch.count) memcpy(fields, scratch.items, sizeof(Field) * scratch.count);
    node->fields = fields;
    node->count = scratch.count;
    return true;
}

static uint64_t load_word(const char *text) {
    uint64_t word;
    memcpy(&word, text, 8);
    return word;
}

// Mixes the first and last eight bytes, which tells most names of one record apart.
static uint32_t mix_tag(uint64_t head, uint64_t tail, size_t length) {
    uint64_t mixed = (head ^ (tail * 0xC2B2AE3D27D4EB4Fu)) + length;
    return uint32_t((mixed * 0x9E3779B97F4A7C15u) >> 29);
}

// The first `length` bytes of a word, little end first.
static uint64_t low_bytes(uint64_t word, size_t length) {
    return word & (UINT64_MAX >> (64 - 8 * length));
}

uint32_t key_tag(const char *key, size_t length) {
    if (length > 8) return mix_tag(load_word(key), load_word(key + length - 8), length);
    char padded[8] = {};
    memcpy(padded, key, length);
    return mix_tag(load_word(padded), 0, length);
}

uint32_t padded_key_tag(const char *key, size_t length) {
    if (length > 8) return mix_tag(load_word(key), load_word(key + length - 8), length);
    return mix_tag(length ? low_bytes(load_word(key), length) : 0, 0, length);
}

static bool same_key(const Node *node, const Field &field, const char *key, size_t length) {
    if (!field.key_escaped)
        return field.key_length == length && !memcmp(node->text + field.key_offset, key, length);
    return key_equals(node->text, field, key, length);
}

// The decoded key of a field; in the arena when it has escapes.
static const char *decoded_key(Arena &arena, const Node *node, const Field &field, size_t &length) {
    const char *key = node->text + field.key_offset;
    length = field.key_length;
    if (!field.key_escaped) return key;
    char *decoded = arena.make<char>(length + 1);
    if (decoded) length = decode_string(key, length, decoded);
    return decoded;
}

// Of the whole name, since many fields may differ in the middle of their names only.
static uint32_t bucket_tag(const char *key, size_t length) {
    return uint32_t(std::hash<std::string_view>()({key, length}));
}

static bool fill_buckets(Arena &arena, Node *node) {
    Tollgate gate{arena};
    for (uint32_t i = 0; i < node->count; i++) {
        size_t length;
        const char *key = decoded_key(arena, node, node->fields[i], length);
        if (!key || gate.is_closed(length + 256)) return false;
        uint32_t tag = node->fields[i].tag = bucket_tag(key, length);
        uint32_t slot = (tag * 2654435761u >> 7) & node->bucket_mask;
        while (uint32_t entry = node->buckets[slot]) {
            const Field &other = node->fields[entry - 1];
            if (other.tag == tag && same_key(node, other, key, length)) {
                node->irregular = true;
                break;
            }
            if (gate.is_closed(64)) return false;
            slot = (slot + 1) & node->bucket_mask;
        }
        node->buckets[slot] = i + 1;
    }
    return true;
}

static bool build_hash(Arena &arena, Node *node) {
    uint32_t size = 64;
    while (size < node->count * 2) size *= 2;
    node->buckets = arena.make<uint32_t>(size);
    if (!node->buckets) return false;
    memset(node->buckets, 0, sizeof(uint32_t) * size);
    node->bucket_mask = size - 1;
    if (fill_buckets(arena, node)) return true;
    node->buckets = nullptr;
    return false;
}

bool prepare_keys(Arena &arena, Node *node) {
    if (node->keys_ready) return true;
    if (node->count > hash_threshold) return node->keys_ready = build_hash(arena, node);
    node->keys_ready = true;
    for (uint32_t i = 0; i < node->count; i++) {
        Field &field = node->fields[i];
        if (field.key_escaped) node->irregular = true;
        field.tag = padded_key_tag(node->text + field.key_offset, field.key_length);
        uint64_t &word = node->seen[field.tag >> 6 & 3], bit = uint64_t(1) << (field.tag & 63);
        if (word & bit)
            for (uint32_t j = 0; j < i; j++)
                if (node->fields[j].tag == field.tag) node->irregular = true;
        word |= bit;
    }
    return true;
}

uint32_t find_field(const Node *node, const char *key, size_t length, uint32_t tag) {
    if (node->buckets) {
        tag = bucket_tag(key, length);
        uint32_t slot = (tag * 2654435761u >> 7) & node->bucket_mask;
        for (uint32_t entry; (entry = node->buckets[slot]); slot = (slot + 1) & node->bucket_mask) {
            const Field &field = node->fields[entry - 1];
            if (field.tag == tag && same_key(node, field, key, length)) return entry - 1;
        }
        return not_found;
    }
    if (node->irregular) {
        for (uint32_t i = node->count; i-- > 0;)
            if (same_key(node, node->fields[i], key, length)) return i;
        return not_found;
    }
    if (!(node->seen[tag >> 6 & 3] >> (tag & 63) & 1)) return not_found;
    for (uint32_t i = 0; i < node->count; i++)
        if (node->fields[i].tag == tag && same_key(node, node->fields[i], key, length)) return i;
    return not_found;
}

uint32_t find_added(const Node *node, const char *key, size_t length) {
    for (uint32_t i = 0; i < node->added_count; i++) {
        const AddedMember &member = node->added[i];
        if (member.length == length && same_bytes(member.name, key, length)) return i;
    }
    return not_found;
}

bool prepare_values(Arena &arena, Node *node) {
    if (node->values) return true;
    uint32_t count = node->count ? node->count : 1;
    node->values = arena.make<Value>(count);
    if (!node->values) return false;
    memset(static_cast<void *>(node->values), 0, sizeof(Value) * count);
    return true;
}

void mark_dirty(Node *node) {
    while (node && !node->dirty) {
        node->dirty = true;
        node = node->parent;
    }
}

bool set_field(Arena &arena, Node *node, uint32_t index, Value value) {
    if (!prepare_values(arena, node)) return false;
    node->values[index] = value;
    mark_dirty(node);
    if (!node->irregular) return true;
    size_t length;
    const char *key = decoded_key(arena, node, node->fields[index], length);
    if (!key) return false;
    for (uint32_t i = 0; i < node->count; i++)
        if (i != index && same_key(node, node->fields[i], key, length))
            node->values[i].tag = Value::Tag::deleted;
    return true;
}

bool add_member(Arena &arena, Node *node, const char *key, size_t length, Value value) {
    if (node->added_count == node->added_capacity) {
        uint32_t capacity = node->added_capacity ? node->added_capacity * 2 : 8;
        AddedMember *fresh = arena.make<AddedMember>(capacity);
        if (!fresh) return false;
        if (node->added_count) memcpy(fresh, node->added, sizeof(AddedMember) * node->added_count);
        node->added = fresh;
        node->added_capacity = capacity;
    }
    char *name = nullptr;
    if (key) {
        name = arena.make<char>(length + 1);
        if (!name) return false;
        copy_short(name, key, length);
    }
    node->added[node->added_count++] = AddedMember{name, uint32_t(length), value};
    mark_dirty(node);
    return true;
}

uint32_t array_length(const Node *node) {
    uint32_t count = node->count + node->added_count;
    while (count > node->count && node->added[count - node->count - 1].value.tag ==
                                      Value::Tag::deleted)
        count--;
    if (count > node->count) return count;
    while (count > 0 && node->values && node->values[count - 1].tag == Value::Tag::deleted) count--;
    return count;
}

bool is_list(const Node *node, uint32_t index) {
    const Value *value = node->values ? &node->values[index] : nullptr;
    if (!value || value->tag == Value::Tag::none) return node->fields[index].kind == Kind::array;
    return value->tag == Value::Tag::node && value->node->length && *value->node->text == '[';
}

}  // namespace tidewheel
