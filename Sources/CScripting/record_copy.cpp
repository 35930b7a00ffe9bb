// Copies of records: they outlive their call, and own their memory.
#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

static void unlink_copy(tw_vm *vm, CopyArena *copy) {
    (copy->previous ? copy->previous->next : vm->copies) = copy->next;
    if (copy->next) copy->next->previous = copy->previous;
    copy->destroy();
    free(copy);
}

int record_copy(lua_State *L) {
    tw_vm *vm = vm_of(L);
    Handle *source = to_handle(L, vm, 1);
    if (!source) return luaL_error(L, "copy() is called with a colon: record:copy()");
    vm->scratch.clear();
    write_node(vm->scratch, checked_node(L, source));
    check_text(L, vm->scratch);
    push_handle(L, vm, nullptr, nullptr, 0, 0);
    Handle *handle = static_cast<Handle *>(lua_touserdata(L, -1));
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->copy_metatable);
    lua_setmetatable(L, -2);
    CopyArena *copy = static_cast<CopyArena *>(malloc(sizeof(CopyArena)));
    if (!copy) raise_memory(L);
    *copy = CopyArena{};
    copy->account = &vm->arena_memory;
    copy->chunk_size = 512;
    copy->next = vm->copies;
    if (vm->copies) vm->copies->previous = copy;
    vm->copies = copy;
    handle->arena = copy;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->copy_handles);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, copy);
    lua_pop(L, 1);
    const char *text = copy_or_raise(L, *copy, vm->scratch.bytes, vm->scratch.length);
    handle->node = make_node(*copy, text, vm->scratch.length, nullptr);
    if (!handle->node) raise_memory(L);
    // Lua does not see the copy's bytes, so it is told to collect as if it had made them.
    lua_gc(L, LUA_GCSTEP, int((vm->scratch.length + 512) >> 10) + 1);
    return 1;
}

static int collect_copy(lua_State *L) {
    Handle *handle = static_cast<Handle *>(lua_touserdata(L, 1));
    if (!handle->arena) return 0;
    unlink_copy(vm_of(L), static_cast<CopyArena *>(handle->arena));
    handle->arena = nullptr;
    return 0;
}

// Lua warns when it could not run a finalizer, as happens when it is out of memory or of C stack.
static void on_warning(void *context, const char *, int) {
    static_cast<tw_vm *>(context)->copies_lost = true;
}

// Frees the copies that Lua has collected without their finalizers; called between records.
void free_lost_copies(tw_vm *vm) {
    lua_State *L = vm->L;
    vm->copies_lost = false;
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->copy_handles);
    for (CopyArena *copy = vm->copies; copy;) {
        CopyArena *next = copy->next;
        if (lua_rawgetp(L, -1, copy) == LUA_TNIL) unlink_copy(vm, copy);
        lua_pop(L, 1);
        copy = next;
    }
    lua_pop(L, 1);
}

// What is left when the Lua state is gone.
void free_all_copies(tw_vm *vm) {
    while (vm->copies) unlink_copy(vm, vm->copies);
}

// Only copies pay for a finalizer (ours, not a script's); expects their metatable on top.
void open_copies(lua_State *L, tw_vm *vm) {
    lua_pushcfunction(L, collect_copy);
    lua_setfield(L, -2, "__gc");
    vm->copy_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    vm->copy_handles = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_setwarnf(L, on_warning, vm);
}

}  // namespace tidewheel
