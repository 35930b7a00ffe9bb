// The whole boundary between Swift and Lua: plain C structs and functions, no lua_State.
//
// Every function that may enter Lua does so under one lua_pcall of its own and returns a plain
// status, so that a longjmp never crosses a Swift frame.  A tw_vm belongs to the thread that
// created it; lookups are immutable once sealed and may be shared by all threads.
#ifndef TIDEWHEEL_CSCRIPTING_H
#define TIDEWHEEL_CSCRIPTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------- status

enum { TW_OK = 0, TW_ERROR = 1, TW_OUT_OF_MEMORY = 2 };

typedef struct {
    int32_t code;        // TW_OK, or what went wrong
    char message[2048];  // one or more lines, "rules/x.lua:3: …" where a place is known
} tw_status;

// ---------------------------------------------------------------- batches

// One record of a batch whose bytes are not simply JSON lines (CSV rows, generated or ingested
// records, lines that the source could not keep).  Offsets are in bytes.
typedef struct {
    uint32_t offset, length;                    // the JSON text, in `bytes`
    uint32_t original_offset, original_length;  // what the source gave, in `originals`
    uint32_t problem_offset, problem_length;    // why it is malformed, in `originals`; 0 if sound
    uint64_t position;                          // where it began in the source
    uint64_t line;                              // its line there, counted from 1
    uint64_t original_full_length;              // > original_length when the bytes were cut
} tw_entry;

typedef struct {
    const uint8_t *bytes;  // readable for 64 bytes beyond `length`
    size_t length;
    const uint8_t *originals;  // NULL when entry_count is 0
    size_t originals_length;
    const tw_entry *entries;
    size_t entry_count;  // 0: `bytes` are JSON lines, the last one may lack its "\n"
    uint64_t position;   // of bytes[0] in the source, when entry_count is 0
    uint64_t line;       // of bytes[0], counted from 1, when entry_count is 0
    const char *source;  // the source's name in pipeline.yaml
    const char *file;    // what is being read, as shown to people
    const uint16_t *partitions;        // one per record, or NULL: computed here when needed
    uint16_t worker, workers;  // with `partitions`: only those with partition % workers == worker
} tw_batch;

// A growing byte buffer that takes the rows for one sink.
typedef struct tw_buffer tw_buffer;
tw_buffer *tw_buffer_create(void);
void tw_buffer_destroy(tw_buffer *buffer);
const uint8_t *tw_buffer_bytes(const tw_buffer *buffer);
size_t tw_buffer_length(const tw_buffer *buffer);
uint64_t tw_buffer_rows(const tw_buffer *buffer);
// Empties it; memory beyond `keep` bytes is given back.
void tw_buffer_clear(tw_buffer *buffer, size_t keep);

// ---------------------------------------------------------------- lookups

// An immutable table from a key to a row of values; counted references, shared by threads.
typedef struct tw_lookup tw_lookup;
enum { TW_LOOKUP_TEXT = 0, TW_LOOKUP_JSON = 1 };
tw_lookup *tw_lookup_create(void);
// Declares the next column, before the first row.
void tw_lookup_add_column(tw_lookup *lookup, const char *name, size_t length);
// Begins a row; a key that was there before is replaced (the last row wins).
void tw_lookup_begin_row(tw_lookup *lookup, const char *key, size_t length);
// Sets a column of the row: raw text, or a JSON text that reads as its own value.
void tw_lookup_set(tw_lookup *lookup, uint32_t column, const char *value, size_t length, int kind);
void tw_lookup_retain(tw_lookup *lookup);
void tw_lookup_release(tw_lookup *lookup);
size_t tw_lookup_count(const tw_lookup *lookup);

// ---------------------------------------------------------------- schemas

// A compiled JSON Schema (the subset of DESIGN); immutable after tw_schema_compile.
typedef struct tw_schema tw_schema;
// Compiles `json`, which must already be valid JSON.  On failure returns NULL, and `offset` is
// the byte at which the wrong keyword or value stands.
tw_schema *tw_schema_compile(const char *json, size_t length, tw_status *status, size_t *offset);
void tw_schema_destroy(tw_schema *schema);

// ---------------------------------------------------------------- the VM

typedef struct tw_vm tw_vm;

typedef struct {
    size_t script_memory;  // bytes, Lua heap and record arena each
    size_t record_limit;   // bytes of one record
    uint32_t depth_limit;  // nesting of a record
    size_t state_memory;   // bytes of all keyed state in this VM
    const char *key;       // partition key field, or NULL
    uint32_t partitions;
    const char *rule_set;  // its version, copied
    bool trace;                  // re-run a failing record to show the values at each line
    int64_t now_milliseconds;    // fixed clock for tests; 0: the real one
    void (*log)(void *context, const char *stage, const char *text, size_t length);
    void *log_context;
} tw_vm_config;

enum { TW_TO_STAGE = 0, TW_TO_SINK = 1 };
enum { TW_SOURCE = -1, TW_DEAD_LETTERS = -2 };  // instead of a stage, as the origin of a wire

// What a native stage decided about a record (see tw_native).
enum { TW_PASS = 0, TW_REPLACE = 1, TW_DROP = 2, TW_REJECT = 3, TW_ROUTE = 4 };
typedef struct tw_verdict tw_verdict;
// Records the decision; `text` (new JSON, or the reason, or the output) is copied before return.
void tw_verdict_set(tw_verdict *verdict, int action, const char *text, size_t length);
// A stage written in Swift: called on the VM's thread with the record's JSON text; must not throw,
// must not keep the pointer and must not call back into the VM.
typedef void (*tw_native)(
    void *context, const uint8_t *record, size_t length, tw_verdict *verdict);

tw_vm *tw_vm_create(const tw_vm_config *config, tw_status *status);
void tw_vm_destroy(tw_vm *vm);

// The rule set: modules first, then stages in order, then wires, then load.
void tw_vm_add_module(tw_vm *vm, const char *name, const char *file, const char *text, size_t n);
// Returns the stage's index. `schema`, `file`+`text` (Lua) and `native` are each optional and run
// in this order.  The schema must outlive the VM.
int32_t tw_vm_add_stage(
    tw_vm *vm, const char *name, const tw_schema *schema, const char *schema_file, const char *file,
    const char *text, size_t text_length, tw_native native, void *native_context,
    int64_t budget_nanoseconds);
// `output` is NULL for the main output. `origin` is a stage, TW_SOURCE or TW_DEAD_LETTERS.
void tw_vm_add_wire(
    tw_vm *vm, int32_t origin, const char *output, int32_t target_kind, int32_t target);
void tw_vm_set_sink_count(tw_vm *vm, uint32_t count);
// Makes `lookup` known to every stage under `name`, replacing the one before; the VM retains it.
void tw_vm_set_lookup(tw_vm *vm, const char *name, tw_lookup *lookup);
// Compiles and runs every script once, under its budget.
tw_status tw_vm_load(tw_vm *vm);

// Runs all records of a batch through the stages; rows are appended to sinks[0 ..< sink_count].
// Fails only when the VM itself is beyond repair (out of memory outside a record).
tw_status tw_vm_run(tw_vm *vm, const tw_batch *batch, tw_buffer *const *sinks);
// Computes the partition of each record of a batch (0 where it has no key), for several workers.
size_t tw_vm_partition(tw_vm *vm, const tw_batch *batch, uint16_t *partitions, size_t capacity);

// True when a script mentions `state`, so that partitions matter.
bool tw_vm_uses_state(const tw_vm *vm);

// Counters since creation. Names live as long as the VM.
enum { TW_COUNT_DROPPED = 0, TW_COUNT_DEAD = 1, TW_COUNT_METRIC = 2, TW_COUNT_UNCONNECTED = 3 };
typedef struct {
    uint64_t read, dead_letters, dropped, extra, state_keys, state_bytes, script_bytes;
} tw_counts;
tw_counts tw_vm_counts(const tw_vm *vm);
typedef void (*tw_each_count)(void *context, int kind, const char *name, double value);
void tw_vm_each_count(const tw_vm *vm, tw_each_count each, void *context);

// Runs one script outside a pipeline (the `generate` source): the file defines
// `generate(index)`, which returns one record, a list of records or nil.  Appends JSON lines.
// `random_seed` fixes math.random.
tw_status tw_vm_generate(tw_vm *vm, uint64_t index, uint64_t random_seed, tw_buffer *out);

// ---------------------------------------------------------------- JSON helpers

// Checks one JSON text (grammar, UTF-8, depth). Returns TW_OK or TW_ERROR with message and offset.
tw_status tw_json_check(const char *text, size_t length, uint32_t depth_limit, size_t *offset);

// How many lines end in these bytes.
size_t tw_count_newlines(const uint8_t *bytes, size_t length);

// SHA-256 of the concatenated parts (FIPS 180-4); `digest` takes 32 bytes.
void tw_sha256(
    const uint8_t *const *parts, const size_t *lengths, size_t count, uint8_t digest[32]);

// Each global name that a script reads or assigns, with its line; `at_top` tells whether it stands
// outside all functions. The status carries Lua's syntax error, "FILE:LINE: …".
typedef void (*tw_each_global)(
    void *context, const char *name, int line, bool assigned, bool at_top);
tw_status tw_lua_globals(
    const char *file, const char *text, size_t length, tw_each_global each, void *context);

// ---------------------------------------------------------------- the rule API

// What a rule may call: the one table behind registration, `docs lua`, lint and the golden test.
typedef struct {
    const char *name;       // "string.rep", "drop"
    const char *signature;  // "drop(reason)"
    const char *summary;    // one or more sentences
    const char *example;    // Lua, or ""
    const char *group;      // heading in `docs lua`
} tw_api_entry;
size_t tw_api_count(void);
tw_api_entry tw_api_at(size_t index);
// Every name reachable from a stage's environment, walked in a fresh VM ("string.rep" style).
void tw_vm_each_reachable(tw_vm *vm, tw_each_count each, void *context);

#ifdef __cplusplus
}
#endif
#endif
