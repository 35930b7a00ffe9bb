// The rule API in one table: `tidewheel docs lua`, lint and the golden test all read it.
#include "CScripting.h"

static const char *const returning = "What a rule returns";
static const char *const data = "Data from the engine";
static const char *const values = "Values";
static const char *const language = "The language";
static const char *const strings = "string";
static const char *const tables = "table";
static const char *const numbers = "math";
static const char *const unicode = "utf8";

static const tw_api_entry entries[] = {
    {"drop", "return drop(reason)", "Ends the record here; it is counted under the reason.",
     "if r.status == \"queued\" then return drop(\"queued\") end", returning},
    {"route", "return route(name)",
     "Sends the record to the stage's output `name` instead of its main one.",
     "if r.user_tier == \"premium\" then return route(\"premium\") end", returning},
    {"reject", "return reject(reason [, field])",
     "Makes the record a dead letter with this reason; nothing of its changes remains.",
     "if r.size_bytes == 0 then return reject(\"empty video\", \"size_bytes\") end", returning},
    {"snooze", "return snooze(delay)",
     "In the script of a handler: gives the message back for that time (\"10s\", or a number of "
     "seconds). The delivery does not count, and nothing of what the script did remains.",
     "if r.not_before > now() then return snooze(\"10s\") end", returning},
    {"emit", "emit(record [, output])",
     "Adds a record (a table or a record, copied now) behind this stage, or at its output. The "
     "record itself still goes on unless the rule returns something else.",
     "emit({video_id = r.video_id, part = 1}, \"parts\")", returning},

    {"lookup", "lookup(table, key [, field])",
     "The field of the row with this key in a lookup table of pipeline.yaml, or nil without an "
     "entry. Without a field: the whole row as a table. CSV cells are strings.",
     "r.region = lookup(\"users\", r.user_id, \"region\") or null", data},
    {"state", "state:get(key)  state:set(key, value [, {ttl = …}])  state:incr(key [, by [, "
     "{ttl = …}]])  state:delete(key)  state:keys()  "
     "state:timer(name, at)",
     "The engine's keyed store, one per stage and partition. A failing record leaves no trace in "
     "it.", "if state:incr(r.user_id) > 100 then return drop(\"too many\") end", data},
    {"state.get", "state:get(key)", "The stored value, or nil; a table is a copy.", "", data},
    {"state.set", "state:set(key, value [, {ttl = duration}])", "Stores a value; nil deletes the "
     "key. With `ttl` (\"500ms\", \"2s\", \"10m\", \"2h\", \"1d\" or a number of seconds) it is "
     "gone after that time; without, it stays. Time is the event time of the records, or the "
     "engine's where a pipeline has none.",
     "state:set(r.order_id, r.status, {ttl = \"1d\"})", data},
    {"state.incr", "state:incr(key [, by [, {ttl = duration}]])",
     "Adds `by` (1 when left out) to a number, 0 at first, and returns the new value. Without "
     "`ttl` the key expires when it would have anyway.",
     "if state:incr(r.user_id, 1, {ttl = \"10m\"}) > 100 then return drop(\"too many\") end", data},
    {"state.delete", "state:delete(key)", "Deletes the key.", "", data},
    {"state.keys", "state:keys()", "The keys of the stage and partition, as a list in the order of "
     "bytes; for migrate above all, since it takes a while when there are many.",
     "for _, key in ipairs(state:keys()) do state:set(\"v2.\" .. key, state:get(key)) end", data},
    {"state.timer", "state:timer(name, at)",
     "Sets the timer of this name, or moves it, to an event time: milliseconds since 1970 or an "
     "RFC 3339 text; nil cancels it. When event time has passed `at`, the file's function "
     "on_timer(name, at, meta) is called.",
     "state:timer(r.user_id, time.parse(r.created_at) + 30 * 60 * 1000)", data},
    {"now", "now()", "The engine's time in milliseconds since 1970-01-01T00:00Z, an integer; the "
     "same throughout a batch.", "r.seen_at = time.format(now())", data},
    {"log", "log(value, …)", "Writes a line to the runner's standard error, rate-limited.",
     "log(\"odd size\", r.size_bytes)", data},
    {"metric", "metric(name [, value])", "Adds the value (1 when left out) to a counter of the "
     "summary. After 1,000 names, and with one of more than 256 bytes, it is called \"other\"; so "
     "are reasons of drop.", "metric(\"bytes\", r.size_bytes)", data},
    {"require", "require(module)",
     "The value that rules/lib/MODULE.lua returns; loaded once per stage.",
     "local geo = require \"geo\"", data},

    {"null", "null", "JSON's null. It is equal only to itself; assigning nil deletes a field.",
     "if r.region == null then r.region = nil end", values},
    {"json", "json.encode(value)  json.decode(text)  json.array(table)",
     "JSON text from values and back.", "", values},
    {"json.encode", "json.encode(value)", "The JSON text of a value, without spaces; the fields of "
     "a table are in the order of their names.", "", values},
    {"json.decode", "json.decode(text)", "The value of a JSON text; raises an error if it is none.",
     "", values},
    {"json.array", "json.array([table])", "Marks a table as a list, so that an empty one is "
     "written as [].", "r.tags = json.array{}", values},
    {"time", "time.parse(text)  time.format(milliseconds)", "Times as RFC 3339.", "", values},
    {"time.parse", "time.parse(text)", "Milliseconds since 1970-01-01T00:00Z of an RFC 3339 time, "
     "or nil if it is none.", "local age = now() - time.parse(r.created_at)", values},
    {"time.format", "time.format(milliseconds)", "The RFC 3339 text in UTC, with milliseconds.", "",
     values},
    {"hash", "hash(text [, algorithm])", "SHA-256 in hexadecimal; with \"murmur2\" the integer by "
     "which Kafka chooses partitions.", "r.user_id = hash(r.user_id)", values},
    {"is_number", "is_number(value)", "True for integers, floats and exact numbers: those with "
     "more digits than they hold, such as 89490200001234567890. They keep their text; arithmetic "
     "and `<` use the nearest float.",
     "if not is_number(r.amount) then return reject(\"amount\") end", values},
    {"copy", "copy(record)", "A record of its own with the same fields, as r:copy() gives it, also "
     "when the record has a field named copy.", "emit(copy(r))", values},
    {"round", "round(number [, digits])", "Rounds half away from zero; without digits the result "
     "is an integer.", "r.cost = round(r.cost, 2)", values},

    {"assert", "assert(value [, message])", "Raises an error unless the value is true.", "",
     language},
    {"error", "error(message [, level])", "Makes the record a dead letter with this error.", "",
     language},
    {"pcall", "pcall(f, …)", "Calls f and catches its errors; running out of time or memory cannot "
     "be caught.", "", language},
    {"xpcall", "xpcall(f, handler, …)", "Like pcall, with a handler for the error.", "", language},
    {"pairs", "pairs(t)", "Iterates over a table, or over a record's fields in the order of the "
     "source.", "for name, value in pairs(r) do … end", language},
    {"ipairs", "ipairs(list)", "Iterates over the elements of a list.", "", language},
    {"next", "next(table [, key])", "The next key and value of a table.", "", language},
    {"select", "select(n, …)", "The arguments from the n-th on, or their number with \"#\".", "",
     language},
    {"tonumber", "tonumber(value [, base])", "The number that a text spells, or nil.", "",
     language},
    {"tostring", "tostring(value)", "The text of a value; of a record, its JSON text.", "",
     language},
    {"type", "type(value)", "The type's name; records, nested values and null are \"userdata\".",
     "", language},
    {"setmetatable", "setmetatable(table, metatable)",
     "Sets a table's metatable; __gc and __mode are not available.", "", language},
    {"getmetatable", "getmetatable(table)", "A table's metatable.", "", language},

    {"string", "string.…", "Lua's string library; also as methods: r.status:upper().", "", strings},
    {"string.byte", "string.byte(s [, i [, j]])", "The bytes of a string as numbers.", "", strings},
    {"string.char", "string.char(…)", "A string of bytes.", "", strings},
    {"string.find", "string.find(s, pattern [, init [, plain]])", "Where a pattern matches.", "",
     strings},
    {"string.format", "string.format(format, …)", "Formats values as C's printf does.", "",
     strings},
    {"string.gmatch", "string.gmatch(s, pattern [, init])", "Iterates over all matches.", "",
     strings},
    {"string.gsub", "string.gsub(s, pattern, replacement [, n])", "Replaces matches.", "", strings},
    {"string.len", "string.len(s)", "The length in bytes.", "", strings},
    {"string.lower", "string.lower(s)", "Lower case, ASCII only.", "", strings},
    {"string.match", "string.match(s, pattern [, init])", "The captures of the first match.", "",
     strings},
    {"string.rep", "string.rep(s, n [, separator])", "Repeats a string.", "", strings},
    {"string.reverse", "string.reverse(s)", "The bytes backwards.", "", strings},
    {"string.sub", "string.sub(s, i [, j])", "A part of a string.", "", strings},
    {"string.upper", "string.upper(s)", "Upper case, ASCII only.", "", strings},

    {"table", "table.…", "Lua's table library. It works on the tables themselves, past their "
     "metatables; lists of records are as good as tables.", "", tables},
    {"table.concat", "table.concat(list [, separator [, i [, j]]])", "Joins texts and numbers.", "",
     tables},
    {"table.insert", "table.insert(list, [position,] value)", "Inserts an element.", "", tables},
    {"table.move", "table.move(from, first, last, target [, to])", "Copies elements.", "", tables},
    {"table.pack", "table.pack(…)", "A table of the arguments, with their number as n.", "",
     tables},
    {"table.remove", "table.remove(list [, position])", "Removes an element and returns it.", "",
     tables},
    {"table.sort", "table.sort(list [, less])", "Sorts a list in place; an order that contradicts "
     "itself is no error.", "", tables},
    {"table.unpack", "table.unpack(list [, i [, j]])", "The elements as several values; only of a "
     "table or a list.", "", tables},

    {"math", "math.…", "Lua's mathematical library.", "", numbers},
    {"math.abs", "math.abs(x)", "The absolute value.", "", numbers},
    {"math.acos", "math.acos(x)", "The arc cosine in radians.", "", numbers},
    {"math.asin", "math.asin(x)", "The arc sine in radians.", "", numbers},
    {"math.atan", "math.atan(y [, x])", "The arc tangent of y/x in radians.", "", numbers},
    {"math.ceil", "math.ceil(x)", "The smallest integer that is not less.", "", numbers},
    {"math.cos", "math.cos(x)", "The cosine.", "", numbers},
    {"math.exp", "math.exp(x)", "e to the power x.", "", numbers},
    {"math.floor", "math.floor(x)", "The largest integer that is not more.", "", numbers},
    {"math.fmod", "math.fmod(x, y)", "The remainder, rounded towards zero.", "", numbers},
    {"math.huge", "math.huge", "Infinity; it cannot be written into a record.", "", numbers},
    {"math.log", "math.log(x [, base])", "The logarithm.", "", numbers},
    {"math.max", "math.max(x, …)", "The largest.", "", numbers},
    {"math.maxinteger", "math.maxinteger", "2^63 - 1.", "", numbers},
    {"math.min", "math.min(x, …)", "The smallest.", "", numbers},
    {"math.mininteger", "math.mininteger", "-2^63.", "", numbers},
    {"math.modf", "math.modf(x)", "The integral and the fractional part.", "", numbers},
    {"math.pi", "math.pi", "π.", "", numbers},
    {"math.random", "math.random([m [, n]])", "A random number; the same record draws the same "
     "numbers in every run.", "", numbers},
    {"math.sin", "math.sin(x)", "The sine.", "", numbers},
    {"math.sqrt", "math.sqrt(x)", "The square root.", "", numbers},
    {"math.tan", "math.tan(x)", "The tangent.", "", numbers},
    {"math.tointeger", "math.tointeger(x)", "The integer equal to x, or nil.", "", numbers},
    {"math.type", "math.type(x)", "\"integer\", \"float\" or nil.", "", numbers},
    {"math.ult", "math.ult(m, n)", "Compares as unsigned integers.", "", numbers},

    {"utf8", "utf8.…", "Lua's UTF-8 library.", "", unicode},
    {"utf8.char", "utf8.char(…)", "The text of code points.", "", unicode},
    {"utf8.charpattern", "utf8.charpattern", "A pattern that matches one character.", "", unicode},
    {"utf8.codepoint", "utf8.codepoint(s [, i [, j]])", "The code points of a text.", "", unicode},
    {"utf8.codes", "utf8.codes(s)", "Iterates over positions and code points.", "", unicode},
    {"utf8.len", "utf8.len(s [, i [, j]])", "The number of characters.", "", unicode},
    {"utf8.offset", "utf8.offset(s, n [, i])", "The byte where the n-th character begins.", "",
     unicode},
};

size_t tw_api_count(void) { return sizeof entries / sizeof *entries; }

tw_api_entry tw_api_at(size_t index) { return entries[index]; }
