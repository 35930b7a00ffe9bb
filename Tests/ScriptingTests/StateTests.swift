import Records
import Scripting
import TestKit
import Testing

@Suite struct StateTests {
    @Test func `a value with a ttl is there until it expires, and not a millisecond longer`() throws
    {
        var harness = try StateHarness(
            """
            function process(r)
              if r.set then state:set("a", r.set, {ttl = "2s"}) end
              r.a = state:get("a") or "gone"
            end
            """)
        _ = try harness.advance(to: 1000)
        #expect(
            try harness.run(#"{"set":[1,{"b":null}]}"#).rows[0].hasSuffix(#""a":[1,{"b":null}]}"#))
        _ = try harness.advance(to: 2999)
        #expect(try harness.run("{}").rows == [#"{"a":[1,{"b":null}]}"#])
        #expect(harness.vm.totals.stateKeys == 1)
        _ = try harness.advance(to: 3000)
        #expect(try harness.run("{}").rows == [#"{"a":"gone"}"#])
        #expect(harness.vm.totals.stateKeys == 0)
        #expect(harness.vm.totals.stateBytes == 0)
    }

    @Test(arguments: 1...4)
    func `thousands of keys come and go as in a dictionary`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var harness = try StateHarness(
            """
            function process(r)
              local values, count = {}, 0
              if r.set then for _, key in ipairs(r.set) do state:set(key, key .. "!") end end
              if r.del then for _, key in ipairs(r.del) do state:delete(key) end end
              if r.fail == true then error("no") end
              for _, key in ipairs(r.get) do
                if state:get(key) == key .. "!" then count = count + 1 end
              end
              r.count = count
              r.set, r.del, r.get = nil, nil, nil
            end
            """)
        var model: Set<Int> = []
        for round in 0..<60 {
            // Growing, shrinking to nearly nothing, growing again.
            let range = round % 20 < 10 ? 1..<400 : 1..<40
            let set = (0..<Int.random(in: range, using: &random)).map { _ in
                Int.random(in: 0..<6000, using: &random)
            }
            let most = round % 20 < 10 ? 100 : 3000
            let gone = Array(model.sorted().shuffled(using: &random).prefix(most))
            let fails = round % 5 == 4
            let get = Set(set + gone)
            func list(_ keys: [Int]) -> String {
                "[" + keys.map { "\"k\($0)\"" }.joined(separator: ",") + "]"
            }
            let outcome = try harness.run(
                "{\"set\":\(list(set)),\"del\":\(list(gone)),\"fail\":\(fails),"
                    + "\"get\":\(list(get.sorted()))}")
            if fails {
                #expect(outcome.letters.count == 1, "seed \(seed), round \(round)")
            } else {
                model.formUnion(set)
                model.subtract(gone)
                let count = get.intersection(model).count
                #expect(
                    outcome.rows.first?.hasSuffix("\"count\":\(count)}") == true,
                    "seed \(seed), round \(round): \(outcome.rows)")
            }
            #expect(harness.vm.totals.stateKeys == model.count, "seed \(seed), round \(round)")
        }
    }

    @Test(arguments: [
        ("'500ms'", 500), ("'2s'", 2000), ("'10m'", 600_000), ("'2h'", 7_200_000),
        ("'1d'", 86_400_000), ("30", 30_000), ("0.25", 250), ("1.0", 1000),
    ])
    func `a ttl is written as a duration or in seconds`(text: String, milliseconds: Int64) throws {
        var harness = try StateHarness(
            "function process(r) if r.set then state:set(7, 1, {ttl = \(text)}) end r.a = state:get(7) end"
        )
        _ = try harness.advance(to: 0)
        _ = try harness.run(#"{"set":1}"#)
        _ = try harness.advance(to: milliseconds - 1)
        #expect(try harness.run("{}").rows == [#"{"a":1}"#])
        _ = try harness.advance(to: milliseconds)
        #expect(try harness.run("{}").rows == ["{}"])
    }

    @Test(arguments: [
        ("{ttl = '10x'}", #"ttl = 10x is no duration"#), ("{ttl = ''}", "ttl =  is no duration"),
        ("{ttl = '0s'}", "ttl = 0s is no duration"), ("{ttl = -1}", "ttl = -1 is no duration"),
        ("{ttl = 0/0}", "is no duration"), ("{ttl = 1/0}", "is no duration"),
        ("{ttl = 1e300}", "is no duration"), ("{ttl = '99999999999999999999d'}", "is no duration"),
        ("{ttl = '1.5s'}", "is no duration"), ("{ttl = {}}", "is no duration"),
        ("{ttl = null}", "is no duration"),
        ("{tll = '1s'}", #"unknown option "tll"; there is ttl"#),
        ("{'1s'}", "unknown option"), ("{}", "the options are empty"),
        ("'1s'", "options are a table"),
        ("10", "options are a table"),
    ])
    func `a wrong ttl is a clear error that names the function`(options: String, message: String)
        throws
    {
        for call in ["set('a', 1, ", "incr('a', 1, "] {
            var harness = try StateHarness("function process(r) state:\(call)\(options)) end")
            let letters = try harness.run("{}").letters
            let reason = letters.first?["reason"]?.text ?? ""
            #expect(reason.contains(message), "\(reason)")
            #expect(
                reason.hasPrefix("rules/0.lua:1: state:\(call.prefix { $0 != "(" }): "), "\(reason)"
            )
            #expect(harness.vm.totals.stateKeys == 0)
        }
    }

    @Test
    func `incr renews a ttl when it names one, keeps it when not, and starts from 0 after it`()
        throws
    {
        var harness = try StateHarness(
            """
            function process(r)
              if r.ttl then r.n = state:incr("n", r.by, {ttl = r.ttl})
              elseif r.clear then state:set("n", 10)
              else r.n = state:incr("n") end
            end
            """)
        func count(_ record: String) throws -> String {
            let row = try harness.run(record).rows.first ?? ""
            return String(row.split(separator: ":").last?.dropLast() ?? "")
        }
        _ = try harness.advance(to: 0)
        #expect(try count(#"{"by":5,"ttl":"10s"}"#) == "5")
        _ = try harness.advance(to: 9_000)
        #expect(try count("{}") == "6")
        #expect(try count(#"{"by":1.5,"ttl":"10s"}"#) == "7.5")
        _ = try harness.advance(to: 18_999)
        #expect(try count("{}") == "8.5")
        _ = try harness.advance(to: 19_000)
        #expect(try count("{}") == "1")
        #expect(try count(#"{"by":1,"ttl":"1s"}"#) == "2")
        _ = try harness.run(#"{"clear":true}"#)
        _ = try harness.advance(to: 1_000_000)
        #expect(try count("{}") == "11")
    }

    @Test func `without event time the engine's clock counts, and a shorter ttl wins`() throws {
        var harness = try StateHarness(
            "function process(r) state:set('a', 1, {ttl = '2h'}); state:set('a', 2, {ttl = '1s'}) end"
        )
        _ = try harness.run("{}")
        let changes = harness.vm.stateChanges()
        #expect(changes.filter { $0.kind == .value }.map(\.expiry) == [1_700_000_001_000])
        #expect(changes.filter { $0.kind == .clock }.map(\.expiry) == [1_700_000_000_000])
    }

    @Test func `the engine's clock is forgotten once event time is known`() throws {
        var harness = try StateHarness(
            "function process(r) r.n = state:incr('n', 1, {ttl = r.ttl}) end")
        _ = try harness.run(#"{"ttl":1}"#)
        _ = try harness.advance(to: 1000)
        _ = try harness.run(#"{"ttl":5}"#)
        _ = try harness.advance(to: 6000)
        #expect(try harness.run(#"{"ttl":5}"#).rows == [#"{"ttl":5,"n":1}"#])
    }

    @Test func `what get returns is a copy`() throws {
        var harness = try StateHarness(
            """
            function process(r)
              state:set("t", {list = {1, 2}, name = "x"})
              local t = state:get("t")
              for key, value in pairs(t) do r["key_" .. key] = json.encode(value) end
              t.list[3] = 3; t.name = nil; t.more = true
              r.after = state:get("t")
            end
            """)
        #expect(
            try harness.run("{}").rows[0].hasSuffix(#""after":{"list":[1,2],"name":"x"}}"#))
    }

    @Test func `a failing record restores values and expiries`() throws {
        var harness = try StateHarness(
            """
            function process(r)
              if r.step == 1 then state:set("a", 1, {ttl = "10s"}); state:set("b", 1) end
              if r.step == 2 then
                state:set("a", 2); state:set("b", 2, {ttl = "1s"}); state:incr("c", 1, {ttl = "1s"})
                state:delete("a"); state:set("a", 3, {ttl = "1s"}); error("undo")
              end
              if r.step == 3 then r.a = state:get("a"); r.b = state:get("b"); r.c = state:get("c") end
            end
            """)
        _ = try harness.advance(to: 0)
        let outcome = try harness.run(#"{"step":1}"#, #"{"step":2}"#, #"{"step":3}"#)
        #expect(outcome.rows.last == #"{"step":3,"a":1,"b":1}"#)
        _ = try harness.advance(to: 9_999)
        #expect(try harness.run(#"{"step":3}"#).rows == [#"{"step":3,"a":1,"b":1}"#])
        _ = try harness.advance(to: 10_000)
        #expect(try harness.run(#"{"step":3}"#).rows == [#"{"step":3,"b":1}"#])
    }

    @Test func `keys seen once leave no state behind`() throws {
        var harness = try StateHarness(
            ["function process(r) state:incr(r.id, 1, {ttl = '10s'}); return drop('x') end"],
            trace: false)
        var largest = 0
        for round in 0..<60 {
            _ = try harness.advance(to: Int64(round) * 1000)
            _ = try harness.run((0..<500).map { #"{"id":\#(round * 500 + $0)}"# })
            largest = max(largest, harness.vm.totals.stateKeys)
        }
        #expect(largest >= 10 * 500 && largest <= 11 * 500)
        // Sweeping goes on a few entries per record, or at once when event time is told to rise.
        _ = try harness.advance(to: 1_000_000)
        #expect(harness.vm.totals.stateKeys == 0)
        #expect(harness.vm.totals.stateBytes == 0)
    }

    @Test func `what has expired makes room, and a full state fails the record alone`() throws {
        var harness = try StateHarness(
            ["function process(r) state:set(r.id, ('x'):rep(1000), {ttl = r.ttl}) end"],
            trace: false
        ) { $0.stateMemory = 20_000 }
        func ids(_ range: Range<Int>, ttl: String) -> [String] {
            range.map { #"{"id":\#($0),"ttl":"\#(ttl)"}"# }
        }
        _ = try harness.advance(to: 0)
        var outcome = try harness.run(ids(0..<30, ttl: "10s"))
        #expect(outcome.rows.count == 17)
        #expect(outcome.letters.count == 13)
        #expect(outcome.letters.first?["reason"]?.text.contains("state is full") == true)
        #expect(harness.vm.totals.stateBytes <= 20_000)
        outcome = try harness.run(ids(0..<17, ttl: "5s"))
        #expect(outcome.rows.count == 17, "a key that is there can be replaced")
        _ = try harness.advance(to: 5_000)
        #expect(try harness.run(ids(100..<117, ttl: "1d")).rows.count == 17)
        #expect(harness.vm.totals.stateKeys == 17)
    }

    @Test func `a start may pass the limit on its way, and refuses what is far beyond`() throws {
        let rule = "function process(r) state:set(r.id, ('x'):rep(1000)) end"
        var full = try StateHarness([rule], trace: false)
        _ = try full.run((0..<100).map { #"{"id":\#($0)}"# })
        let size = full.vm.totals.stateBytes
        let buffer = OutputBuffer()
        full.vm.encodeStateChanges(into: buffer)
        let encoded = buffer.withUnsafeBytes { Array($0) }
        var less = try StateHarness([rule], trace: false) { $0.stateMemory = size * 2 / 3 }
        try less.vm.restore(encoded: encoded, worker: 0, workers: 1)
        #expect(less.vm.totals.stateKeys == 100)
        let outcome = try less.run(#"{"id":200}"#)
        #expect(outcome.letters.first?["reason"]?.text.contains("state is full") == true)
        var far = try StateHarness([rule], trace: false) { $0.stateMemory = size / 3 }
        var message = ""
        do { try far.vm.restore(encoded: encoded, worker: 0, workers: 1) } catch {
            message = "\(error)"
        }
        #expect(message.contains("limits.state_memory is reached"), "\(message)")
    }

    @Test func `a large value finds room where much has expired and not all is swept`() throws {
        var harness = try StateHarness(
            ["function process(r) state:set(r.id, ('x'):rep(r.size), {ttl = '10s'}) end"],
            trace: false
        ) { $0.stateMemory = 1_800_000 }
        _ = try harness.advance(to: 0)
        _ = try harness.run((0..<12_000).map { #"{"id":\#($0),"size":1}"# })
        _ = try harness.advance(to: 10_000)
        let left = harness.vm.totals.stateBytes
        #expect(left > 400_000)
        let outcome = try harness.run(#"{"id":"large","size":1400000}"#)
        #expect(outcome.rows.count == 1, "\(outcome.letters)")
    }

    private func timed(_ rule: String, outOfOrderness: Int64) throws -> StateHarness {
        try StateHarness([rule], trace: false) {
            $0.time = RuleTime(
                field: "t", format: .epochMilliseconds, outOfOrderness: outOfOrderness)
        }
    }

    @Test
    func `the time of a stage and partition never goes back, but a failing record moves nothing`()
        throws
    {
        let rule = """
            function process(r)
              if r.set then state:set("a", 1, {ttl = "5s"}) end
              r.a = state:get("a") or "gone"
              if r.fail then error("undo") end
            end
            """
        var harness = try timed(rule, outOfOrderness: 60_000)
        let rows = try harness.run(
            #"{"t":0,"set":1}"#, #"{"t":10000,"fail":1}"#, #"{"t":4999}"#, #"{"t":5000}"#,
            #"{"t":4999}"#
        ).rows.map { try Record(json: $0)["a"] }
        #expect(rows == [1, 1, "gone", "gone"])
        #expect(harness.vm.totals.stateKeys == 1, "the watermark has not passed it")
    }

    @Test func `event time alone sweeps, a few entries per record`() throws {
        var harness = try timed(
            "function process(r) state:incr(r.t, 1, {ttl = '1s'}); return drop('x') end",
            outOfOrderness: 500)
        var largest = 0
        for round in 0..<50 {
            _ = try harness.run((0..<100).map { #"{"t":\#((round * 100 + $0) * 10)}"# })
            largest = max(largest, harness.vm.totals.stateKeys)
        }
        #expect(largest >= 100 && largest <= 160, "\(largest)")
    }
}
