// One Lua state with the stages of one rule set; belongs to the thread that created it.
#pragma once
#include <signal.h>
#include <time.h>

#include <lua.hpp>

#include <atomic>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "exact.h"
#include "CScripting.h"
#include "aggregate.h"
#include "call.h"
#include "event_time.h"
#include "ingress.h"
#include "record.h"
#include "schema.h"
#include "short_text.h"
#include "state.h"
#include "tools.h"

namespace tidewheel {

// What Lua holds of a record or of a value nested in it.
struct Handle {
    Node *node;
    uint64_t generation;  // 0: a copy that owns its memory and never expires
    Arena *arena;
};

// The memory of one copy of a record, in the list of all that live.
struct CopyArena : Arena {
    CopyArena *previous = nullptr, *next = nullptr;
};

enum class Breach : int { none, time, memory };

// The time allowed to one call; written by the timer's signal handler on this same thread.
struct Budget {
    timer_t timer{};
    bool has_timer = false;
    volatile sig_atomic_t breach = 0;     // Breach
    volatile sig_atomic_t in_call = 0;
    volatile uint64_t serial = 0;         // of the call in progress
    uint64_t seen_serial = 0;             // the last one the handler has seen
    int64_t seen_at = 0;                  // when it saw it first, in CPU nanoseconds of this thread
    int64_t allowed = 0;                  // nanoseconds
    bool place_known = false;
    char place[160] = "";                 // "rules/x.lua:3: " where the call was stopped
    lua_Hook volatile sampler = nullptr;  // what a tick arms while a call is measured
    volatile sig_atomic_t tick_due = 0;   // it is armed for one sample
};

struct Wire {
    int32_t kind, target;
};

struct Output {
    std::string name;  // "" is the main output
    std::vector<Wire> wires;
};

struct Stage {
    std::string name, file, schema_file, text;
    const tw_schema *schema = nullptr;
    tw_native native = nullptr;
    void *native_context = nullptr;
    int64_t budget = 0;
    int process = LUA_NOREF, on_timer = LUA_NOREF, migrate = LUA_NOREF;
    int64_t state_version = 1;  // of what the rule keeps in its state
    int environment = LUA_NOREF, modules = LUA_NOREF;
    std::vector<Output> outputs{1};
    bool on_dead_letters = false, takes_meta = true;
    int32_t aggregate = -1;  // its place among the aggregate stages, or -1
};

struct Module {
    std::string name, file, text;
};

// Why a record became a dead letter. Texts live in the arena or the VM.
struct Failure {
    const char *kind = "";    // malformed invalid rejected error budget
    const char *reason = "", *error = "";
    size_t reason_length = 0, error_length = 0;
    const char *stage = "", *file = "";
    int32_t line = 0;
    const char *field = "";
    size_t field_length = 0;
    const Findings *findings = nullptr;
    const char *findings_text = nullptr;  // the text that the findings point into
    bool traced = false;
};

// Where the record in progress came from.
struct Origin {
    const char *source = "", *file = "";
    uint64_t position = 0, line = 0;
    const char *original = nullptr;
    size_t original_length = 0;
    uint64_t original_full_length = 0;
    const char *id = nullptr, *headers = nullptr;
    size_t id_length = 0, headers_length = 0;
    uint32_t attempt = 1;
    bool is_entry = false;  // a connector has made the text, perhaps of other bytes
    bool is_continued = false;  // a line that was delivered before it was whole
};

constexpr int trace_limit = 32;
struct TraceLine {
    int32_t line;
    char file[96];
    uint32_t length;
    char text[400];
};

struct Trace {
    bool active = false;
    uint32_t count = 0, events = 0;  // lines seen in this call; the last `trace_limit` are kept
    TraceLine lines[trace_limit];
    TraceLine &at(uint32_t index) { return lines[index % trace_limit]; }
};

// Where a record's field stood; with a shape the key is anchored, so its address says which it is.
constexpr int key_cache_size = 256;
struct KeyCacheEntry {
    const void *name;
    uint32_t position, shape;
};

// What a name of more than `name_limit` bytes, or one too many, is counted under.
constexpr char other_name[] = "other";
constexpr size_t name_limit = 256;

// What the record in progress would add to the counters if it succeeds.
struct Pending {
    static constexpr size_t most = 10'000;           // names; each is short
    std::vector<std::pair<int, std::string>> names;  // kind of count and name
    std::vector<double> values;
    int64_t extra = 0;
    uint64_t dropped = 0;
    void clear() {
        names.clear();
        values.clear();
        extra = 0;
        dropped = 0;
    }
};

}  // namespace tidewheel

struct tw_vm {
    lua_State *L = nullptr;
    tw_vm_config config{};
    std::string key, rule_set;
    tidewheel::MemoryAccount memory, arena_memory;  // Lua's heap; records and their changes
    size_t refused = 0;  // the size of the last block of Lua's heap that was not given
    tidewheel::BlockPool blocks;
    tidewheel::Budget budget;
    tidewheel::Arena arena;
    tidewheel::Text scratch, letter, error_text;
    tidewheel::FieldList fields, nested_fields, letter_fields;
    tidewheel::Ingress ingress, checker;
    tidewheel::StateStore state;
    std::vector<tidewheel::Stage> stages;
    std::vector<tidewheel::Module> modules;
    std::vector<tidewheel::Aggregate> aggregates;
    std::vector<tidewheel::UserAggregate> user_aggregates;
    tidewheel::TimeReader time_reader;
    tidewheel::Watermark watermarks;
    tidewheel::Output source_output, letter_output;
    std::map<std::string, tw_lookup *> lookups;
    uint32_t sink_count = 0;
    bool uses_state = false, loaded = false;

    // The record in progress.
    uint64_t generation = 1;
    int32_t stage = -1;  // whose rule is running
    uint32_t partition = 0;
    int64_t now_milliseconds = 0;
    int64_t event_time = TW_NO_TIME;  // of the record in progress
    int64_t watermark = TW_NO_TIME;   // as it was before that
    int64_t fired_until = TW_NO_TIME;  // timers that were due by then have fired
    int64_t time_reached = TW_NO_TIME;  // the watermark behind the last batch
    uint32_t record_index = 0;        // its place in the batch
    const tw_batch *batch = nullptr;
    bool record_open = false, prepared = false;
    tidewheel::Timer timer;
    tidewheel::Origin origin;
    tidewheel::MadeList emitted;
    tidewheel::Pending pending;
    tidewheel::Failure failure;
    tidewheel::Findings findings;
    tidewheel::Trace trace;
    tidewheel::Tools tools;
    bool in_letter = false, skip_rules = false;
    bool names_said = false;  // that names are counted as "other"
    const char *root_text = nullptr;  // the record as it came, as JSON
    size_t root_length = 0;
    const char *key_text = nullptr;   // its partition key, once computed
    size_t key_length = 0;
    char failure_file[160] = "";      // where the last error was raised
    int32_t failure_line = 0;
    uint64_t random_state = 0;
    bool random_ready = false;
    std::vector<size_t> marks;
    std::vector<uint64_t> row_marks;
    tw_buffer *const *sinks = nullptr;
    tw_rows *const *rows = nullptr;
    std::vector<tidewheel::RowMark> rows_marks;
    tidewheel::KeyCacheEntry key_cache[tidewheel::key_cache_size]{};
    tidewheel::CopyArena *copies = nullptr;
    bool copies_lost = false;  // Lua could not run a finalizer

    // Registry references.
    int record_metatable = LUA_NOREF, copy_metatable = LUA_NOREF;
    int copy_handles = LUA_NOREF;  // from an arena to its handle, weakly
    int verdict_metatable = LUA_NOREF, array_metatable = LUA_NOREF;
    int meta_object = LUA_NOREF, base = LUA_NOREF, verdict_cache = LUA_NOREF;
    int exact_metatable = LUA_NOREF;
    int exact_values = LUA_NOREF;  // from a text to its exact number, weakly
    // Those metatables' addresses.
    const void *record_table = nullptr, *copy_table = nullptr, *exact_table = nullptr;
    int key_anchors = LUA_NOREF;  // the keys of `key_cache`, by slot
    tidewheel::ShortText short_texts[tidewheel::ShortText::count]{};

    tw_counts counts{};
    std::unordered_map<std::string, double> dropped, dead, metrics, unconnected;

    tw_vm(const tw_vm_config &config)
        : config(config), ingress(config.depth_limit), checker(config.depth_limit),
          state(config.state_memory, config.track_changes) {}
};

namespace tidewheel {

inline tw_vm *vm_of(lua_State *L) { return *static_cast<tw_vm **>(lua_getextraspace(L)); }

// budget.cpp
bool start_timer(tw_vm *vm);
void stop_timer(tw_vm *vm);
void begin_call(tw_vm *vm, int64_t budget);
void end_call(tw_vm *vm);
void arm_breach(tw_vm *vm);
void note_place(lua_State *L, Budget &budget);
int64_t thread_cpu();  // nanoseconds of the calling thread
[[noreturn]] void raise_breach(lua_State *L);
[[noreturn]] void raise_memory(lua_State *L);

// sandbox.cpp
void open_sandbox(lua_State *L, tw_vm *vm);
void new_environment(lua_State *L, tw_vm *vm);  // pushes one

// record_lua.cpp
void open_records(lua_State *L, tw_vm *vm);
void push_handle(lua_State *L, tw_vm *vm, Node *node, Arena *arena, uint64_t generation, int owner);
Handle *to_handle(lua_State *L, tw_vm *vm, int index);  // nullptr when it is none
Node *checked_node(lua_State *L, const Handle *handle);

// record_copy.cpp
void open_copies(lua_State *L, tw_vm *vm);
int record_copy(lua_State *L);
void free_lost_copies(tw_vm *vm);
void free_all_copies(tw_vm *vm);

// null.cpp
void open_null(lua_State *L);
void push_null(lua_State *L);
bool is_null(lua_State *L, int index);

// values.cpp
void write_lua(lua_State *L, tw_vm *vm, int index, Text &out);  // raises
// Raises when JSON text that is to stand below `above` levels is nested more than a record may be.
void check_depth(lua_State *L, tw_vm *vm, const char *text, size_t length, uint32_t above);
Value read_value(lua_State *L, tw_vm *vm, int index, Arena &arena);  // raises
void push_json(lua_State *L, tw_vm *vm, const char *text, size_t length);  // valid JSON
void check_text(lua_State *L, const Text &text);
void sort_names(lua_State *L, std::string_view *names, size_t count);  // by their bytes; raises
const char *copy_or_raise(lua_State *L, Arena &arena, const char *text, size_t length);

// host_*.cpp
void open_host(lua_State *L, tw_vm *vm, int base);
int host_random(lua_State *L);
void open_state(lua_State *L, int base);
std::string_view state_key(lua_State *L, int index);  // raises
void open_verdicts(lua_State *L, tw_vm *vm, int base);
void open_meta(lua_State *L, tw_vm *vm);
// A table of functions behind a read-only view, as a field of the base.
void set_library(lua_State *L, int base, const char *name, const luaL_Reg *functions);
VerdictObject *to_verdict(lua_State *L, tw_vm *vm, int index);

// call.cpp
int run_call(tw_vm *vm, Call &call);  // a LUA_ status; the error is then in vm->failure
void note_failure(tw_vm *vm, const char *kind, const char *text, size_t length);
Made *make_record(lua_State *L, tw_vm *vm, int index);  // host_verdicts.cpp; raises

// aggregate.cpp
bool append_row(tw_vm *vm, uint32_t stage, Node *record);
void mark_rows(tw_vm *vm);
void settle_rows(tw_vm *vm, bool committed);

// accumulator.cpp and user_aggregate.cpp; all of them raise
void encode_accumulator(lua_State *L, tw_vm *vm, int index, Text &out);
void decode_accumulator(lua_State *L, tw_vm *vm, const char *bytes, size_t length);
void load_user_aggregate(lua_State *L, tw_vm *vm, UserAggregate &aggregate);
void call_user_aggregate(lua_State *L, tw_vm *vm, const AggregateCall &call);

// state_time.cpp
int64_t state_time(tw_vm *vm);  // by which values expire
int64_t read_ttl(lua_State *L, int index, const char *function);  // in milliseconds; raises
int64_t read_duration(lua_State *L, int index);  // in milliseconds; 0 when it is none

// timers.cpp
int state_timer(lua_State *L);
int call_timer(lua_State *L, tw_vm *vm);
// Runs what is due, as transactions of their own; outside any record, after a rise of event time.
void fire_timers(tw_vm *vm, int64_t watermark);
inline bool timers_due(const tw_vm *vm) {
    return vm->state.due_timer(vm->watermark) != nullptr;
}

// transaction.cpp
using CountTable = std::unordered_map<std::string, double>;
void begin_record(tw_vm *vm);
void roll_back(tw_vm *vm);
void commit(tw_vm *vm);
void count_drop(tw_vm *vm, std::string reason);  // a record that ends by decision of a rule
void count_name(CountTable &table, std::string_view name, double value);  // of the engine's own
void pend(tw_vm *vm, int kind, std::string_view name, double value);

// dead_letter.cpp
void deliver_letter(tw_vm *vm);  // of vm->failure

// batch.cpp
void read_clock(tw_vm *vm);
tw_status memory_status(tw_vm *vm);

// runner.cpp
bool deliver(tw_vm *vm, const Output &output, Node *record);
bool deliver_made(tw_vm *vm, const Stage &stage, const MadeList &list);
Node *fresh_node(tw_vm *vm, const char *text, size_t length);  // indexed; nullptr: no memory

// takeover.cpp
void read_migration(lua_State *L, Stage &stage);  // the environment is at 1; raises
void call_migration(lua_State *L, tw_vm *vm, const Call &call);  // raises

// state_changes.cpp
const char *restore_change(
    tw_vm *vm, uint32_t stage, const tw_state_change &change, bool is_passing);
void refuse_change(tw_status &status, const char *stage, const char *reason);

// trace.cpp
// Why a record has failed, kept while it is run once more.
struct FailureStory {
    explicit FailureStory(const tw_vm *vm);
    void tell(tw_vm *vm, bool is_traced) const;

    Failure failure;
    std::string text;
    char file[160];
    bool is_text;
};
bool is_traceable(const tw_vm *vm);
// Runs a record that has failed once more, for the values at each line: with a budget of its own,
// and without an effect on what is said about the failure.
template <typename Attempt>
void trace_failure(tw_vm *vm, Attempt attempt) {
    if (!is_traceable(vm)) return;
    const FailureStory story(vm);
    vm->trace.active = true;
    const bool repeated = !attempt();
    vm->trace.active = false;
    roll_back(vm);
    story.tell(vm, repeated);
}
void arm_trace(tw_vm *vm);
void disarm_trace(tw_vm *vm);
void note_value(lua_State *L, int index, TraceLine &line);
void note_field(lua_State *L, tw_vm *vm, const Node *node, const char *key, size_t length);

// dead_letter.cpp
void write_letter(tw_vm *vm, Text &out);

// partition.cpp
uint32_t murmur2_partition(const char *key, size_t length, uint32_t partitions);
uint32_t partition_of(tw_vm *vm, Node *record);
void record_id(const tw_vm *vm, Text &out);

void sha256_hex(lua_State *L, const char *text, size_t length, char out[65]);

}  // namespace tidewheel
