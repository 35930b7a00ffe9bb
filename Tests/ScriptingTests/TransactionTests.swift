import Records
import Scripting
import Testing

@Suite struct TransactionTests {
    @Test func `a record that fails late leaves nothing of its early stages`() throws {
        let outcome = try RuleHarness(
            "function process(r) r.n = state:incr('k'); emit({from = r.id}, 'side') end",
            "function process(r) if r.id == 2 then error('late') end end"
        ).run(#"{"id":1}"#, #"{"id":2}"#, #"{"id":3}"#)
        #expect(outcome.rows == [#"{"id":1,"n":1}"#, #"{"id":3,"n":2}"#])
        #expect(outcome.side == [#"{"from":1}"#, #"{"from":3}"#])
        #expect(outcome.letters.first?["original"] == #"{"id":2}"#)
        #expect(outcome.counts.extra == 2)
    }

    @Test func `state is undone whatever was done to it`() throws {
        let outcome = try RuleHarness(
            """
            function process(r)
              if r.step == 1 then state:set('a', {1, null}); state:set('b', 'x') end
              if r.step == 2 then state:delete('a'); state:set('b', 2); state:incr('c'); error('undo') end
              if r.step == 3 then r.a = state:get('a'); r.b = state:get('b'); r.c = state:get('c') or 'none' end
            end
            """
        ).run(#"{"step":1}"#, #"{"step":2}"#, #"{"step":3}"#)
        #expect(outcome.rows.last == #"{"step":3,"a":[1,null],"b":"x","c":"none"}"#)
        #expect(outcome.counts.stateKeys == 2)
    }

    @Test func `what a rule returns decides where the record goes`() throws {
        let outcome = try RuleHarness(
            """
            function process(r)
              if r.k == "drop" then local other = drop("b"); return drop("a") end
              if r.k == "route" then return route("side") end
              if r.k == "lost" then return route("nowhere") end
              if r.k == "list" then return {r, {k = "made"}, r:copy()} end
              if r.k == "none" then return {} end
              if r.k == "reject" then return reject("no", "k") end
              if r.k == "emit" then emit(r); r.k = "changed" end
              drop("without return")
            end
            """
        ).run(
            #"{"k":"drop"}"#, #"{"k":"route"}"#, #"{"k":"lost"}"#, #"{"k":"list"}"#,
            #"{"k":"none"}"#,
            #"{"k":"reject"}"#, #"{"k":"emit"}"#, #"{"k":"pass"}"#)
        #expect(
            outcome.rows == [
                #"{"k":"list"}"#, #"{"k":"made"}"#, #"{"k":"list"}"#, #"{"k":"emit"}"#,
                #"{"k":"changed"}"#, #"{"k":"pass"}"#,
            ])
        #expect(outcome.side == [#"{"k":"route"}"#])
        #expect(outcome.counts.dropped == ["a": 1, "no sink for stage0.nowhere": 1])
        #expect(outcome.letters.first?["reason"] == "no")
        #expect(outcome.letters.first?["field"] == "k")
        // read + extra = delivered + dropped + dead letters
        let counts = outcome.counts
        #expect(counts.read + counts.extra == 6 + 1 + 2 + counts.deadLetters)
    }

    @Test func `a failing record tells the values at each line`() throws {
        let outcome = try RuleHarness(
            "function process(r)\n  local price = r.price\n  if price > r.limit then return end\nend"
        ).run(#"{"price":100,"limit":"90"}"#)
        let letter = try #require(outcome.letters.first)
        #expect(letter["reason"]?.text.hasPrefix("rules/0.lua:3: attempt to compare") == true)
        #expect(letter["line"] == 3)
        #expect(
            letter["trace"]
                == .array([
                    "rules/0.lua:2: r.price=100", #"rules/0.lua:3: price=100 r.limit="90""#,
                ]))
    }

    @Test func `random numbers are the same in every run of the same record`() throws {
        let harness = RuleHarness("function process(r) r.x = math.random(1000000) end")
        let first = try harness.run("{}", "{}").rows
        #expect(try harness.run("{}", "{}").rows == first)
        #expect(first[0] != first[1])
    }

    @Test func `modules are loaded by name, with an environment of their own`() throws {
        var harness = RuleHarness(
            "local geo = require 'geo'\nfunction process(r) r.x = geo.double(r.x); r.leak = tostring(hidden) end"
        )
        harness.modules["geo"] = "hidden = 1\nreturn {double = function(x) return x * 2 end}"
        #expect(try harness.run(#"{"x":4}"#).rows == [#"{"x":8,"leak":"nil"}"#])
    }

    @Test(arguments: ["return 5", "return {1}", "return {a = 1}", "r.x = tostring(seen)"])
    func `an error without a line of its own has the line that came last`(script: String) throws {
        let rule =
            "local seen\nfunction process(r)\n  if not seen then seen = r end\n  \(script)\nend"
        let letters = try RuleHarness(rule).run("{\"n\":1}", "{\"n\":2}").letters
        #expect(letters.last?["file"] == "rules/0.lua")
        #expect(letters.last?["line"] == 4)
    }
}
