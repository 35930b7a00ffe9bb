// Which global names a script reads and assigns and which lines can run, taken from the compiled
// chunk that Lua itself makes: so the lint can never disagree with Lua about scopes.
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <lua.hpp>

#include "CScripting.h"

namespace {

// The format of Lua 5.4's precompiled chunks (ldump.c of 5.4 writes it).
struct ChunkReader {
    const unsigned char *at, *end;
    tw_each_global each = nullptr;
    void *context = nullptr;
    std::set<int> *lines = nullptr;
    bool broken = false;

    bool need(size_t count) {
        if (size_t(end - at) >= count) return true;
        broken = true;
        return false;
    }
    unsigned byte() { return need(1) ? *at++ : 0; }
    void skip(size_t count) {
        if (need(count)) at += count;
    }
    size_t number() {
        size_t value = 0;
        while (!broken) {
            unsigned part = byte();
            value = value << 7 | (part & 0x7F);
            if (part & 0x80) break;
        }
        return value;
    }
    std::string_view string() {
        size_t size = number();
        if (size == 0 || !need(size - 1)) return {};
        std::string_view text(reinterpret_cast<const char *>(at), size - 1);
        at += size - 1;
        return text;
    }

    void function(bool is_main);
    std::vector<std::string_view> constants();
};

std::vector<std::string_view> ChunkReader::constants() {
    std::vector<std::string_view> names(number() & 0xFFFFFF);
    for (auto &name : names) {
        if (broken) break;
        switch (byte()) {
        case 0x03: case 0x13: skip(8); break;
        case 0x04: case 0x14: name = string(); break;
        default: break;
        }
    }
    return names;
}

void ChunkReader::function(bool is_main) {
    // OP_GETTABUP, OP_SETTABUP, OP_VARARGPREP
    constexpr unsigned get_global = 11, set_global = 15, prepare_varargs = 81;
    string();
    int line = int(number());
    number();
    skip(3);
    size_t count = number();
    const unsigned char *code = at;
    if (count > size_t(end - at) / 4) broken = true;
    if (broken) return;
    at += count * 4;
    std::vector<std::string_view> names = constants();
    skip(number() * 3);
    size_t inner = number();
    for (size_t i = 0; i < inner && !broken; i++) function(false);
    size_t line_count = number();
    const signed char *deltas = reinterpret_cast<const signed char *>(at);
    skip(line_count);
    std::vector<std::pair<size_t, int>> absolute(number() & 0xFFFFFF);
    for (auto &[pc, place] : absolute) {
        pc = number();
        place = int(number());
    }
    for (size_t i = number(); i > 0 && !broken; i--) {
        string();
        number();
        number();
    }
    std::vector<std::string_view> upvalues(number() & 0xFF);
    for (auto &name : upvalues) name = string();
    for (size_t pc = 0; pc < count && pc < line_count && !broken; pc++) {
        line += deltas[pc];
        for (auto &[where, place] : absolute)
            if (deltas[pc] == -128 && where == pc) line = place;
        uint32_t instruction;
        memcpy(&instruction, code + pc * 4, 4);
        unsigned operation = instruction & 0x7F;
        // The preparation of `...` is of no line that anybody wrote, and no hook is called for it.
        if (lines && line > 0 && operation != prepare_varargs) lines->insert(line);
        if (!each) continue;
        bool is_get = operation == get_global;
        if (!is_get && operation != set_global) continue;
        unsigned a = instruction >> 7 & 0xFF, b = instruction >> 16 & 0xFF;
        unsigned c = instruction >> 24 & 0xFF;
        unsigned table = is_get ? b : a, key = is_get ? c : b;
        if (table >= upvalues.size() || upvalues[table] != "_ENV" || key >= names.size()) continue;
        std::string name(names[key]);
        each(context, name.c_str(), line, !is_get, is_main);
    }
}

int append_chunk(lua_State *, const void *bytes, size_t size, void *target) {
    static_cast<std::string *>(target)->append(static_cast<const char *>(bytes), size);
    return 0;
}

// Compiles a script and lets the reader walk over it.
tw_status read_script(const char *file, const char *text, size_t length, ChunkReader &reader) {
    tw_status status{};
    lua_State *L = luaL_newstate();
    if (!L) {
        status.code = TW_OUT_OF_MEMORY;
        return status;
    }
    std::string name = std::string("@") + file, chunk;
    if (luaL_loadbufferx(L, text, length, name.c_str(), "t") != LUA_OK) {
        status.code = TW_ERROR;
        const char *message = lua_tostring(L, -1);
        snprintf(status.message, sizeof status.message, "%s", message ? message : "not Lua");
    } else {
        lua_dump(L, append_chunk, &chunk, 0);
        constexpr size_t header = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1;
        if (chunk.size() > header) {
            auto start = reinterpret_cast<const unsigned char *>(chunk.data());
            reader.at = start + header;
            reader.end = start + chunk.size();
            reader.function(true);
        }
    }
    lua_close(L);
    return status;
}

}  // namespace

tw_status tw_lua_globals(
    const char *file, const char *text, size_t length, tw_each_global each, void *context) {
    ChunkReader reader{};
    reader.each = each;
    reader.context = context;
    return read_script(file, text, length, reader);
}

tw_status tw_lua_lines(
    const char *file, const char *text, size_t length, tw_each_line each, void *context) {
    ChunkReader reader{};
    std::set<int> lines;
    reader.lines = &lines;
    tw_status status = read_script(file, text, length, reader);
    for (int line : lines) each(context, file, line, 0);
    return status;
}
