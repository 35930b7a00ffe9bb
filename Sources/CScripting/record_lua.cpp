// The record as Lua sees it: a userdata whose fields are read on access and written to an overlay.
#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

void push_handle(
    lua_State *L, tw_vm *vm, Node *node, Arena *arena, uint64_t generation, int owner) {
    if (owner) owner = lua_absindex(L, owner);
    Handle *handle =
        static_cast<Handle *>(lua_newuserdatauv(L, sizeof(Handle), generation ? 0 : 1));
    *handle = Handle{node, generation, arena};
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->record_metatable);
    lua_setmetatable(L, -2);
    if (owner) {
        lua_pushvalue(L, owner);
        lua_setiuservalue(L, -2, 1);
    }
}

Handle *to_handle(lua_State *L, tw_vm *vm, int index) {
    if (lua_type(L, index) != LUA_TUSERDATA) return nullptr;
    void *object = lua_touserdata(L, index);
    if (!lua_getmetatable(L, index)) return nullptr;
    const void *table = lua_topointer(L, -1);
    bool same = table == vm->record_table || table == vm->copy_table;
    lua_pop(L, 1);
    return same ? static_cast<Handle *>(object) : nullptr;
}

Node *checked_node(lua_State *L, const Handle *handle) {
    if (handle->generation && handle->generation != vm_of(L)->generation)
        luaL_error(L, "record used after its call: keep record:copy() instead");
    return handle->node;
}

// The handle that a metamethod was called with; scripts cannot get at the metamethods otherwise.
static Node *self_node(lua_State *L, Handle *&handle) {
    handle = static_cast<Handle *>(lua_touserdata(L, 1));
    Node *node = checked_node(L, handle);
    if (!node->fields && !index_node(*handle->arena, node, vm_of(L)->nested_fields))
        raise_memory(L);
    return node;
}

static void push_field_string(lua_State *L, Arena &arena, const char *text, const Field &field) {
    const char *inside = text + field.value_offset + 1;
    size_t length = field.value_length - 2;
    if (!field.value_escaped) {
        // Behind a value there are bytes that may be read.
        if (length <= ShortText::longest) push_short(L, inside, length);
        else lua_pushlstring(L, inside, length);
        return;
    }
    char *decoded = arena.make<char>(length + 1);
    if (!decoded) raise_memory(L);
    lua_pushlstring(L, decoded, decode_string(inside, length, decoded, arena.account->stop));
}

static void push_child(lua_State *L, Handle *handle, Node *child) {
    tw_vm *vm = vm_of(L);
    if (handle->generation) {
        push_handle(L, vm, child, handle->arena, handle->generation, 0);
        return;
    }
    lua_getiuservalue(L, 1, 1);
    bool is_root = lua_isnil(L, -1);
    push_handle(L, vm, child, handle->arena, 0, is_root ? 1 : -1);
    lua_remove(L, -2);
}

static void push_value(lua_State *L, Handle *handle, const Value &value) {
    switch (value.tag) {
    case Value::Tag::null: push_null(L); break;
    case Value::Tag::boolean: lua_pushboolean(L, value.boolean); break;
    case Value::Tag::integer: lua_pushinteger(L, value.integer); break;
    case Value::Tag::number: lua_pushnumber(L, value.number); break;
    case Value::Tag::string: lua_pushlstring(L, value.text, value.length); break;
    case Value::Tag::exact: push_number(L, value.text, value.length); break;
    case Value::Tag::node: push_child(L, handle, value.node); break;
    default: lua_pushnil(L); break;
    }
}

static void push_member(lua_State *L, Handle *handle, Node *node, uint32_t index) {
    if (node->values && node->values[index].tag != Value::Tag::none) {
        push_value(L, handle, node->values[index]);
        return;
    }
    const Field &field = node->fields[index];
    const char *value = node->text + field.value_offset;
    switch (field.kind) {
    case Kind::string: push_field_string(L, *handle->arena, node->text, field); break;
    case Kind::integer: push_integer(L, value, field.value_length); break;
    case Kind::decimal: push_decimal(L, value, field.value_length); break;
    case Kind::boolean: lua_pushboolean(L, *value == 't'); break;
    case Kind::null: push_null(L); break;
    default: {
        Node *child = make_node(*handle->arena, value, field.value_length, node);
        if (!child || !prepare_values(*handle->arena, node)) raise_memory(L);
        Value &slot = node->values[index];
        slot.tag = Value::Tag::node;
        slot.node = child;
        push_child(L, handle, child);
    }
    }
}

static size_t cache_slot(const void *name) {
    return (reinterpret_cast<uintptr_t>(name) >> 4) % key_cache_size;
}

constexpr uint32_t not_known = not_found - 1;

// Where records of this shape have the member named by what stands at index 2: a place,
// `not_found`, or `not_known` when nobody has asked before.
static inline uint32_t known_place(lua_State *L, tw_vm *vm, const Node *node) {
    if (!node->shape) return not_known;
    const void *name = lua_topointer(L, 2);
    const KeyCacheEntry &entry = vm->key_cache[cache_slot(name)];
    return entry.name == name && entry.shape == node->shape ? entry.position : not_known;
}

// Looks for the field named by the string at index 2, and notes where it is.  Without a shape the
// place is verified by comparing, so a stale entry does no harm.
static uint32_t find_place(
    lua_State *L, tw_vm *vm, const Node *node, const char *key, size_t length) {
    const void *name = lua_topointer(L, 2);
    const size_t slot = cache_slot(name);
    KeyCacheEntry &entry = vm->key_cache[slot];
    if (entry.name == name && entry.position < node->count && !node->shape && !node->irregular &&
        !node->buckets) {
        const Field &field = node->fields[entry.position];
        if (field.key_length == length && same_bytes(node->text + field.key_offset, key, length))
            return entry.position;
    }
    uint32_t found = find_field(node, key, length, key_tag(key, length));
    if (node->shape) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, vm->key_anchors);
        lua_pushvalue(L, 2);
        lua_rawseti(L, -2, lua_Integer(slot + 1));
        lua_pop(L, 1);
    }
    if (node->shape || found != not_found) entry = KeyCacheEntry{name, found, node->shape};
    return found;
}

static int index_array(lua_State *L, Handle *handle, Node *node) {
    int is_integer = 0;  // A text that spells a number names no element, as in a table.
    lua_Integer index = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &is_integer) : 0;
    if (!is_integer || index < 1 || index > lua_Integer(array_length(node))) {
        lua_pushnil(L);
    } else if (index <= lua_Integer(node->count)) {
        push_member(L, handle, node, uint32_t(index - 1));
    } else {
        push_value(L, handle, node->added[index - 1 - node->count].value);
    }
    return 1;
}

static int record_index(lua_State *L) {
    Handle *handle;
    Node *node = self_node(L, handle);
    if (node->is_array) return index_array(L, handle, node);
    tw_vm *vm = vm_of(L);
    uint32_t index = known_place(L, vm, node);
    if (index < not_known && !vm->trace.active) {
        push_member(L, handle, node, index);
        return 1;
    }
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    size_t length;
    const char *key = lua_tolstring(L, 2, &length);
    if (!node->keys_ready && !prepare_keys(*handle->arena, node)) raise_memory(L);
    if (index == not_known) index = find_place(L, vm, node, key, length);
    if (index != not_found) {
        push_member(L, handle, node, index);
    } else {
        uint32_t added = node->added_count ? find_added(node, key, length) : not_found;
        if (added != not_found) push_value(L, handle, node->added[added].value);
        else if (length == 4 && !memcmp(key, "copy", 4)) lua_pushcfunction(L, record_copy);
        else lua_pushnil(L);
    }
    if (__builtin_expect(vm->trace.active, 0)) note_field(L, vm, node, key, length);
    return 1;
}

// Puts a new value under a node.
static void attach(lua_State *L, Node *node, Node *child) {
    child->parent = node;
    child->depth = node->depth + 1;
    check_depth(L, vm_of(L), child->text, child->length, node->depth);
}

static int write_array(lua_State *L, Handle *handle, Node *node) {
    int is_integer = 0;  // A text that spells a number names no element, as in a table.
    lua_Integer index = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &is_integer) : 0;
    lua_Integer count = array_length(node);
    if (!is_integer) return luaL_error(L, "elements of a list have whole numbers, not names");
    bool erase = lua_isnil(L, 3);
    if (index < 1 || index > count + 1)
        return luaL_error(
            L, "element %I of a list of %I: elements follow one another", index, count);
    if (erase && index < count)
        return luaL_error(L, "an element inside a list cannot be nil: use null");
    if (erase && index > count) return 0;
    Value value = read_value(L, vm_of(L), 3, *handle->arena);
    if (value.tag == Value::Tag::node) attach(L, node, value.node);
    bool done;
    if (index <= lua_Integer(node->count)) {
        done = prepare_values(*handle->arena, node);
        if (done) node->values[index - 1] = value;
        mark_dirty(node);
    } else if (index - 1 - node->count < node->added_count) {
        node->added[index - 1 - node->count].value = value;
        mark_dirty(node);
        done = true;
    } else {
        done = add_member(*handle->arena, node, nullptr, 0, value);
    }
    if (!done) raise_memory(L);
    return 0;
}

// An empty table says nothing of what it is: where a list stood it is one, too.
static void keep_list(lua_State *L, Handle *handle, Node *node, uint32_t index, Value &value) {
    if (value.tag != Value::Tag::node || value.node->length != 2 || *value.node->text != '{' ||
        lua_type(L, 3) != LUA_TTABLE || !is_list(node, index))
        return;
    const char *text = copy_or_raise(L, *handle->arena, "[]", 2);
    value.node = make_node(*handle->arena, text, 2, nullptr);
    if (!value.node) raise_memory(L);
    attach(L, node, value.node);
}

static int record_newindex(lua_State *L) {
    Handle *handle;
    Node *node = self_node(L, handle);
    if (node->count == 0 && node->added_count == 0 && !node->dirty && node->is_array == false &&
        lua_isinteger(L, 2) && lua_tointeger(L, 2) == 1 && node->parent)
        node->is_array = true;  // An empty {} becomes what it is filled with.
    if (node->is_array) return write_array(L, handle, node);
    tw_vm *vm = vm_of(L);
    uint32_t index = known_place(L, vm, node);
    if (index == not_known && lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "a %s cannot name a field of a record", luaL_typename(L, 2));
    Value value = read_value(L, vm, 3, *handle->arena);
    if (value.tag == Value::Tag::node) attach(L, node, value.node);
    if (index < not_known) {
        keep_list(L, handle, node, index, value);
        if (!set_field(*handle->arena, node, index, value)) raise_memory(L);
        return 0;
    }
    size_t length;
    const char *key = lua_tolstring(L, 2, &length);
    if (!node->keys_ready && !prepare_keys(*handle->arena, node)) raise_memory(L);
    if (index == not_known) index = find_place(L, vm, node, key, length);
    if (index != not_found) {
        keep_list(L, handle, node, index, value);
        if (!set_field(*handle->arena, node, index, value)) raise_memory(L);
        return 0;
    }
    uint32_t added = find_added(node, key, length);
    if (added != not_found) {
        // A field that was deleted and comes back is a new one, at the end.
        if (node->added[added].value.tag == Value::Tag::deleted && added + 1 < node->added_count) {
            AddedMember member = node->added[added];
            memmove(node->added + added, node->added + added + 1,
                    sizeof(AddedMember) * (node->added_count - added - 1));
            added = node->added_count - 1;
            node->added[added] = member;
        }
        node->added[added].value = value;
        mark_dirty(node);
        return 0;
    }
    if (value.tag == Value::Tag::deleted) return 0;
    if (!valid_utf8(key, length)) return luaL_error(L, "a field's name must be valid UTF-8");
    if (!add_member(*handle->arena, node, key, length, value)) raise_memory(L);
    return 0;
}

static int record_length(lua_State *L) {
    Handle *handle;
    Node *node = self_node(L, handle);
    if (node->is_array) {
        lua_pushinteger(L, array_length(node));
        return 1;
    }
    lua_Integer count = 0;
    for (uint32_t i = 0; i < node->count; i++)
        if (!node->values || node->values[i].tag != Value::Tag::deleted) count++;
    for (uint32_t i = 0; i < node->added_count; i++)
        if (node->added[i].value.tag != Value::Tag::deleted) count++;
    lua_pushinteger(L, count);
    return 1;
}

// The iterator of pairs: position in upvalue 1; works on the members in the order of the text.
static int record_next(lua_State *L) {
    Handle *handle;
    Node *node = self_node(L, handle);
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(1));
    check_budget(L);
    for (;; at++) {
        if (at >= lua_Integer(node->count) + node->added_count) return 0;
        bool in_text = at < lua_Integer(node->count);
        const Value *value = in_text ? (node->values ? &node->values[at] : nullptr)
                                     : &node->added[at - node->count].value;
        if (!value || value->tag != Value::Tag::deleted) break;
    }
    lua_pushinteger(L, at + 1);
    lua_replace(L, lua_upvalueindex(1));
    if (node->is_array) {
        lua_pushinteger(L, at + 1);
    } else if (at < lua_Integer(node->count)) {
        const Field &field = node->fields[at];
        const char *key = node->text + field.key_offset;
        if (!field.key_escaped) {
            lua_pushlstring(L, key, field.key_length);
        } else {
            char *decoded = handle->arena->make<char>(field.key_length + 1);
            if (!decoded) raise_memory(L);
            lua_pushlstring(L, decoded, decode_string(key, field.key_length, decoded));
        }
    } else {
        const AddedMember &member = node->added[at - node->count];
        lua_pushlstring(L, member.name, member.length);
    }
    if (at < lua_Integer(node->count)) push_member(L, handle, node, uint32_t(at));
    else push_value(L, handle, node->added[at - node->count].value);
    return 2;
}

static int record_pairs(lua_State *L) {
    Handle *handle;
    self_node(L, handle);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, record_next, 1);
    lua_pushvalue(L, 1);
    return 2;
}

static int record_equal(lua_State *L) {
    tw_vm *vm = vm_of(L);
    Handle *left = to_handle(L, vm, 1), *right = to_handle(L, vm, 2);
    lua_pushboolean(L, left && right && left->node == right->node &&
                           left->generation == right->generation);
    return 1;
}

static int record_tostring(lua_State *L) {
    tw_vm *vm = vm_of(L);
    Handle *handle = static_cast<Handle *>(lua_touserdata(L, 1));
    vm->scratch.clear();
    write_node(vm->scratch, checked_node(L, handle));
    check_text(L, vm->scratch);
    lua_pushlstring(L, vm->scratch.bytes, vm->scratch.length);
    return 1;
}

static void set_methods(lua_State *L, const luaL_Reg *methods, const char *name) {
    luaL_setfuncs(L, methods, 0);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

void open_records(lua_State *L, tw_vm *vm) {
    constexpr int roomy = 32;  // More room than needed, so that methods are found at once.
    static const luaL_Reg record_methods[] = {
        {"__index", record_index}, {"__newindex", record_newindex}, {"__len", record_length},
        {"__pairs", record_pairs}, {"__eq", record_equal}, {"__tostring", record_tostring},
        {nullptr, nullptr}};
    lua_createtable(L, 0, roomy);
    set_methods(L, record_methods, "record");
    vm->record_table = lua_topointer(L, -1);
    vm->record_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_createtable(L, 0, roomy);
    set_methods(L, record_methods, "record");
    vm->copy_table = lua_topointer(L, -1);
    open_copies(L, vm);
    open_null(L);
    open_exact(L, vm);
    lua_newtable(L);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    vm->array_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_createtable(L, key_cache_size, 0);
    for (int i = 1; i <= key_cache_size; i++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, -2, i);
    }
    vm->key_anchors = luaL_ref(L, LUA_REGISTRYINDEX);
    open_short_texts(L, vm);
}

}  // namespace tidewheel
