// The values at each line of a failing call: the record is run once more under a line hook.
#include <cstdio>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

// A re-run that is still going after this many lines is cut off; the last lines tell the story.
static constexpr uint32_t event_limit = 20000;

static void append(TraceLine &line, const char *text, size_t length) {
    size_t room = sizeof line.text - line.length;
    if (length > room) {
        length = room;
        while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) length--;
    }
    memcpy(line.text + line.length, text, length);
    line.length += uint32_t(length);
}

void note_value(lua_State *L, int index, TraceLine &line) {
    char number[64];
    switch (lua_type(L, index)) {
    case LUA_TNIL: append(line, "nil", 3); break;
    case LUA_TBOOLEAN: {
        bool value = lua_toboolean(L, index);
        append(line, value ? "true" : "false", value ? 4 : 5);
        break;
    }
    case LUA_TNUMBER: {
        Text text;
        text.bytes = number;
        text.capacity = sizeof number;
        text.limit = 0;  // Never grows: a number is shorter.
        if (lua_isinteger(L, index)) write_integer(text, lua_tointeger(L, index));
        else
            text.length = size_t(snprintf(number, sizeof number, "%.14g", lua_tonumber(L, index)));
        append(line, number, text.length);
        break;
    }
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        size_t shown = length < 60 ? length : 60;
        while (shown > 0 && shown < length &&
               (static_cast<unsigned char>(text[shown]) & 0xC0) == 0x80)
            shown--;
        append(line, "\"", 1);
        append(line, text, shown);
        append(line, shown < length ? "…\"" : "\"", shown < length ? 4 : 1);
        break;
    }
    default:
        if (is_exact(L, index)) {
            std::string_view text = exact_text(L, index);
            append(line, text.data(), std::min(text.size(), size_t(60)));
            break;
        }
        append(line, is_null(L, index) ? "null" : luaL_typename(L, index),
               strlen(is_null(L, index) ? "null" : luaL_typename(L, index)));
    }
}

static void note_pair(
    lua_State *L, TraceLine &line, const char *prefix, const char *name, size_t length, int index) {
    if (line.length) append(line, " ", 1);
    append(line, prefix, strlen(prefix));
    append(line, name, length);
    append(line, "=", 1);
    note_value(L, index, line);
}

void note_field(lua_State *L, tw_vm *vm, const Node *node, const char *key, size_t length) {
    Trace &trace = vm->trace;
    if (trace.count == 0) return;
    TraceLine &line = trace.at(trace.count - 1);
    note_pair(L, line, node->parent ? "." : "r.", key, length, lua_gettop(L));
}

static void trace_hook(lua_State *L, lua_Debug *frame) {
    tw_vm *vm = vm_of(L);
    check_budget(L);
    Trace &trace = vm->trace;
    if (++trace.events > event_limit) {
        vm->budget.breach = int(Breach::time);
        raise_breach(L);
    }
    lua_getinfo(L, "Sl", frame);
    if (frame->currentline <= 0) return;
    TraceLine &line = trace.at(trace.count++);
    line.line = frame->currentline;
    line.length = 0;
    snprintf(line.file, sizeof line.file, "%s", frame->short_src);
    for (int i = 1; const char *name = lua_getlocal(L, frame, i); i++) {
        int type = lua_type(L, -1);
        bool shown = name[0] != '(' && type != LUA_TFUNCTION && type != LUA_TTABLE &&
                     (type != LUA_TUSERDATA) && i < 200;
        if (shown) note_pair(L, line, "", name, strlen(name), lua_gettop(L));
        lua_pop(L, 1);
    }
}

// ---- the story of a failure, which tracing leaves as it was

bool is_traceable(const tw_vm *vm) {
    return vm->config.trace && (!strcmp(vm->failure.kind, "error") ||
                                !strcmp(vm->failure.kind, "budget"));
}

FailureStory::FailureStory(const tw_vm *vm)
    : failure(vm->failure), text(vm->error_text.bytes, vm->error_text.length) {
    memcpy(file, vm->failure_file, sizeof file);
    is_text = failure.reason == vm->error_text.bytes;
}

void FailureStory::tell(tw_vm *vm, bool is_traced) const {
    vm->failure = failure;
    vm->failure.traced = is_traced;
    memcpy(vm->failure_file, file, sizeof file);
    if (!is_text) return;
    vm->error_text.clear();
    vm->error_text.append(text.data(), text.size());
    vm->failure.reason = vm->failure.error = vm->error_text.bytes;
}

void arm_trace(tw_vm *vm) {
    vm->trace.count = 0;
    vm->trace.events = 0;
    lua_sethook(vm->L, trace_hook, LUA_MASKLINE, 0);
}

void disarm_trace(tw_vm *vm) { lua_sethook(vm->L, nullptr, 0, 0); }

}  // namespace tidewheel
