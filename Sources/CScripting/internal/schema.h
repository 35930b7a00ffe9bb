// Validation of a record by a compiled JSON Schema: all findings, in the order of the schema.
#pragma once
#include "CScripting.h"
#include "json_index.h"

namespace tidewheel {

struct Finding {
    char field[256];       // "meta.attempt", "items[3].price"; "" for the record itself
    const char *problem;   // missing type range enum const format pattern length unknown
    uint32_t value_offset, value_length;  // in the record's text; 0 when there is none
    char rule[256];        // what was wanted: "one of \"a\", \"b\"", "at least 0"
};

struct Findings {
    static constexpr uint32_t limit = 64;
    Finding items[limit];
    uint32_t count = 0;   // kept
    uint32_t total = 0;   // found
};

// `text` is a valid JSON object whose members are `fields`; true when it conforms.
bool schema_validate(
    const tw_schema *schema, const char *text, size_t length, const FieldList &fields,
    Findings &findings);

}  // namespace tidewheel
