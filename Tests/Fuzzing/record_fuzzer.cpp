// libFuzzer over ingress, records, schemas and splice: any bytes go in, and every row that
// comes out must be JSON. Built and run by scripts/fuzz.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "CScripting.h"

static tw_vm *vm;
static tw_buffer *sinks[2];

static const char rule[] = R"lua(
local function visit(v, depth)
  if type(v) ~= "userdata" or v == null or depth > 20 then return end
  for _, inner in pairs(v) do visit(inner, depth + 1) end
  local n = #v
  for _ in ipairs(v) do n = n - 1 end
end
function process(r)
  state:incr("k")
  visit(r, 0)
  r.b = r.a
  r.c = nil
  r.n = {1, null, "x"}
  r.d = r:copy()
  for k, v in pairs(r) do if type(v) == "string" then r[k] = v .. "!" end end
  if r.e then r.e.f = 1 end
  emit(r)
  if r.z then error("z") end
end
)lua";

static const char schema[] = R"json({"properties": {
  "a": {"type": ["string", "integer", "object", "array", "null", "number"], "minLength": 1,
        "pattern": "^.", "enum": [1, "x", null, {"q": [1]}, []]},
  "e": {"items": {"type": "integer"}}}, "additionalProperties": true})json";

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    tw_vm_config config{};
    config.script_memory = 64 << 20;
    config.record_limit = 1 << 20;
    config.depth_limit = 1000;
    config.state_memory = 1 << 20;
    config.partitions = 16;
    config.key = "a";
    config.trace = true;
    config.now_milliseconds = 1;
    tw_status status;
    size_t offset;
    vm = tw_vm_create(&config, &status);
    std::string text(schema);
    text.append(64, '\0');
    tw_schema *compiled =
        tw_schema_compile(text.data(), sizeof schema - 1, &status, &offset);
    int32_t shape = tw_vm_add_stage(vm, "shape", nullptr, nullptr, "rules/fuzz.lua", rule,
                                    strlen(rule), nullptr, nullptr, 1'000'000'000);
    int32_t check = tw_vm_add_stage(
        vm, "check", compiled, "fuzz.json", nullptr, nullptr, 0, nullptr, nullptr, 1'000'000'000);
    tw_vm_add_wire(vm, TW_SOURCE, nullptr, TW_TO_STAGE, shape);
    tw_vm_add_wire(vm, shape, nullptr, TW_TO_STAGE, check);
    tw_vm_add_wire(vm, check, nullptr, TW_TO_SINK, 0);
    tw_vm_add_wire(vm, TW_DEAD_LETTERS, nullptr, TW_TO_SINK, 1);
    tw_vm_set_sink_count(vm, 2);
    if (tw_vm_load(vm).code != TW_OK) abort();
    for (tw_buffer *&sink : sinks) sink = tw_buffer_create();
    return 0;
}

static void check_rows(const tw_buffer *sink) {
    std::string rows(reinterpret_cast<const char *>(tw_buffer_bytes(sink)), tw_buffer_length(sink));
    for (size_t at = 0; at < rows.size();) {
        size_t end = rows.find('\n', at);
        if (end == std::string::npos) abort();
        std::string row = rows.substr(at, end - at);
        size_t length = row.size(), offset;
        row.append(64, '\0');
        if (tw_json_check(row.data(), length, 5000, &offset).code != TW_OK) {
            fprintf(stderr, "not JSON at %zu: %s\n", offset, row.c_str());
            abort();
        }
        at = end + 1;
    }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    std::vector<uint8_t> bytes(data, data + length);
    bytes.resize(length + 64);
    tw_batch batch{};
    batch.bytes = bytes.data();
    batch.length = length;
    batch.line = 1;
    batch.source = "source";
    batch.file = "fuzz";
    tw_vm_run(vm, &batch, sinks);
    for (tw_buffer *sink : sinks) {
        if (tw_buffer_length(sink)) check_rows(sink);
        tw_buffer_clear(sink, 1 << 20);
    }
    return 0;
}
