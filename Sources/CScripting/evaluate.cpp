// Expressions and statements that a person types: the sandbox and the budgets are those of rules,
// but globals last for the session.
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

static bool compile(lua_State *L, const std::string &text) {
    return luaL_loadbufferx(L, text.data(), text.size(), "@repl", "t") == LUA_OK;
}

static bool ends_early(lua_State *L) {
    size_t length;
    const char *message = lua_tolstring(L, -1, &length);
    static const char mark[] = "<eof>";
    return message && length >= 5 && !memcmp(message + length - 5, mark, 5);
}

// Leaves the compiled text on the stack: first as an expression, then as a statement.
static bool compile_any(lua_State *L, Evaluation &evaluation) {
    std::string text(evaluation.text, evaluation.length);
    if (compile(L, "return " + text)) return true;
    evaluation.incomplete = ends_early(L);
    lua_pop(L, 1);
    if (compile(L, text)) return true;
    evaluation.incomplete = evaluation.incomplete || ends_early(L);
    return false;
}

static void open_session(lua_State *L, tw_vm *vm) {
    if (vm->tools.session != LUA_NOREF) return;
    new_environment(L, vm);
    vm->tools.session = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void open_modules(lua_State *L, tw_vm *vm) {
    Stage &stage = vm->stages[size_t(vm->stage)];
    if (stage.modules != LUA_NOREF) return;
    lua_newtable(L);
    stage.modules = luaL_ref(L, LUA_REGISTRYINDEX);
}

static const char *type_of(lua_State *L, tw_vm *vm, int index, char *space, size_t size) {
    if (lua_isinteger(L, index)) return "integer";
    if (lua_type(L, index) == LUA_TNUMBER) return "float";
    if (is_null(L, index)) return "null";
    if (is_exact(L, index)) return "exact";
    if (to_verdict(L, vm, index)) return "verdict";
    size_t count = 0;
    bool is_list = false;
    if (Handle *handle = to_handle(L, vm, index)) {
        vm->scratch.clear();
        write_node(vm->scratch, checked_node(L, handle));
        is_list = vm->scratch.length && vm->scratch.bytes[0] == '[';
        lua_len(L, index);
        count = size_t(lua_tointeger(L, -1));
        lua_pop(L, 1);
    } else if (lua_istable(L, index)) {
        count = lua_rawlen(L, index);
        vm->scratch.clear();
        write_lua(L, vm, index, vm->scratch);
        is_list = vm->scratch.length && vm->scratch.bytes[0] == '[';
    } else {
        return luaL_typename(L, index);
    }
    if (!is_list) return "table";
    snprintf(space, size, "array(%zu)", count);
    return space;
}

// What a person sees of the value at 1.
static int describe(lua_State *L) {
    tw_vm *vm = vm_of(L);
    char space[64];
    const char *type = type_of(L, vm, 1, space, sizeof space);
    int kind = lua_type(L, 1);
    bool plain = kind == LUA_TFUNCTION || kind == LUA_TNIL || to_verdict(L, vm, 1);
    if (plain) {
        luaL_tolstring(L, 1, nullptr);
        if (kind == LUA_TFUNCTION) lua_pushliteral(L, "function");
    } else {
        vm->scratch.clear();
        if (kind == LUA_TNUMBER && !lua_isinteger(L, 1)) {
            double number = lua_tonumber(L, 1);
            if (number != number || number - number != 0) {
                luaL_tolstring(L, 1, nullptr);
                lua_pushfstring(L, "%s : float", lua_tostring(L, -1));
                return 1;
            }
        }
        write_lua(L, vm, 1, vm->scratch);
        lua_pushlstring(L, vm->scratch.bytes, vm->scratch.length);
    }
    lua_pushfstring(L, "%s : %s", lua_tostring(L, -1), type);
    return 1;
}

static void note_result(lua_State *L, tw_vm *vm, int index, Evaluation &evaluation) {
    lua_pushcfunction(L, describe);
    lua_pushvalue(L, index);
    // A table that holds a function is no JSON, but it is a table all the same.
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        check_budget(L);
        lua_pushfstring(L, "(%s) : %s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "no text",
                        luaL_typename(L, index));
    }
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    evaluation.values.emplace_back(text, length);
    lua_pop(L, 1);
}

// The record may have been changed in place, or another table may stand in its place.
static void keep_record(lua_State *L, tw_vm *vm, const Node *root, Evaluation &evaluation) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->tools.session);
    lua_pushliteral(L, "r");
    int type = lua_rawget(L, -2);
    if (type == LUA_TNIL) return;
    Handle *handle = to_handle(L, vm, lua_gettop(L));
    if (!handle && type != LUA_TTABLE) luaL_error(L, "r must be a record");
    vm->scratch.clear();
    if (handle && checked_node(L, handle) == root && !root->dirty) return;
    write_lua(L, vm, lua_gettop(L), vm->scratch);
    if (!vm->scratch.length || vm->scratch.bytes[0] != '{') luaL_error(L, "r must be a record");
    evaluation.record.assign(vm->scratch.bytes, vm->scratch.length);
    evaluation.record_changed = true;
}

int evaluate(lua_State *L, tw_vm *vm) {
    Evaluation &evaluation = *vm->tools.evaluation;
    open_session(L, vm);
    open_modules(L, vm);
    if (!compile_any(L, evaluation)) return evaluation.incomplete ? 0 : lua_error(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->tools.session);
    int session = lua_gettop(L);
    Node *root = nullptr;
    lua_pushliteral(L, "r");
    if (evaluation.record.empty()) {
        lua_pushnil(L);
    } else {
        const char *text = copy_or_raise(
            L, vm->arena, evaluation.record.data(), evaluation.record.size());
        root = fresh_node(vm, text, evaluation.record.size());
        if (!root) raise_memory(L);
        push_handle(L, vm, root, &vm->arena, vm->generation, 0);
    }
    lua_rawset(L, session);
    lua_pushliteral(L, "meta");
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->meta_object);
    lua_rawset(L, session);
    lua_setupvalue(L, session - 1, 1);
    int below = lua_gettop(L) - 1;
    lua_call(L, 0, LUA_MULTRET);
    check_budget(L);
    for (int i = below + 1, last = lua_gettop(L); i <= last; i++) note_result(L, vm, i, evaluation);
    keep_record(L, vm, root, evaluation);
    return 0;
}

}  // namespace tidewheel

using namespace tidewheel;

void tw_vm_keep_trace(tw_vm *vm) { vm->tools.keeps_trace = vm->trace.active = true; }

void tw_vm_each_trace(
    tw_vm *vm, void (*each)(void *context, const char *text, size_t length), void *context) {
    Trace &trace = vm->trace;
    for (uint32_t i = trace.count > trace_limit ? trace.count - trace_limit : 0; i < trace.count;
         i++) {
        TraceLine &line = trace.at(i);
        char place[128];
        snprintf(place, sizeof place, "%s:%d: ", line.file, line.line);
        std::string text = std::string(place) + std::string(line.text, line.length);
        each(context, text.data(), text.size());
    }
}

int tw_vm_evaluate(
    tw_vm *vm, int32_t stage, const char *record, size_t record_length, const char *text,
    size_t length, tw_buffer *values, tw_buffer *changed, tw_failure *failure) {
    Evaluation evaluation;
    evaluation.text = text;
    evaluation.length = length;
    if (record) evaluation.record.assign(record, record_length);
    vm->tools.evaluation = &evaluation;
    vm->arena.reset();
    vm->sinks = nullptr;
    vm->origin = Origin{};
    vm->origin.source = vm->origin.file = "repl";
    vm->key_text = nullptr;
    vm->partition = 0;
    vm->pending.clear();
    read_clock(vm);
    tw_batch batch{};
    vm->batch = &batch;
    Call call{vm, CallKind::evaluate, uint32_t(stage), nullptr};
    int status = run_call(vm, call);
    vm->batch = nullptr;
    vm->tools.evaluation = nullptr;
    if (status == LUA_OK) vm->state.commit();
    else vm->state.roll_back();
    vm->pending.clear();
    if (status != LUA_OK) {
        const Failure &why = vm->failure;
        snprintf(failure->message, sizeof failure->message, "%.*s", int(why.reason_length),
                 why.reason);
        snprintf(failure->file, sizeof failure->file, "%s", why.file);
        failure->line = why.line;
        return TW_FAILED;
    }
    if (evaluation.incomplete) return TW_INCOMPLETE;
    for (const std::string &value : evaluation.values) {
        values->append(value.data(), value.size());
        values->append('\n');
        values->rows++;
    }
    if (evaluation.record_changed)
        changed->append(evaluation.record.data(), evaluation.record.size());
    return TW_EVALUATED;
}
