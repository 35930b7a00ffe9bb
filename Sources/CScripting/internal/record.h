// A record: the original bytes, a shallow index, and an overlay of what a rule has changed.
//
// Nothing here knows Lua.  Everything lives in an arena, so a record costs no destructor, and
// the changed text is spliced together from unchanged runs of the original bytes.
#pragma once
#include "json_index.h"
#include "memory.h"

namespace tidewheel {

struct Node;

// A value that a rule has put into a record.
struct Value {
    enum class Tag : uint8_t { none, deleted, null, boolean, integer, number, string, exact, node };
    Tag tag;
    uint32_t length;  // of a string, or of an exact number as JSON
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *text;
        Node *node;
    };
};

struct AddedMember {
    const char *name;  // nullptr in arrays
    uint32_t length;
    Value value;
};

// An object or array inside a record, or the record itself.
struct Node {
    const char *text;  // its JSON text, with 64 readable bytes behind it
    uint32_t length;
    uint32_t count;        // members in the text
    Field *fields;         // nullptr until indexed
    Value *values;         // the overlay, parallel to fields; nullptr while nothing was touched
    AddedMember *added;    // what was not in the text, in the order of assignment
    uint32_t added_count, added_capacity;
    Node *parent;
    uint32_t *buckets;     // hash of large objects: index + 1; nullptr while small
    uint32_t bucket_mask;
    uint32_t depth;        // 1 for the record itself
    uint64_t seen[4];      // one bit per tag: most names that are not there are told at once
    uint32_t shape;        // the serial of the Shape that its names follow; 0: of none
    bool is_array, dirty, keys_ready, irregular;  // irregular: escaped or repeated keys
};

constexpr uint32_t not_found = UINT32_MAX;
constexpr uint32_t hash_threshold = 24;

// A node over valid JSON text; nullptr when out of memory.
Node *make_node(Arena &arena, const char *text, size_t length, Node *parent);
// Reads the members of a node once; `scratch` is only used during the call.
bool index_node(Arena &arena, Node *node, FieldList &scratch);

uint32_t key_tag(const char *key, size_t length);
// The same for a name inside JSON text, behind which more bytes may be read.
uint32_t padded_key_tag(const char *key, size_t length);
// Computes tags and finds repeated keys; before the first lookup by name.
bool prepare_keys(Arena &arena, Node *node);
// The member of that name in the text, the last one if it is repeated.
uint32_t find_field(const Node *node, const char *key, size_t length, uint32_t tag);
// The added member of that name.
uint32_t find_added(const Node *node, const char *key, size_t length);

// Makes room for the overlay of the members.
bool prepare_values(Arena &arena, Node *node);
// Puts a value in place of member `index`; of a repeated key only this one remains.
bool set_field(Arena &arena, Node *node, uint32_t index, Value value);
uint32_t array_length(const Node *node);
bool is_list(const Node *node, uint32_t index);  // a member, as it is now
bool add_member(Arena &arena, Node *node, const char *key, size_t length, Value value);
void mark_dirty(Node *node);

// Appends the JSON text of a node or value as it is now.
void write_node(Text &out, const Node *node);
void write_value(Text &out, const Value &value);
void write_string(Text &out, const char *text, size_t length);
void write_integer(Text &out, int64_t value);
void write_number(Text &out, double value);

}  // namespace tidewheel
