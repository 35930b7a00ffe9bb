import Records
import Scripting
import TestKit
import Testing

@Suite struct TimerTests {
    private static let echo = """
        function process(r)
          if r.at ~= nil then state:timer(r.name, r.at ~= null and r.at or nil) end
          if r.fail then error("undo") end
          return drop("set")
        end
        function on_timer(name, at, meta)
          emit({name = name, at = at, stage = meta.stage, partition = meta.partition, id = meta.id})
        end
        """

    private func names(_ outcome: StateHarness.Outcome) throws -> [String] {
        try outcome.rows.map { try Record(json: $0)["name"]?.text ?? "" }
    }

    @Test func `timers fire in the order of time and name once event time has passed them`() throws
    {
        var harness = try StateHarness(Self.echo)
        _ = try harness.run(
            #"{"user":"u1","name":"b","at":2000}"#, #"{"user":"u2","name":"a","at":2000}"#,
            #"{"user":"u1","name":"z","at":1000}"#, #"{"user":"u3","name":"c","at":2001.9}"#,
            #"{"user":"u1","name":"d","at":"1970-01-01T01:00:02.002+01:00"}"#)
        #expect(harness.vm.totals.stateKeys == 5)
        #expect(try names(harness.advance(to: 999)) == [])
        #expect(try names(harness.advance(to: 2000)) == ["z", "a", "b"])
        #expect(try names(harness.advance(to: 1500)) == [])
        let outcome = try harness.advance(to: 2002)
        #expect(try names(outcome) == ["c", "d"])
        let row = try Record(json: outcome.rows[1])
        #expect(row["at"] == 2002)
        #expect(row["stage"] == "stage0")
        #expect(row["id"]?.text.hasPrefix("timers/stage0/") == true)
        #expect(harness.vm.totals.stateKeys == 0)
        #expect(harness.vm.totals.stateBytes == 0)
        #expect(harness.vm.totals.extra == 5)
    }

    @Test func `timers of the same time fire in the order of their names`() throws {
        var harness = try StateHarness(Self.echo)
        var random = SeededRandom(seed: 7)
        let all = (10..<60).map { "t\($0)" }
        _ = try harness.run(
            all.shuffled(using: &random).map { #"{"user":"\#($0)","name":"\#($0)","at":1000}"# })
        #expect(try names(harness.advance(to: 1000)) == all)
    }

    @Test func `a timer can be moved and cancelled, and one of a failing record was never set`()
        throws
    {
        var harness = try StateHarness(Self.echo)
        _ = try harness.run(
            #"{"name":"moved","at":1000}"#, #"{"name":"moved","at":3000}"#,
            #"{"name":"gone","at":1000}"#, #"{"name":"gone","at":null}"#,
            #"{"name":"kept","at":2000}"#, #"{"name":"kept","at":9000,"fail":true}"#,
            #"{"name":"kept","at":null,"fail":true}"#, #"{"name":"never","at":1,"fail":true}"#)
        #expect(try names(harness.advance(to: 2500)) == ["kept"])
        #expect(try names(harness.advance(to: 3000)) == ["moved"])
        #expect(try names(harness.advance(to: .max)) == [])
    }

    @Test func `an error in on_timer is one dead letter, undone, and the timer is gone`() throws {
        var harness = try StateHarness(
            """
            function process(r) state:timer("t", 5000); return drop("set") end
            function on_timer(name, at)
              state:set("a", 1); emit({x = 1}); state:timer("other", at + 1000)
              local missing = nil
              return missing.field
            end
            """)
        _ = try harness.run("{}")
        let outcome = try harness.advance(to: 10_000)
        #expect(outcome.rows.isEmpty)
        #expect(outcome.letters.count == 1)
        let letter = try #require(outcome.letters.first)
        #expect(letter["kind"] == "error")
        #expect(letter["stage"] == "stage0")
        #expect(letter["file"] == "rules/0.lua")
        #expect(letter["line"] == 5)
        #expect(letter["original"] == #"{"timer":"t","at":"1970-01-01T00:00:05.000Z"}"#)
        #expect(letter["trace"] != nil)
        #expect(harness.vm.totals.stateKeys == 0)
        // read + extra = dropped + dead letters
        let counts = harness.vm.counts
        #expect(counts.read + counts.extra == 1 + counts.deadLetters)
        #expect(try harness.advance(to: .max).letters.isEmpty)
    }

    @Test func `what a later stage does with an emitted record belongs to the timer`() throws {
        var harness = try StateHarness([
            """
            function process(r) state:timer(r.name, 1000); return drop("set") end
            function on_timer(name) state:set("seen", name); emit({name = name, seen = 1}) end
            """, "function process(r) if r.name == 'bad' then error('late') end end",
        ])
        _ = try harness.run(#"{"name":"bad"}"#, #"{"name":"good"}"#)
        let outcome = try harness.advance(to: 1000)
        #expect(try names(outcome) == ["good"])
        #expect(outcome.letters.first?["stage"] == "stage1")
        #expect(
            outcome.letters.first?["original"]
                == #"{"timer":"bad","at":"1970-01-01T00:00:01.000Z"}"#)
    }

    @Test(arguments: [
        ("return 1", "on_timer returned a number"), ("return route('x')", "returned a route"),
        ("return reject('x')", "returned a reject"), ("return {}", "returned a table"),
        ("state:timer('b', at)", "must be later than the one that fires"),
        ("while true do end", "time budget"),
    ])
    func `what on_timer must not do is its dead letter`(script: String, message: String) throws {
        var harness = try StateHarness(
            """
            function process(r) state:timer("a", 1000); return drop("set") end
            function on_timer(name, at) \(script) end
            """)
        _ = try harness.run("{}")
        let letters = try harness.advance(to: 1000).letters
        #expect(letters.count == 1)
        #expect(letters.first?["reason"]?.text.contains(message) == true, "\(letters)")
    }

    @Test func `on_timer may return drop, and nothing is counted for it`() throws {
        var harness = try StateHarness(
            """
            function process(r) state:timer("a", 1000) end
            function on_timer() return drop("quiet") end
            """)
        _ = try harness.run("{}")
        #expect(try harness.advance(to: 1000).letters.isEmpty)
        #expect(harness.vm.counts.dropped.isEmpty)
    }

    @Test(arguments: [
        ("'soon'", "is no time"), ("{}", "is no time"), ("null", "is no time"),
        ("0/0", "is no time"),
        ("1e300", "is no time"), ("math.maxinteger", "is no time"), ("", "value expected"),
    ])
    func `a wrong time is an error of the record`(time: String, message: String) throws {
        let argument = time.isEmpty ? "" : ", " + time
        var harness = try StateHarness(
            "function on_timer() end\nfunction process(r) state:timer('a'\(argument)) end")
        let letters = try harness.run("{}").letters
        #expect(letters.first?["reason"]?.text.contains(message) == true, "\(letters)")
        #expect(letters.first?["line"] == 2)
    }

    @Test func `a timer needs on_timer, which is a function`() throws {
        var harness = try StateHarness("function process(r) state:timer('a', 1) end")
        let reason = try harness.run("{}").letters.first?["reason"]?.text
        #expect(
            reason
                == "rules/0.lua:1: state:timer: rules/0.lua defines no function on_timer(name, at, meta)"
        )
        #expect(throws: RuleError.self) {
            _ = try StateHarness("on_timer = 1\nfunction process(r) end")
        }
    }

    @Test func `a timer that sets itself anew catches up, and ends with the input`() throws {
        var harness = try StateHarness(
            """
            function process(r) state:timer("tick", 1000); return drop("set") end
            function on_timer(name, at)
              emit({name = name, at = at})
              state:timer(name, at + 1000)
              if name == "tick" then state:timer("last", 60000) end
            end
            """)
        _ = try harness.run("{}")
        #expect(try harness.advance(to: 5500).rows.count == 5)
        #expect(try names(harness.advance(to: .max)) == ["tick", "last"])
        #expect(try names(harness.advance(to: .max)) == [])
        let pending = harness.vm.stateChanges().filter { $0.kind == .timer && $0.value != nil }
        #expect(Set(pending.map(\.expiry)) == [7000, 61_000])
    }

    @Test func `the end of the input is no time for values`() throws {
        var harness = try StateHarness(
            """
            function process(r)
              state:set("a", 1, {ttl = "10s"}); state:timer("t", 50000)
            end
            function on_timer() emit({name = state:get("a") or "expired"}) end
            """)
        _ = try harness.advance(to: 0)
        _ = try harness.run("{}")
        #expect(try harness.advance(to: .max).rows == [#"{"name":"expired"}"#])
        #expect(harness.vm.totals.stateKeys == 1)
    }

    @Test func `timers that set one another for ever are stopped`() throws {
        var harness = try StateHarness(
            [
                """
                function process(r) state:timer("a", 1000); return drop("set") end
                function on_timer(name, at) state:timer(name == "a" and "b" or "a", at + 1) end
                """
            ], trace: false)
        _ = try harness.run("{}")
        let letters = try harness.advance(to: .max).letters
        #expect(letters.count == 1)
        #expect(letters.first?["reason"]?.text.contains("more than 1000000 timers") == true)
    }
}
