// The whole boundary between Swift and Lua: plain C structs and functions, no lua_State.  Every
// function that may enter Lua does so under one lua_pcall of its own and returns a plain status,
// so that a longjmp never crosses a Swift frame.  A tw_vm belongs to the thread that created it;
// lookups are immutable once sealed and may be shared by all threads.
#ifndef TIDEWHEEL_CSCRIPTING_H
#define TIDEWHEEL_CSCRIPTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "CScriptingBatch.h"

#ifdef __cplusplus
extern "C" {
#endif
// ---------------------------------------------------------------- status

enum { TW_OK = 0, TW_ERROR = 1, TW_OUT_OF_MEMORY = 2 };

typedef struct {
    int32_t code;        // TW_OK, or what went wrong
    char message[2048];  // one or more lines, "rules/x.lua:3: …" where a place is known
} tw_status;

// ---------------------------------------------------------------- rows for aggregates

// A value that an aggregate reads; `kind` is 0 missing, 1 integer, 2 number, 3 string, 4 boolean,
// 5 composite, 6 big (a number that neither int64 nor double holds).
typedef struct {
    uint32_t kind, text_length;
    uint64_t text_offset, bits;
} tw_cell;

typedef struct {
    int64_t time, watermark;  // milliseconds; the watermark as it was before the record
    uint64_t key_offset, record_offset;
    uint32_t key_length, record_length, ordinal;
    uint32_t stands;  // 1: it has no time of its own, and stands where time is
} tw_row;

// What reached one aggregate stage in a batch.
typedef struct tw_rows tw_rows;
typedef struct {
    const tw_row *rows;
    const tw_cell *cells;  // `columns` for each row
    const char *text;
    size_t count;
    uint32_t columns;
} tw_rows_view;
tw_rows *tw_rows_create(void);
void tw_rows_destroy(tw_rows *rows);
void tw_rows_clear(tw_rows *rows);
// The rows were made by a VM that began its batch without knowing how far time had come. Now that
// is known: `watermark` as it was before the batch, and as it follows from the newest time of the
// batch's source before it (`newest`) and of the slowest other source (`floor`); TW_NO_TIME where
// there is none, INT64_MAX without other sources.
void tw_rows_settle_time(tw_rows *rows, int64_t watermark, int64_t newest, int64_t floor);
tw_rows_view tw_rows_look(const tw_rows *rows);

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

enum {
    TW_TIME_RFC3339 = 0,
    TW_TIME_EPOCH_S = 1,
    TW_TIME_EPOCH_MS = 2,
    TW_TIME_EPOCH_US = 3,
    TW_TIME_EPOCH_NS = 4,
    TW_TIME_PATTERN = 5
};
#define TW_NO_TIME INT64_MIN  // a record without a usable time; no watermark yet

// How records tell their event time; all durations are in milliseconds.
typedef struct {
    const char *field;    // NULL: they do not
    const char *pattern;  // for TW_TIME_PATTERN: %Y %m %d %H %M %S %f %z %b %e %j %%
    const int64_t *zone_times, *zone_offsets;  // of a zone: from when (UTC), how far ahead of UTC
    size_t zone_count;
    int64_t out_of_orderness;
    int64_t max_future_skew;  // -1: a record may be as far ahead of the clock as it likes
    int32_t format;
} tw_time_config;

typedef struct {
    size_t script_memory;  // bytes, Lua heap and record arena each
    size_t record_limit;   // bytes of one record
    uint32_t depth_limit;  // nesting of a record
    size_t emitted_limit;  // bytes of rows that one record may become, for each sink
    size_t state_memory;   // bytes of all keyed state in this VM
    const char *key;       // partition key field, or NULL
    uint32_t partitions;
    const char *rule_set;  // its version, copied
    bool track_changes;    // note what tw_vm_state_changes will tell
    bool allows_snooze;    // records are messages that can be given back
    bool trace;                  // re-run a failing record to show the values at each line
    int64_t now_milliseconds;    // fixed clock for tests; 0: the real one
    tw_time_config time;         // copied
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
// A field that an aggregate reads; `requirement` is 0 any, 1 scalar, 2 number.
typedef struct {
    const char *field;
    uint32_t requirement;
    bool needs_text;
} tw_column;

// Why a callback of Swift lets a record fail.
typedef struct {
    char message[1024], file[160];
    int32_t line;
    bool is_breach;  // of the budget: time or memory
} tw_failure;

// An aggregate stage takes rows instead of running rules. `prepare`, when given, may let the
// record of row `row` fail (false, and why); `settle` then tells what became of the record.
typedef struct {
    const char *const *keys;
    const tw_column *columns;
    size_t key_count, column_count;
    bool needs_record;
    bool (*prepare)(void *context, const tw_rows *rows, size_t row, tw_failure *failure);
    void (*settle)(void *context, bool committed);
    void *context;
} tw_aggregate_config;
// Makes a stage an aggregate one; returns its place among them, which is its place in `rows`.
int32_t tw_vm_set_aggregate(tw_vm *vm, int32_t stage, const tw_aggregate_config *config);

// An aggregate in Lua of an aggregate stage, before the load; returns its index.
int32_t tw_vm_add_user_aggregate(
    tw_vm *vm, int32_t stage, const char *file, const char *text, size_t length);
enum { TW_AGGREGATE_INIT, TW_AGGREGATE_ADD, TW_AGGREGATE_MERGE, TW_AGGREGATE_RETRACT,
       TW_AGGREGATE_RESULT };
bool tw_vm_user_aggregate_has(const tw_vm *vm, int32_t index, int operation);
// Calls one of its functions: accumulators are opaque bytes, `second` is the other accumulator of
// a merge or the record's JSON text, and `out` gets the new accumulator or the result as JSON.
bool tw_vm_user_aggregate(
    tw_vm *vm, int32_t index, int operation, const void *accumulator, size_t length,
    const void *second, size_t second_length, int64_t start, int64_t end, tw_buffer *out,
    tw_failure *failure);

// `output` is NULL for the main output. `origin` is a stage, TW_SOURCE or TW_DEAD_LETTERS.
void tw_vm_add_wire(
    tw_vm *vm, int32_t origin, const char *output, int32_t target_kind, int32_t target);
void tw_vm_set_sink_count(tw_vm *vm, uint32_t count);
// What a call of the stage may take from now on; returns what it was.
int64_t tw_vm_set_budget(tw_vm *vm, int32_t stage, int64_t budget_nanoseconds);
// Makes `lookup` known to every stage under `name`, replacing the one before; the VM retains it.
void tw_vm_set_lookup(tw_vm *vm, const char *name, tw_lookup *lookup);
// Compiles and runs every script once, under its budget.
tw_status tw_vm_load(tw_vm *vm);

// Runs all records of a batch through the stages; rows are appended to sinks[0 ..< sink_count],
// and to rows[0 ..< number of aggregate stages].
// Fails only when the VM itself is beyond repair (out of memory outside a record). With `slice` it
// may come back before the end, always between two records; the next call goes on there.
tw_status tw_vm_run(
    tw_vm *vm, const tw_batch *batch, tw_slice *slice, tw_buffer *const *sinks,
    tw_rows *const *rows);
// The same for records that leave `stage` by `output`, such as the rows of windows: they are valid
// JSON, `times` and `watermarks` are given, and they do not count as read. With `ordinals` no timer
// fires: the rules behind `output` keep no state then.
tw_status tw_vm_inject(
    tw_vm *vm, int32_t stage, const char *output, const tw_batch *batch, tw_buffer *const *sinks,
    tw_rows *const *rows);
// True when an output leads anywhere.
bool tw_vm_is_connected(const tw_vm *vm, int32_t stage, const char *output);
// Makes `original` a dead letter of `stage`, named `source` and `position`.
void tw_vm_reject(
    tw_vm *vm, int32_t stage, const char *source, const char *kind, const tw_failure *failure,
    const char *original, size_t length, uint64_t position, tw_buffer *const *sinks,
    tw_rows *const *rows);
// Makes a dead letter of kind `refused` of a row that a sink will never take.
void tw_vm_refuse(
    tw_vm *vm, const char *sink, const char *reason, const char *row, size_t length,
    uint64_t position, tw_buffer *const *sinks, tw_rows *const *rows);
// What several workers must agree on before they part: the partition of each record of a batch
// (0 where it has no key), its time, and the watermark before it. Each array may be NULL.
size_t tw_vm_scan(
    tw_vm *vm, const tw_batch *batch, uint16_t *partitions, int64_t *times, int64_t *watermarks,
    size_t capacity);
// The watermark after everything that was run or scanned; TW_NO_TIME when there is none.
int64_t tw_vm_watermark(const tw_vm *vm);
// The newest time of a source so far; TW_NO_TIME when there is none.
int64_t tw_vm_newest(const tw_vm *vm, uint32_t source_index);

// Event time has passed `watermark` (milliseconds since 1970; INT64_MAX: the input has ended): runs
// on_timer of what is due, and removes what has expired.  Rows are appended as by tw_vm_run.
tw_status tw_vm_advance(
    tw_vm *vm, int64_t watermark, tw_buffer *const *sinks, tw_rows *const *rows);

// Removes everything that has expired, however much that is.
void tw_vm_sweep(tw_vm *vm);

// True when a script mentions `state`, so that partitions matter.
bool tw_vm_uses_state(const tw_vm *vm);
// The same for one script, without a VM.
bool tw_script_uses_state(const char *text, size_t length);

// ---------------------------------------------------------------- keyed state

enum { TW_STATE_VALUE = 0, TW_STATE_TIMER = 1, TW_STATE_CLOCK = 2 };
typedef struct {
    int32_t kind;       // what the entry is: a value, a timer, or the time of stage and partition
    uint32_t partition;
    const char *stage;  // its name
    const char *key;    // of a timer its name; of a clock nothing
    size_t key_length;
    const char *value;  // opaque bytes, none of a timer or clock; NULL: the entry is gone
    size_t value_length;
    int64_t expiry;     // INT64_MAX: never; of a timer when it fires; of a clock its time
} tw_state_change;
typedef void (*tw_each_change)(void *context, const tw_state_change *change);
// Every entry that changed since the previous call, once, as it is now; between two batches, and
// with `track_changes` only.  Pointers hold during the call back, which must not call the VM.
void tw_vm_state_changes(tw_vm *vm, tw_each_change each, void *context);
// Puts one entry back (or removes it), before the first record. Fails for a stage that there is
// not, for bytes that are no value, and when there is no room.
tw_status tw_vm_state_restore(tw_vm *vm, const tw_state_change *change);

// The same changes as bytes, appended to `out`: one after the other, each of its own size.
void tw_vm_state_encode(tw_vm *vm, tw_buffer *out);
// The size of the first change in some bytes, or 0 when they are no change; the length of what
// names its entry behind the header of 24 bytes; and whether it says that the entry is gone.
size_t tw_state_change_size(const uint8_t *bytes, size_t length);
size_t tw_state_change_key(const uint8_t *bytes);
bool tw_state_change_is_gone(const uint8_t *bytes);
// Puts back what tw_vm_state_encode wrote, as far as it belongs to partitions of this worker.
// Entries of stages that there are no more are passed over.
tw_status tw_vm_state_decode(
    tw_vm *vm, const uint8_t *bytes, size_t length, uint32_t worker, uint32_t workers);
// How far time has come before the next batch: the newest time of its source, and the watermark;
// TW_NO_TIME where there is none.
void tw_vm_restore_time(tw_vm *vm, uint32_t source_index, int64_t newest, int64_t watermark);

// A new version of the rules takes over: `vm` gets the state, the time and the counters of `old`,
// which gets its own, and belongs to the calling thread from then on. Both have the same stages.
// False when the system gives no timer.
bool tw_vm_take_over(tw_vm *vm, tw_vm *old);
// The `state_version` of a stage's rule, else 1; whether it has `migrate`; whether it keeps state.
int64_t tw_vm_state_version(const tw_vm *vm, int32_t stage);
bool tw_vm_has_migrate(const tw_vm *vm, int32_t stage);
bool tw_vm_has_state(const tw_vm *vm, int32_t stage);
// Calls migrate(old_version, state) per partition with state, as one transaction, if it is there.
tw_status tw_vm_migrate(tw_vm *vm, int32_t stage, int64_t old_version);

// Counters since creation. Names live as long as the VM.
enum { TW_COUNT_DROPPED = 0, TW_COUNT_DEAD = 1, TW_COUNT_METRIC = 2, TW_COUNT_UNCONNECTED = 3 };
typedef struct {
    uint64_t read, dead_letters, dropped, extra, state_keys, state_bytes, script_bytes;
    // Records of sources that failed, and those that rules dropped with nothing left of them.
    uint64_t failed_records, dropped_records;
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

// The milliseconds since 1970 of an RFC 3339 time; false when it is none.
bool tw_parse_time(const char *text, size_t length, int64_t *milliseconds);

// Where the last lines of some bytes begin, `limit` at most; `count` tells how many they are.
size_t tw_last_lines(const uint8_t *bytes, size_t length, size_t limit, size_t *count);

// SHA-256 of the concatenated parts (FIPS 180-4); `digest` takes 32 bytes.
void tw_sha256(
    const uint8_t *const *parts, const size_t *lengths, size_t count, uint8_t digest[32]);

// Each global name that a script reads or assigns, with its line; `at_top` tells whether it stands
// outside all functions. The status carries Lua's syntax error, "FILE:LINE: …".
typedef void (*tw_each_global)(
    void *context, const char *name, int line, bool assigned, bool at_top);
tw_status tw_lua_globals(
    const char *file, const char *text, size_t length, tw_each_global each, void *context);

// Each line of a script that can run; `count` is 0.
typedef void (*tw_each_line)(void *context, const char *file, int line, uint64_t count);
tw_status tw_lua_lines(
    const char *file, const char *text, size_t length, tw_each_line each, void *context);
// From now on the VM counts how often each line runs, which costs a hook for every line.
void tw_vm_count_lines(tw_vm *vm);
void tw_vm_each_line(const tw_vm *vm, tw_each_line each, void *context);

// From now on the values at each line are kept of every call, and can be listed after it.
void tw_vm_keep_trace(tw_vm *vm);
void tw_vm_each_trace(
    tw_vm *vm, void (*each)(void *context, const char *text, size_t length), void *context);

enum { TW_EVALUATED = 0, TW_INCOMPLETE = 1, TW_FAILED = 2 };
// Runs a text of the REPL in the environment of its session, within the budget of `stage`: `r` is
// `record` (NULL: nil).  `values` gets a line "VALUE : TYPE" for each value of an expression,
// `changed` the record if it is another one now.
int tw_vm_evaluate(
    tw_vm *vm, int32_t stage, const char *record, size_t record_length, const char *text,
    size_t length, tw_buffer *values, tw_buffer *changed, tw_failure *failure);

#include "CScriptingMeter.h"
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
