// Making a VM, giving it its rule set, and reading its counters.
#include "internal/vm.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "internal/budget.h"
#include "internal/lookup.h"

namespace tidewheel {

static void release(tw_vm *vm, void *block, size_t size) {
    if (size <= BlockPool::largest && size) vm->blocks.give(block, size);
    else free(block);
}

static void *resize(tw_vm *vm, void *block, size_t old_size, size_t new_size) {
    if (old_size > BlockPool::largest && new_size > BlockPool::largest)
        return realloc(block, new_size);
    void *moved = new_size <= BlockPool::largest ? vm->blocks.take(new_size) : malloc(new_size);
    if (!moved || !block) return moved;
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    release(vm, block, old_size);
    return moved;
}

// Whether a call gets memory beyond the limit, within reason. Lua collects everything before it
// asks again, so one that is over gets what it asks for; and one that asks in vain for more room
// for what it has gets it once, since it is stopped at its next step, where its line is known.
static bool allow_more(tw_vm *vm, const void *block, size_t new_size) {
    Budget &budget = vm->budget;
    const bool is_asked_again = block && vm->refused == new_size;
    vm->refused = new_size;
    if (!budget.in_call) return false;
    const MemoryAccount &account = vm->memory;
    constexpr size_t largest_stack = 16 << 20;  // Lua's own bound
    const bool is_bearable =
        new_size <= largest_stack || account.used + new_size <= account.limit + account.limit / 4;
    if (budget.breach || is_asked_again) {
        if (!is_bearable) return false;
        if (!budget.breach) {
            budget.breach = int(Breach::memory);
            arm_breach(vm);
        }
        return true;
    }
    // A new object: the stack is whole, so the place can be told before Lua gives up.
    if (!block) note_place(vm->L, budget);
    return false;
}

// Lua's allocator: counts every byte, and says no at the limit (but never to shrinking).
static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
    tw_vm *vm = static_cast<tw_vm *>(context);
    MemoryAccount &account = vm->memory;
    if (!block) old_size = 0;
    if (new_size == 0) {
        if (block) release(vm, block, old_size);
        account.used -= old_size;
        return nullptr;
    }
    if (new_size > old_size && account.used + (new_size - old_size) > account.limit &&
        !allow_more(vm, block, new_size))
        return nullptr;
    void *moved = resize(vm, block, old_size, new_size);
    if (!moved) return new_size <= old_size ? block : nullptr;
    account.used += new_size - old_size;
    return moved;
}

static int open_vm(lua_State *L) {
    open_sandbox(L, static_cast<tw_vm *>(lua_touserdata(L, 1)));
    return 0;
}

static void set_error(tw_status *status, int code, const char *text) {
    status->code = code;
    snprintf(status->message, sizeof status->message, "%s", text);
}

// Whether a script mentions the name `state` by itself, not as a field or a key of its own.
static bool mentions_state(const std::string &text) {
    auto is_word = [](char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; };
    for (size_t at = text.find("state"); at != std::string::npos; at = text.find("state", at + 5)) {
        char before = at ? text[at - 1] : ' ';
        size_t next = at + 5;
        if (is_word(before) || before == '.' || (next < text.size() && is_word(text[next])))
            continue;
        if (before == '"' || before == '\'') continue;
        while (next < text.size() && (text[next] == ' ' || text[next] == '\t')) next++;
        bool assigned = next < text.size() && text[next] == '=' &&
                        (next + 1 >= text.size() || text[next + 1] != '=');
        if (!assigned) return true;
    }
    return false;
}

static Output &output_of(tw_vm *vm, int32_t origin, const char *name) {
    if (origin == TW_SOURCE) return vm->source_output;
    if (origin == TW_DEAD_LETTERS) return vm->letter_output;
    Stage &stage = vm->stages[size_t(origin)];
    if (!name) return stage.outputs[0];
    for (size_t i = 1; i < stage.outputs.size(); i++)
        if (stage.outputs[i].name == name) return stage.outputs[i];
    stage.outputs.push_back(Output{name, {}});
    return stage.outputs.back();
}

}  // namespace tidewheel

using namespace tidewheel;

tw_vm *tw_vm_create(const tw_vm_config *config, tw_status *status) {
    *status = tw_status{};
    tw_vm *vm = new tw_vm(*config);
    vm->key = config->key ? config->key : "";
    vm->config.key = vm->key.c_str();
    vm->rule_set = config->rule_set ? config->rule_set : "";
    vm->config.rule_set = vm->rule_set.c_str();
    if (vm->config.partitions == 0) vm->config.partitions = 1;
    if (vm->config.emitted_limit == 0) vm->config.emitted_limit = SIZE_MAX;
    vm->time_reader.configure(config->time);
    vm->arena.account = &vm->arena_memory;
    vm->arena_memory.limit = config->script_memory;
    // Text made for a record is bounded like its memory, with room for the record itself.
    vm->scratch.limit = config->script_memory + config->record_limit;
    // What works for a call stops when the call is over.
    vm->scratch.stop = vm->arena_memory.stop = vm->nested_fields.stop = &vm->budget.breach;
    vm->nested_fields.limit =
        uint32_t(std::min<size_t>(config->script_memory / sizeof(Field), UINT32_MAX));
    vm->state.set_undo_limit(config->script_memory);
    vm->source_output.name = "source";
    vm->L = lua_newstate(allocate, vm);
    if (!vm->L || !start_timer(vm)) {
        set_error(status, TW_ERROR, vm->L ? "cannot create a timer for the time budget of rules"
                                          : "out of memory for a Lua state");
        tw_vm_destroy(vm);
        return nullptr;
    }
    *static_cast<tw_vm **>(lua_getextraspace(vm->L)) = vm;
    lua_pushcfunction(vm->L, open_vm);
    lua_pushlightuserdata(vm->L, vm);
    if (lua_pcall(vm->L, 1, 0, 0) != LUA_OK) {
        set_error(status, TW_OUT_OF_MEMORY, "out of memory for a Lua state");
        tw_vm_destroy(vm);
        return nullptr;
    }
    vm->memory.limit = vm->memory.used + config->script_memory;
    return vm;
}

void tw_vm_destroy(tw_vm *vm) {
    stop_timer(vm);
    forget_meter(vm);
    if (vm->L) lua_close(vm->L);
    free_all_copies(vm);
    for (auto &[name, lookup] : vm->lookups) tw_lookup_release(lookup);
    vm->arena.destroy();
    vm->blocks.destroy();
    for (Text *text : {&vm->scratch, &vm->letter, &vm->error_text}) free(text->bytes);
    for (FieldList *list : {&vm->fields, &vm->nested_fields, &vm->letter_fields}) free(list->items);
    delete vm;
}

void tw_vm_add_module(tw_vm *vm, const char *name, const char *file, const char *text, size_t n) {
    vm->modules.push_back(Module{name, file, std::string(text, n)});
}

int32_t tw_vm_add_stage(
    tw_vm *vm, const char *name, const tw_schema *schema, const char *schema_file, const char *file,
    const char *text, size_t text_length, tw_native native, void *native_context,
    int64_t budget_nanoseconds) {
    Stage stage;
    stage.name = name;
    stage.outputs[0].name = name;
    stage.schema = schema;
    stage.schema_file = schema_file ? schema_file : "";
    stage.file = file ? file : "";
    if (text) stage.text.assign(text, text_length);
    stage.native = native;
    stage.native_context = native_context;
    stage.budget = budget_nanoseconds;
    vm->stages.push_back(std::move(stage));
    return int32_t(vm->stages.size()) - 1;
}

void tw_vm_add_wire(
    tw_vm *vm, int32_t origin, const char *output, int32_t target_kind, int32_t target) {
    output_of(vm, origin, output).wires.push_back(Wire{target_kind, target});
}

void tw_vm_set_sink_count(tw_vm *vm, uint32_t count) {
    vm->sink_count = count;
    vm->marks.resize(count);
    vm->row_marks.resize(count);
}

int64_t tw_vm_set_budget(tw_vm *vm, int32_t stage, int64_t budget_nanoseconds) {
    return std::exchange(vm->stages[size_t(stage)].budget, budget_nanoseconds);
}

void tw_vm_set_lookup(tw_vm *vm, const char *name, tw_lookup *lookup) {
    tw_lookup_retain(lookup);
    tw_lookup *&slot = vm->lookups[name];
    if (slot) tw_lookup_release(slot);
    slot = lookup;
}

static tw_status load_failure(tw_vm *vm, const std::string &file) {
    tw_status status{};
    std::string text(vm->failure.reason, vm->failure.reason_length);
    if (text.find(':') == std::string::npos) text = file + ":1: " + text;
    set_error(&status, TW_ERROR, text.c_str());
    return status;
}

tw_status tw_vm_load(tw_vm *vm) {
    for (size_t i = 0; i < vm->user_aggregates.size(); i++) {
        Call call{vm, CallKind::load_aggregate, vm->user_aggregates[i].stage, nullptr};
        call.index = i;
        vm->arena.reset();
        if (run_call(vm, call) != LUA_OK) return load_failure(vm, vm->user_aggregates[i].file);
    }
    for (uint32_t i = 0; i < vm->stages.size(); i++) {
        if (vm->stages[i].file.empty()) continue;
        Call call{vm, CallKind::load, i, nullptr};
        vm->arena.reset();
        if (run_call(vm, call) != LUA_OK) return load_failure(vm, vm->stages[i].file);
        if (mentions_state(vm->stages[i].text)) vm->uses_state = true;
    }
    for (const Module &module : vm->modules)
        if (mentions_state(module.text)) vm->uses_state = true;
    vm->loaded = true;
    return tw_status{};
}

bool tw_vm_uses_state(const tw_vm *vm) { return vm->uses_state; }

bool tw_script_uses_state(const char *text, size_t length) {
    return mentions_state(std::string(text, length));
}

tw_counts tw_vm_counts(const tw_vm *vm) {
    tw_counts counts = vm->counts;
    counts.state_keys = vm->state.key_count();
    counts.state_bytes = vm->state.byte_count();
    counts.script_bytes = vm->memory.used;
    return counts;
}

void tw_vm_each_count(const tw_vm *vm, tw_each_count each, void *context) {
    for (auto &[name, value] : vm->dropped) each(context, TW_COUNT_DROPPED, name.c_str(), value);
    for (auto &[name, value] : vm->dead) each(context, TW_COUNT_DEAD, name.c_str(), value);
    for (auto &[name, value] : vm->metrics) each(context, TW_COUNT_METRIC, name.c_str(), value);
}

tw_status tw_vm_generate(tw_vm *vm, uint64_t index, uint64_t random_seed, tw_buffer *out) {
    tw_status status{};
    vm->arena.reset();
    vm->random_state = random_seed ^ (index * 0xD1342543DE82EF95u + 0x632BE59BD9B4E019u);
    Call call{vm, CallKind::generate, 0, nullptr};
    call.index = index;
    if (run_call(vm, call) != LUA_OK) {
        set_error(&status, TW_ERROR,
                  std::string(vm->failure.reason, vm->failure.reason_length).c_str());
        return status;
    }
    for (const Made *made = call.list.first; made; made = made->next) {
        out->append(made->text, made->length);
        out->append('\n');
        out->rows++;
    }
    return status;
}

namespace {

struct Reach {
    tw_each_count each;
    void *context;
};

void report(Reach &reach, const char *prefix, const char *name) {
    char full[200];
    snprintf(full, sizeof full, "%s%s%s", prefix, *prefix ? "." : "", name);
    reach.each(reach.context, 0, full, 0);
}

// Everything a script could name: the base, and what stands behind its read-only tables.
int walk_reachable(lua_State *L) {
    Reach &reach = *static_cast<Reach *>(lua_touserdata(L, 1));
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->base);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        const char *name = lua_tostring(L, -2);
        report(reach, "", name);
        if (lua_istable(L, -1) && luaL_getmetafield(L, -1, "__index") == LUA_TTABLE) {
            lua_pushnil(L);
            while (lua_next(L, -2)) {
                report(reach, name, lua_tostring(L, -2));
                lua_pop(L, 1);
            }
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return 0;
}

}  // namespace

void tw_vm_each_reachable(tw_vm *vm, tw_each_count each, void *context) {
    Reach reach{each, context};
    lua_pushcfunction(vm->L, walk_reachable);
    lua_pushlightuserdata(vm->L, &reach);
    lua_pcall(vm->L, 1, 0, 0);
    lua_settop(vm->L, 0);
}
