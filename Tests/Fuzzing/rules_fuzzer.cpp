// The loader: bytes or generated programs as rules, and bytes as schemas, each in a VM of its own
// with small budgets. A rule may fail in any way, but it must not outlive its budget, reach what is
// not its own, lose a record, or write what is no JSON.
#include <time.h>

#include <memory>

#include "fuzzing.h"
#include "program.h"

using namespace fuzzing;

static constexpr int64_t budget = 8'000'000;

static const char records[] =
    R"({"text":"one","number":1.5,"list":[1,2,{"x":null}],"object":{"inner":{"y":"z"}},"a":1})"
    "\n"
    R"({"a":"x","e":[1,2,3],"list":[],"object":{},"text":"\u00e9\ud83d\ude42","a":null})"
    "\n";

// Runs behind the rule with an environment of its own; it speaks up when it can reach too much.
static const char canary[] = R"lua(
local refused = {"os", "io", "debug", "load", "loadstring", "loadfile", "dofile", "package", "_G",
  "coroutine", "collectgarbage", "rawset", "rawget", "rawequal", "rawlen", "print", "leak", "kept",
  "_VERSION", "process2"}
local function check(condition, text) if not condition then log(text) end end
function process(r)
  for _, name in ipairs(refused) do check(_ENV[name] == nil, name) end
  check(("x"):upper() == "X" and ("x"):rep(3) == "xxx", "string methods")
  check(string.upper("x") == "X" and string.dump == nil, "string")
  check(table.concat({1, 2}, ",") == "1,2" and math.type(1) == "integer", "table, math")
  check(not pcall(function() string.rep = 1 end), "string can be changed")
  check(getmetatable("") == nil and getmetatable(r) == nil, "metatables")
  check(tostring(null) == "null" and type(r) == "userdata", "null, record")
  check(json.encode({1, null}) == "[1,null]", "json")
end
)lua";

static void on_log(void *, const char *stage, const char *text, size_t length) {
    REQUIRE(strcmp(stage, "canary") != 0, "the sandbox leaks: %.*s", int(length), text);
}

static double cpu_seconds() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return double(time.tv_sec) + double(time.tv_nsec) / 1e9;
}

static void add_number(void *sum, int kind, const char *, double value) {
    if (kind == TW_COUNT_DROPPED) *static_cast<double *>(sum) += value;
}

// read + emitted = delivered + dropped + dead letters.
static void check_accounts(const Machine &machine) {
    tw_counts counts = tw_vm_counts(machine.vm);
    double dropped = 0;
    tw_vm_each_count(machine.vm, add_number, &dropped);
    uint64_t rows = machine.check_rows(0), letters = machine.check_rows(1);
    REQUIRE(letters == counts.dead_letters, "%zu letters", size_t(letters));
    REQUIRE(counts.read + counts.extra == rows + uint64_t(dropped) + letters,
            "%zu read, %zu emitted, %zu rows, %g dropped, %zu letters", size_t(counts.read),
            size_t(counts.extra), size_t(rows), dropped, size_t(letters));
}

static void run_rule(std::string_view source) {
    tw_vm_config config = Machine::config();
    config.script_memory = 1 << 20;
    config.log = on_log;
    double start = cpu_seconds();
    Machine machine(config);
    tw_lookup *lookup = tw_lookup_create();
    tw_lookup_add_column(lookup, "x", 1);
    tw_lookup_begin_row(lookup, "x", 1);
    tw_lookup_set(lookup, 0, "[1]", 3, TW_LOOKUP_JSON);
    tw_vm_set_lookup(machine.vm, "users", lookup);
    tw_lookup_release(lookup);
    machine.add_rule("fuzz", "rules/fuzz.lua", source, budget);
    machine.add_rule("canary", "rules/canary.lua", canary, 1'000'000'000);
    machine.end_in_sink();
    tw_status status = tw_vm_load(machine.vm);
    if (status.code == TW_OK) {
        machine.run(records);
        check_accounts(machine);
        REQUIRE(tw_vm_counts(machine.vm).script_bytes < (4 << 20), "memory beyond the limit");
    } else {
        REQUIRE(JsonReader::is_utf8(status.message), "%s", status.message);
    }
    // A load and two records, each with a second run to show the values at each line.
    double seconds = cpu_seconds() - start;
    REQUIRE(seconds < 1.5, "%g s of CPU time", seconds);
}

static void run_schema(std::string_view source) {
    std::string text(source);
    text.append(64, '\0');
    tw_status status{};
    size_t offset = 0;
    Json value;
    if (tw_json_check(text.data(), source.size(), 64, &offset).code != TW_OK) return;
    std::unique_ptr<tw_schema, void (*)(tw_schema *)> schema(
        tw_schema_compile(text.data(), source.size(), &status, &offset), tw_schema_destroy);
    if (!schema) {
        REQUIRE(status.code != TW_OK && *status.message, "refused without a word");
        REQUIRE(offset <= source.size(), "offset %zu of %zu", offset, source.size());
        return;
    }
    Machine machine(Machine::config());
    machine.add_schema("check", schema.get());
    machine.end_in_sink();
    REQUIRE(tw_vm_load(machine.vm).code == TW_OK, "load");
    machine.run(records);
    check_accounts(machine);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    if (length == 0) return 0;
    std::string_view rest(reinterpret_cast<const char *>(data) + 1, length - 1);
    switch (data[0] & 3) {
    case 0: run_rule(rest); break;
    case 3: run_schema(rest); break;
    default: {
        std::string program = Program::make(data + 1, length - 1);
        if (getenv("SHOW_PROGRAM")) fprintf(stderr, "%s", program.c_str());
        run_rule(program);
    }
    }
    return 0;
}
