import Records
import Scripting
import Testing

/// A breach is told as what it was, where it was.
@Suite struct BreachTests {
    static let memory = [
        "local t = {} for i = 1, 1e9 do t[i] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "local s = ('x'):rep(1e9)",
        "local t = {} for i = 1, 1e9 do t[i] = r:copy() end",
        "for i = 1, 1e9 do emit({a = i}) end",
        "for i = 1, 1e9 do r['k' .. i] = i end",
        "local function f(n) return {f(n + 1)} end f(1)",
        "pcall(function() local t = {} for i = 1, 1e9 do t[i] = {} end end) error('caught it')",
    ]

    @Test(arguments: memory, [false, true])
    func `running out of memory is told with its line`(attack: String, traces: Bool) throws {
        var harness = RuleHarness("\nfunction process(r)\n  local n = 1\n  \(attack)\nend")
        harness.options.scriptMemory = 4 << 20
        harness.options.trace = traces
        harness.budgetNanoseconds = 20_000_000_000
        let letter = try #require(try harness.run("{}").letters.first)
        let reason = letter["reason"]?.text ?? ""
        let isStack = reason.contains("stack overflow")
        #expect(isStack || reason == "rules/0.lua:4: memory limit of 4096 KiB exceeded")
        #expect(isStack || letter["kind"]?.text == "budget")
        #expect(letter["line"] == 4)
    }

    static let time = [
        "while true do end", "while true do pcall(error) end", "return ('a'):rep(2e6):find('.-b')",
        "return hash(('x'):rep(2e7)) .. hash(('x'):rep(2e7)) .. hash(('x'):rep(2e7))",
        "local t = {} for i = 1, 4e5 do t[i] = r end return t",
    ]

    @Test(arguments: time, [false, true])
    func `running out of time is told with its line`(attack: String, traces: Bool) throws {
        var harness = RuleHarness("function process(r)\n  local n = 1\n  \(attack)\nend")
        harness.options.trace = traces
        harness.budgetNanoseconds = 20_000_000
        let letter = try #require(try harness.run("{}").letters.first)
        let reason = letter["reason"]?.text ?? ""
        #expect(reason.hasSuffix("time budget of 20 ms exceeded"))
        // What is returned is read when the rule is no longer running.
        let line = attack.hasSuffix("return t") ? 1 : 3
        #expect(reason.hasPrefix("rules/0.lua:\(line): ") || reason.hasPrefix("rules/0.lua:3: "))
        #expect(letter["kind"]?.text == "budget")
    }

    @Test(arguments: [
        // Under the hook of a trace this is stopped long before its error.
        "for i = 1, 100000 do r.i = i end error('the reason')",
        "local t = {} for i = 1, 30000 do t[i] = ('x'):rep(20) .. i end error('the reason')",
        "if r.first then error('the reason') end local x = nil + 1",
        "local n = state:incr('n') if now() then error('the reason') end",
    ])
    func `tracing a failed record does not change why it failed`(script: String) throws {
        var harness = RuleHarness("function process(r)\n\(script)\nend")
        harness.budgetNanoseconds = 2_000_000_000
        let letter = try #require(try harness.run(#"{"first":true}"#).letters.first)
        #expect(letter["reason"]?.text == "rules/0.lua:2: the reason")
        #expect(letter["error"]?.text == "rules/0.lua:2: the reason")
        #expect(letter["kind"]?.text == "error")
        #expect(letter["line"] == 2)
        #expect(letter["file"]?.text == "rules/0.lua")
    }

    /// Every level of a deep stack gives up what it holds, and gets no time of its own for that.
    @Test func `what is to be closed does not hold up the end of a call`() throws {
        var harness = RuleHarness(
            """
            local endless = {__close = function() while true do end end}
            function process(r)
              local function f()
                local x <close> = setmetatable({}, endless)
                f()
              end
              if r.bad then f() end
            end
            """)
        harness.options.trace = false
        let outcome = try harness.run(#"{"bad":true}"#, "{}")
        #expect(outcome.rows == ["{}"])
        #expect(outcome.letters.count == 1)
    }
}
