import Records
import Scripting
import Testing

/// What a rule can make the engine keep has bounds.
@Suite struct LimitTests {
    @Test func `names of metrics and reasons that come from data are bounded`() throws {
        let said = Notes()
        var harness = RuleHarness(
            """
            function process(r)
              metric("m" .. r.i)
              metric(("long"):rep(100), 2)
              return drop(r.i % 2 == 0 and ("x"):rep(1000) or "reason " .. r.i)
            end
            """)
        harness.options.log = { stage, text in said.add("\(stage): \(text)") }
        let lines = (0..<3000).map { "{\"i\":\($0)}" }.joined(separator: "\n")
        let counts = try harness.run(Array(lines.utf8)).counts
        #expect(counts.metrics.count == 1000)
        #expect(counts.metrics["other"] == 8001.0)
        #expect(counts.dropped.count == 1000)
        #expect(counts.dropped["other"] == 1500 + 501)
        #expect(said.all.count == 1)
        #expect(said.all.first?.contains("counted as \"other\"") == true)
    }

    @Test func `a name of 256 bytes is kept, and one that is longer is no output`() throws {
        let name = String(repeating: "n", count: 256)
        let outcome = try RuleHarness(
            """
            function process(r)
              metric(("n"):rep(256))
              emit({a = 1}, ("n"):rep(257))
              if r.route then return route(("o"):rep(1e6)) end
            end
            """
        ).run(#"{"route":true}"#, "{}")
        #expect(outcome.counts.metrics == [name: 2])
        #expect(outcome.counts.dropped["other"] == 3)
        #expect(outcome.rows == ["{}"])
    }

    @Test(arguments: [
        "for i = 1, 1e9 do state:set('k', i) end",
        "for i = 1, 1e9 do state:set('k' .. i % 7, ('x'):rep(1000)) end",
        "for i = 1, 1e9 do state:set('k', i) state:delete('k') end",
        "for i = 1, 1e9 do state:timer('t', i) end",
    ])
    func `what has to be undone is counted against script_memory`(attack: String) throws {
        var harness = RuleHarness(
            """
            function process(r)
              if r.bad then \(attack) end
              r.k = state:get("k") or null
            end
            function on_timer() end
            """)
        harness.options.scriptMemory = 1 << 20
        harness.budgetNanoseconds = 20_000_000_000
        let outcome = try harness.run(#"{"bad":true}"#, "{}")
        #expect(outcome.rows == [#"{"k":null}"#])
        #expect(
            outcome.letters.first?["reason"]?.text
                == "rules/0.lua:2: memory limit of 1024 KiB exceeded")
    }

    @Test func `one record becomes so many bytes of rows at most`() throws {
        let many = """
            function process(r)
              if r.many then for i = 1, 100 do emit({many = true, text = ("x"):rep(100)}) end end
            end
            """
        var harness = RuleHarness(many, many, many)
        harness.options.emittedLimit = 1 << 20
        harness.budgetNanoseconds = 5_000_000_000
        let outcome = try harness.run(#"{"a":1}"#, #"{"many":true}"#, #"{"a":2}"#)
        #expect(outcome.rows == [#"{"a":1}"#, #"{"a":2}"#])
        #expect(outcome.letters.count == 1)
        #expect(outcome.letters[0]["kind"]?.text == "budget")
        let reason = outcome.letters[0]["reason"]?.text ?? ""
        #expect(reason.hasPrefix("more than 1024 KiB of rows"))
        #expect(reason.contains("limits.emitted"))
    }

    /// The bound is for each sink, so a record may go to as many as there are.
    @Test func `a record that is as long as may be is passed on`() throws {
        var harness = RuleHarness("function process(r) end")
        harness.options.recordLimit = 1 << 16
        harness.options.emittedLimit = 1 << 16
        let record = "{\"a\":\"\(String(repeating: "x", count: (1 << 16) - 10))\"}"
        #expect(try harness.run(record).rows == [record])
    }

    static let nesting = [
        "local x = r for i = 1, DEPTH do x.a = {} x = x.a end",
        "local x = r for i = 1, DEPTH do x.a = {b = {}} x = x.a.b end",
        "local t = {} for i = 1, DEPTH do t = {a = t} end r.a = t",
        "local t = {} for i = 1, DEPTH do t = {a = t} end emit(t)",
        "local t = {} for i = 1, DEPTH do t = {t} end r.a = json.encode(t)",
        "local t = {} for i = 1, DEPTH do t = {t} end state:set('k', t)",
        "r.a = json.decode(('['):rep(DEPTH) .. (']'):rep(DEPTH))",
        "for i = 1, DEPTH do r.a = {r} end",
        "local t = {} t.t = t r.a = t",
    ]

    @Test(arguments: nesting, [20, 200])
    func `nothing is nested deeper than limits.depth`(attack: String, limit: Int) throws {
        let script = attack.replacing("DEPTH", with: "\(limit + 1)")
        var harness = RuleHarness("function process(r) if r.bad then \(script) end end")
        harness.options.depthLimit = limit
        harness.budgetNanoseconds = 5_000_000_000
        let outcome = try harness.run(#"{"bad":true}"#, "{}")
        #expect(outcome.rows == ["{}"])
        let reason = outcome.letters.first?["reason"]?.text ?? ""
        #expect(reason.contains("nested") || reason.contains("contains itself"), "\(reason)")
    }

    @Test(arguments: [10, 190, 1000, 5000])
    func `what is nested as deep as may be is read, built and written`(limit: Int) throws {
        var harness = RuleHarness(
            """
            function process(r)
              local x, depth = r, 1
              while x.a do x, depth = x.a, depth + 1 end
              x.deepest = depth
              local t = {}
              for i = 3, depth do t = {a = t} end
              r.built = t
              state:set("t", t)
              r.kept = state:get("t")
              r.again = json.decode(json.encode(t))
            end
            """)
        harness.options.depthLimit = limit
        harness.options.scriptMemory = 256 << 20
        harness.budgetNanoseconds = 20_000_000_000
        let record =
            String(repeating: #"{"a":"#, count: limit - 1) + "{}"
            + String(repeating: "}", count: limit - 1)
        let outcome = try harness.run(record)
        #expect(outcome.letters.first?["reason"] == nil)
        let row = try #require(outcome.rows.first)
        #expect(row.contains("\"deepest\":\(limit)"))
        #expect(row.contains(#""again":{"a""#) == (limit > 2))
    }
}

/// Texts from whatever thread.
final class Notes: @unchecked Sendable {  // Rules run on the test's own thread.
    private(set) var all: [String] = []
    func add(_ text: String) { all.append(text) }
}
