import CLua

/// Lua's own interpreter with its own libraries, as a reference.
enum PlainLua {
    /// The strings in the list that the script returns, or its error.
    static func run(_ source: String) -> [String] {
        guard let state = luaL_newstate() else { return ["no memory"] }
        defer { lua_close(state) }
        luaL_openlibs(state)
        let bytes = source.utf8.map { CChar(bitPattern: $0) }
        guard luaL_loadbufferx(state, bytes, bytes.count, "=plain", "t") == LUA_OK,
            lua_pcallk(state, 0, 1, 0, 0, nil) == LUA_OK
        else { return [text(state)] }
        return (0..<lua_Integer(lua_rawlen(state, 1))).map { index in
            lua_rawgeti(state, 1, index + 1)
            defer { lua_settop(state, 1) }
            return text(state)
        }
    }

    private static func text(_ state: OpaquePointer) -> String {
        var length = 0
        guard let bytes = lua_tolstring(state, -1, &length) else { return "(no text)" }
        return String(
            decoding: UnsafeRawBufferPointer(start: bytes, count: length), as: UTF8.self)
    }
}
