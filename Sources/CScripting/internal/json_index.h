// Reading JSON text without building anything: validation at ingress and shallow indexes.
#pragma once
#include <cstddef>
#include <cstdint>

#include "budget.h"

namespace tidewheel {

enum class Kind : uint8_t { null, boolean, integer, decimal, string, array, object };

// One member of an object (or element of an array, without key); offsets from the text's start.
struct Field {
    uint32_t key_offset, key_length;      // between the quotes, as written
    uint32_t value_offset, value_length;  // the whole value, quotes and brackets included
    uint32_t tag;                         // a cheap hash of the decoded key; set by Record
    Kind kind;
    bool key_escaped;    // the key contains a backslash
    bool value_escaped;  // kind is string and it contains a backslash
    uint8_t state;       // of the overlay; 0 = as read
};

// Grows as needed; memory comes from malloc and is kept between records.
struct FieldList {
    Field *items = nullptr;
    uint32_t count = 0, capacity = 0;
    uint32_t shape = 0;   // of the Shape whose names these are, tags included; 0: of none
    uint32_t limit = UINT32_MAX;  // of `capacity`
    StopFlag stop = nullptr;      // of the call for which members are noted
    bool grow();                  // false when out of memory, or told to stop
};

// Indexes the object or array at `text`, which must be valid JSON; false when out of memory, or
// told to stop.
// `text[length ..< length + 64]` must be readable.
bool index_members(const char *text, size_t length, FieldList &fields);

// Skips one value of valid JSON; returns the position behind it.
const char *skip_value(const char *at, const char *end);
const char *skip_space(const char *at, const char *end);

// Decodes the inside of a JSON string into `out` (at least `length` bytes); returns the new length.
// Told to stop, it leaves the rest.
size_t decode_string(const char *text, size_t length, char *out, StopFlag stop = nullptr);
// How deep objects and lists of valid JSON are nested: 0 for a scalar.
uint32_t nesting_depth(const char *text, size_t length);

// Compares a key as written with plain text.
bool key_equals(const char *text, const Field &field, const char *key, size_t length);

// The number at `text` as a double, correctly rounded; ±infinity when out of range.
double parse_decimal(const char *text, size_t length);
// True and the value when the integer text fits int64.
bool parse_integer(const char *text, size_t length, int64_t &value);

// RFC 3339 with `Z` or an offset and 0 to 9 digits of fraction, cut to milliseconds.
bool parse_timestamp(const char *text, size_t length, int64_t &milliseconds);
// Writes `2026-11-23T15:00:00.000Z` (24 bytes) for years 0000 to 9999; returns the length.
size_t format_timestamp(int64_t milliseconds, char out[32]);

bool valid_utf8(const char *text, size_t length);

}  // namespace tidewheel
