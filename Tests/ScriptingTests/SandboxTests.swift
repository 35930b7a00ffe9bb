import Records
import Scripting
import Testing

@Suite struct SandboxTests {
    /// Who looks while a script misbehaves.
    enum Looker: CaseIterable { case nobody, measuring, profiling }

    static let endless = [
        "while true do end", "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "local x <close> = setmetatable({}, {__close = function() while true do end end}); while true do end",
        "('a'):rep(40):find(('a-'):rep(40) .. 'b')", "while true do emit{a = 1} end",
        "local t = {} for i = 1, 1e9 do t[i % 100] = i end",
        "local t = setmetatable({}, {__index = function(t, k) while true do end end}); return t.x",
        "table.move({}, 1, 1 << 40, 2)",
        "table.sort(setmetatable({3,2,1}, {}), function() while true do end end)",
        "error(setmetatable({}, {__tostring = function() while true do end end})); while true do end",
    ]

    @Test(arguments: endless, Looker.allCases)
    func `no script outlives its budget, and the next record is processed`(
        attack: String, looker: Looker
    ) throws {
        var harness = RuleHarness("function process(r) if r.bad then \(attack) end end")
        harness.options.trace = false
        harness.meter = looker == .nobody ? nil : CallMeter(stages: 1)
        harness.profiles = looker == .profiling
        let outcome = try harness.run(#"{"bad":true}"#, #"{"bad":false}"#)
        #expect(outcome.rows == [#"{"bad":false}"#])
        #expect(outcome.letters.count == 1)
    }

    @Test(arguments: [
        "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) end",
        "local t = {} while true do pcall(function() while true do t[#t + 1] = ('x'):rep(1e6) .. #t end end) end",
        "local s = 'x' while true do s = s .. s end", "r.x = ('x'):rep(1 << 30)",
        "for i = 1, 1e9 do r.x = ('y'):rep(1e6) end",
    ])
    func `no script takes more memory than it may`(attack: String) throws {
        var harness = RuleHarness("function process(r) if r.bad then \(attack) end end")
        harness.options.trace = false
        harness.options.scriptMemory = 16 << 20
        let outcome = try harness.run(#"{"bad":true}"#, #"{"bad":false}"#)
        #expect(outcome.rows == [#"{"bad":false}"#])
        #expect(outcome.letters.count == 1)
    }

    @Test(arguments: [
        "string.upper = nil", "drop = nil", "getmetatable('').__index = nil", "state.get = 1",
        "setmetatable({}, {__gc = log})", "setmetatable(_ENV, {})", "json.encode = nil",
        "math.pi = 3", "table.insert(string, 1)", "table.move({1}, 1, 1, 1, json)",
        "table.remove(math)", "table.sort(state)", "table.insert(_ENV, 1)",
        "return io.open('x')", "return os.time()", "load('return 1')()", "require('../secret')",
        "require 'nothing'", "return 7", "return {a = 1}", "meta.id = 1",
    ])
    func `what a rule must not do is an error of that record`(script: String) throws {
        let outcome = try RuleHarness("function process(r, meta) if r.bad then \(script) end end")
            .run(#"{"bad":true}"#, #"{"bad":false}"#)
        #expect(outcome.rows == [#"{"bad":false}"#], "\(script)")
        #expect(outcome.letters.count == 1)
    }

    @Test func `bytecode and broken files are refused with their place`() throws {
        #expect(throws: RuleError.self) { _ = try RuleHarness("\u{1B}Lua").run("{}") }
        do {
            _ = try RuleHarness("function process(r)\n  x = = 1\nend").run("{}")
            Issue.record("a syntax error was accepted")
        } catch let error as RuleError {
            #expect(error.description.hasPrefix("rules/0.lua:2:"))
        }
        do {
            _ = try RuleHarness("local x = 1").run("{}")
            Issue.record("a file without process was accepted")
        } catch let error as RuleError {
            #expect(
                error.description.contains("rules/0.lua:1: the file defines no function process"))
        }
        #expect(throws: RuleError.self) { _ = try RuleHarness("while true do end").run("{}") }
    }

    @Test func `every reachable name is documented, and every documented name is reachable`() throws
    {
        var vm = try RuleVM(RuleVMOptions())
        try vm.load()
        #expect(vm.reachableNames == RuleAPI.entries.map(\.name).sorted())
    }

    @Test func `patterns agree with what Lua's manual says`() throws {
        let cases: [(String, String)] = [
            ("('hello world'):find('o w')", "5"),
            ("('key = value'):match('^(%w+)%s*=%s*(%w+)$')", "key"),
            ("('THE (quick) fox'):find('%((%a+)%)')", "5"),
            ("('abc'):gsub('%w', '%0%0')", "aabbcc"),
            ("('hello'):gsub('', '-')", "-h-e-l-l-o-"), ("('f(a(b)c)d'):match('%b()')", "(a(b)c)"),
            ("('THE (quick) fox'):gsub('%f[%a]%a+', string.lower)", "the (quick) fox"),
            ("('x'):rep(3, ',')", "x,x,x"), ("('  trim '):match('^%s*(.-)%s*$')", "trim"),
            ("('aaa'):match('^(a-)(a*)$')", ""), ("('2026-11-24'):match('(%d+)-(%d+)')", "2026"),
            ("('abcabc'):match('(abc)%1')", "abc"), ("table.concat({1, 2, 3}, '-')", "1-2-3"),
            ("('a.b'):find('.', 1, true)", "2"), ("('äö'):len()", "4"),
        ]
        for (expression, expected) in cases {
            let row =
                try RuleHarness("function process(r) r.x = tostring((\(expression))) end")
                .run("{}").rows.first ?? ""
            #expect(try Record(json: row)["x"] == .string(expected), "\(expression)")
        }
    }
}
