// One entry into Lua: what is called, and what a rule gives back.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "CScripting.h"
#include "record.h"

struct tw_verdict {
    int action = TW_PASS;
    std::string text;
};

namespace tidewheel {

enum class Verdict : uint8_t { drop, route, reject, snooze };

// What drop, route, reject and snooze return; it takes effect when `process` returns it.
struct VerdictObject {
    Verdict kind;
    int32_t line;
    uint32_t reason_length, field_length;
    char text[1];  // reason, "\0", field, "\0"
    const char *reason() const { return text; }
    const char *field() const { return text + reason_length + 1; }
};

// A record that a rule made: JSON text in the arena, bound for an output of the stage.
struct Made {
    Made *next;
    const char *text;
    size_t length;
    const char *output;  // nullptr: the main one; "": one that cannot be
};

struct MadeList {
    Made *first = nullptr, *last = nullptr;
    size_t count = 0;
    void append(Made *made) {
        made->next = nullptr;
        (last ? last->next : first) = made;
        last = made;
        count++;
    }
};

enum class CallKind : uint8_t {
    load, process, generate, load_aggregate, aggregate, timer, migrate, evaluate
};

// One call of an aggregate in Lua.
struct AggregateCall {
    uint32_t index;
    int operation;
    const void *accumulator;
    size_t length;
    const void *second;  // the other accumulator, or a record's JSON text
    size_t second_length;
    int64_t start, end;
    tw_buffer *out;
};

// The timer that is firing.
struct Timer {
    bool active = false;      // on_timer, or what it has emitted, is running
    bool at_end = false;      // because the input has ended
    int64_t at = INT64_MIN;
    int64_t watermark = INT64_MIN;
    int32_t stage = -1;
    uint32_t partition = 0;
    std::string name, place, original;
};

// One entry into Lua: what to do, and what came of it.
struct Call {
    tw_vm *vm;
    CallKind kind;
    uint32_t stage;
    Node *record;
    enum class Result : uint8_t { pass, drop, route, reject, snooze, list } result = Result::pass;
    const VerdictObject *verdict = nullptr;
    MadeList list{};
    uint64_t index = 0;
    const AggregateCall *aggregate = nullptr;
};

}  // namespace tidewheel
