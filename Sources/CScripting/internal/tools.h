// What a VM keeps for tests, the REPL, and those who look at a pipeline; one that just runs has
// none of it.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "meter.h"

struct lua_State;

struct tw_vm;

namespace tidewheel {

// A text that the REPL runs, and what came of it.
struct Evaluation {
    const char *text = nullptr;
    size_t length = 0;
    bool incomplete = false, record_changed = false;
    std::string record;               // the current record, before and after, as JSON
    std::vector<std::string> values;  // "VALUE : TYPE"
};

struct Tools {
    int session = -2;          // LUA_NOREF; the globals of the REPL
    Evaluation *evaluation = nullptr;
    bool keeps_trace = false;  // show the values at each line also of calls that succeed
    bool is_used = false;      // calls take the way past the tools below
    bool counts_lines = false;
    std::map<std::string, std::map<int, uint64_t>> line_counts;  // by file and line
    tw_meter *meter = nullptr;
    bool profiles = false;
    int64_t call_started = 0;  // in CPU nanoseconds of this thread
    std::vector<std::unique_ptr<CountedStage>> counted;
    std::vector<int32_t> tap_sinks;
};

// evaluate.cpp
int evaluate(lua_State *L, tw_vm *vm);

// coverage.cpp
void arm_line_counts(tw_vm *vm);

}  // namespace tidewheel
