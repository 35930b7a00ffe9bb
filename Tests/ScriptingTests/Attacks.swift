import Testing

/// The worst that a rule can ask of each function within its memory: something prepared in `S`,
/// and the call.
struct Attack: CustomTestStringConvertible, Sendable {
    var name: String
    var setup: String
    var call: String
    var testDescription: String { name }

    init(_ name: String, _ setup: String = "", _ call: String) {
        self.name = name
        self.setup = setup
        self.call = call
    }

    /// What takes the same short time whatever it is given, or only calls what is attacked here.
    static let harmless: Set<String> = [
        "now", "null", "json", "time", "state", "string", "table", "math", "utf8", "drop.name",
        "math.abs", "math.acos", "math.asin", "math.atan", "math.ceil", "math.cos", "math.exp",
        "math.floor", "math.fmod", "math.huge", "math.log", "math.maxinteger", "math.mininteger",
        "math.min", "math.modf", "math.pi", "math.random", "math.sin", "math.sqrt", "math.tan",
        "math.tointeger", "math.type", "math.ult", "round", "time.format", "json.array", "ipairs",
        "type", "is_number", "getmetatable", "string.len", "utf8.charpattern", "snooze",
    ]

    static let patterns = [
        Attack(
            "string.find with a large set",
            "S.s = ('a'):rep(1e6) S.p = '[' .. ('bc'):rep(3e4) .. ']'", "S.s:find(S.p)"),
        Attack(
            "string.match with a repeated large set",
            "S.s = ('a'):rep(1e6) S.p = '[' .. ('bc'):rep(3e4) .. 'a]*z'", "S.s:match(S.p)"),
        Attack(
            "string.gmatch over a frontier with a large set",
            "S.s = ('a'):rep(1e6) S.p = '%f[' .. ('bc'):rep(3e4) .. ']'",
            "for x in S.s:gmatch(S.p) do end"),
        Attack(
            "string.find with a back reference", "S.s = ('a'):rep(8e6)",
            "S.s:find('^(.*)%1%1b')"),
        Attack(
            "string.find of a long text", "S.s = ('a'):rep(2e7) S.p = ('a'):rep(1e7) .. 'b'",
            "S.s:find(S.p, 1, true)"),
        Attack(
            "string.find of a text that is no pattern", "S.s = 'a' S.p = ('a'):rep(2e7)",
            "S.s:find(S.p)"),
        Attack(
            "string.gsub of everything", "S.s = ('a'):rep(2e7)", "S.s:gsub('.', '')"),
        Attack(
            "string.gsub with a long replacement", "S.s = 'aa' S.t = ('%%'):rep(8e6)",
            "S.s:gsub('a', S.t)"),
        Attack(
            "string.gsub with long captures", "S.s = ('a'):rep(2e4) S.t = ('%0'):rep(2e4)",
            "S.s:gsub('.*', S.t)"),
    ]

    static let texts = [
        Attack("hash", "S.s = ('a'):rep(3e7)", "hash(S.s)"),
        Attack("hash with murmur2", "S.s = ('a'):rep(3e7)", "hash(S.s, 'murmur2')"),
        Attack("string.rep", "S.s = ('a'):rep(1e6)", "S.s:rep(30, '-')"),
        Attack("string.lower", "S.s = ('A'):rep(2e7)", "S.s:lower()"),
        Attack("string.upper", "S.s = ('a'):rep(2e7)", "S.s:upper()"),
        Attack("string.reverse", "S.s = ('a'):rep(1.5e7)", "S.s:reverse()"),
        Attack("string.sub", "S.s = ('a'):rep(2e7)", "S.s:sub(2)"),
        Attack("string.byte", "S.s = ('a'):rep(2e7)", "while true do S.s:byte(1, 900000) end"),
        Attack(
            "string.char", "S.t = {} for i = 1, 9e5 do S.t[i] = 65 end",
            "string.char(table.unpack(S.t))"),
        Attack("string.format of quotes", "S.s = ('\\0'):rep(8e6)", "('%q'):format(S.s)"),
        Attack(
            "string.format of many numbers",
            "S.f = ('%99.99f'):rep(1e5) S.t = {} for i = 1, 1e5 do S.t[i] = 1e308 end",
            "S.f:format(table.unpack(S.t))"),
        Attack("string.format of percents", "S.s = ('%%'):rep(1e7)", "S.s:format()"),
        Attack("tonumber", "S.s = ('9'):rep(3e7)", "tonumber(S.s)"),
        Attack("tonumber in a base", "S.s = ('z'):rep(3e7)", "tonumber(S.s, 36)"),
        Attack("math.max of texts", "S.s = ('9'):rep(2e7)", "math.max(S.s, S.s)"),
        Attack("utf8.len", "S.s = ('ä'):rep(1.5e7)", "utf8.len(S.s)"),
        Attack("utf8.offset", "S.s = ('a'):rep(3e7)", "utf8.offset(S.s, 3e7)"),
        Attack("utf8.codepoint", "S.s = ('a'):rep(9e5)", "utf8.codepoint(S.s, 1, -1)"),
        Attack("utf8.codes", "S.s = ('a'):rep(2e7)", "for _ in utf8.codes(S.s) do end"),
        Attack(
            "utf8.char", "S.t = {} for i = 1, 9e5 do S.t[i] = 0x10ffff end",
            "utf8.char(table.unpack(S.t))"),
        Attack("time.parse", "S.s = ('1'):rep(3e7)", "while true do time.parse(S.s) end"),
        Attack("error", "S.s = ('x'):rep(2e7)", "error(S.s)"),
        Attack("assert", "S.s = ('\\xff'):rep(2e7)", "assert(false, S.s)"),
        Attack("log", "S.s = ('x'):rep(1e7)", "while true do log(S.s) end"),
        Attack("reject", "S.s = ('x'):rep(1e7)", "while true do reject(S.s) end"),
        Attack("drop", "S.s = ('x'):rep(2e7)", "while true do drop(S.s) end"),
        Attack("route", "S.s = ('x'):rep(2e7)", "while true do route(S.s) end"),
        Attack("metric", "S.s = ('x'):rep(2e7)", "while true do metric(S.s) end"),
        Attack("require", "S.s = ('x'):rep(1e7)", "while true do pcall(require, S.s) end"),
        Attack("lookup", "S.s = ('x'):rep(1e7)", "while true do pcall(lookup, S.s, 1) end"),
    ]

    static let tables = [
        Attack(
            "table.concat", "S.s = ('x'):rep(1e6) S.t = {} for i = 1, 25 do S.t[i] = S.s end",
            "table.concat(S.t, S.s)"),
        Attack(
            "table.insert", "S.t = {} for i = 1, 1e6 do S.t[i] = 1 end",
            "while true do table.insert(S.t, 1, 1) end"),
        Attack(
            "table.remove", "S.t = {} for i = 1, 1e6 do S.t[i] = 1 end",
            "while true do table.remove(S.t, 1) end"),
        Attack("table.move", "S.t = {}", "table.move(S.t, 1, 1 << 40, 2)"),
        Attack(
            "table.pack", "S.t = {} for i = 1, 9e5 do S.t[i] = 1 end",
            "while true do table.pack(table.unpack(S.t)) end"),
        Attack(
            "select", "S.t = {} for i = 1, 9e5 do S.t[i] = 1 end",
            "while true do select(2, table.unpack(S.t)) end"),
        Attack(
            "table.sort", "S.t = {} for i = 1, 1e6 do S.t[i] = (i * 7919) % 1000003 end",
            "table.sort(S.t)"),
        Attack(
            "table.sort of long texts",
            "S.a, S.b, S.t = ('x'):rep(7e6) .. 'a', ('x'):rep(7e6) .. 'b', {} "
                + "for i = 1, 1e4 do S.t[i] = i % 2 == 0 and S.a or S.b end",
            "table.sort(S.t)"),
        Attack("json.encode of escapes", "S.s = ('\\1'):rep(8e6)", "json.encode(S.s)"),
        Attack(
            "json.encode of many names", "S.t = {} for i = 1, 3e5 do S.t['k' .. i] = i end",
            "json.encode(S.t)"),
        Attack(
            "copy of a record with many names",
            "S.t = {} for i = 1, 3e5 do S.t['k' .. i] = i end", "r.t = S.t copy(r)"),
        Attack(
            "json.encode of what contains the same again and again",
            "S.t = {} for i = 1, 60 do S.t = {S.t, S.t} end", "json.encode(S.t)"),
        Attack(
            "json.decode of many members", "S.s = '{' .. ('\"a\":1,'):rep(2e6) .. '\"a\":1}'",
            "json.decode(S.s)"),
        Attack(
            "json.decode of a long number", "S.s = ('9'):rep(1.6e7)", "json.decode(S.s)"),
        Attack(
            "json.decode of escapes", "S.s = '\"' .. ('\\\\u0001'):rep(2e6) .. '\"'",
            "json.decode(S.s)"),
        Attack("tostring of the record", "", "while true do tostring(r) end"),
        Attack("pairs", "", "while true do for k, v in pairs(r) do end end"),
        Attack("next", "S.t = {1}", "while true do next(S.t) end"),
        Attack("setmetatable", "S.t = {}", "while true do setmetatable(S.t, {}) end"),
        Attack(
            "pcall in itself", "", "local function f() while true do pcall(f) end end f()"),
        Attack(
            "xpcall in itself", "", "local function f() while true do xpcall(f, f) end end f()"),
        Attack("emit", "S.s = ('x'):rep(1e6)", "while true do emit({a = S.s}) end"),
    ]

    static let stores = [
        Attack(
            "state:keys", "for i = 1, 2e5 do state:set('k' .. i, i) end", "state:keys()"),
        Attack("state:set", "S.s = ('x'):rep(1e7)", "while true do state:set('k', S.s) end"),
        Attack("state:get", "state:set('k', ('x'):rep(2e7))", "while true do state:get('k') end"),
        Attack("state:incr", "", "for i = 1, 1e9 do state:incr('k' .. i) end"),
        Attack("state:delete", "", "for i = 1, 1e9 do state:delete('k' .. i) end"),
        Attack("state:timer", "", "for i = 1, 1e9 do state:timer('k' .. i, i) end"),
    ]

    static let all = patterns + texts + tables + stores
}
