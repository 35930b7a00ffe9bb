import Connecting
import Connectors
import Definitions
import Engine
import Scripting
import TestKit
import Testing
import Trials

/// A pipeline folder with one rule and its tests.
private struct RuleFolder {
    let folder = TemporaryFolder()

    init(rule: String, tests: String, extra: [String: String] = [:]) {
        folder.write(
            """
            source: {file: {path: "in/*.jsonl"}}
            lookups: {users: {file: lookups/users.csv, key: user_id}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, null: {}}]

            """, to: "pipeline.yaml")
        folder.write("user_id,region\nu1,us\n", to: "lookups/users.csv")
        folder.write(rule, to: "rules/shape.lua")
        folder.write("rule: shape.lua\n" + tests, to: "rules/shape.test.yaml")
        for (name, text) in extra { folder.write(text, to: name) }
    }

    var plan: Plan {
        get throws {
            try Plan(
                readDefinition(folder: folder.path, environment: [:], catalogue: .standard))
        }
    }

    func report(
        filter: String? = nil, measuresCoverage: Bool = false
    ) throws -> RuleTestReport {
        RuleTests.run(
            try plan, files: RuleTests.files(in: folder.path), filter: filter,
            measuresCoverage: measuresCoverage)
    }

    /// What is told about the only test; empty when it passed.
    func problems() throws -> [String] {
        let report = try report()
        #expect(report.findings.isEmpty, "\(report.findings)")
        #expect(report.results.count == 1)
        guard let failure = report.results.first?.failure else { return [] }
        return failure.errors.map(\.text) + failure.differences.map(\.text)
    }
}

@Suite struct RuleTestsTests {
    static let rule = """
        function process(r)
          if r.kind == "drop" then return drop("gone") end
          if r.kind == "reject" then return reject("not wanted", "kind") end
          if r.kind == "fail" then r.x = r.missing.field end
          if r.kind == "route" then return route("side") end
          if r.kind == "many" then emit({extra = 1}, "parts") return {r, {second = true}} end
          if r.kind == "lookup" then r.region = lookup("users", r.id, "region") or null end
          if r.kind == "count" then r.n = state:incr(r.id) end
          if r.kind == "forget" then state:delete(r.id) end
          if r.kind == "time" then r.now = now() end
          if r.kind == "log" then log("seen", r.id) r.bad = 1 end
        end
        """

    static let passing = [
        "in: {kind: x, n: 1}, out: {kind: x, n: 1.0}",
        "in: '{\"kind\": \"x\", \"big\": 12345678901234567890123}', "
            + "out: {kind: x, big: 12345678901234567890123}",
        "in: {kind: x, deep: {a: [1, {b: 2, c: 3}]}}, contains: {deep: {a: [1, {b: 2}]}}",
        "in: {kind: drop}, dropped: gone",
        "in: {kind: reject}, error: wanted",
        "in: {kind: fail}, error: \"attempt to index\"",
        "in: {kind: route}, routed: side",
        "in: {kind: route}, routed: side, out: {kind: route}",
        "in: {kind: many}, out: [{kind: many}, {second: true}], outputs: {parts: [{extra: 1}]}",
        "in: [{kind: x}, {kind: drop}, {kind: y}], out: [{kind: x}, {kind: y}], dropped: gone",
        "in: {kind: lookup, id: u1}, contains: {region: us}",
        "in: {kind: lookup, id: u1}, lookups: {users: [{user_id: u1, region: 7}]}, "
            + "contains: {region: \"7\"}",
        "in: {kind: count, id: k}, state: {before: {k: 4, other: a}, after: {k: 5}}",
        "in: {kind: forget, id: k}, state: {before: {k: 4, l: 1}, after: {k: null}}",
        "in: [{kind: count, id: k}, {kind: count, id: k}], contains: {n: 2}",
        "now: 2026-11-23T15:00:00Z, in: {kind: time}, contains: {now: 1795446000000}",
    ]

    @Test(arguments: passing)
    func `what is as expected passes`(test: String) throws {
        let folder = RuleFolder(rule: Self.rule, tests: "tests: [{name: t, \(test)}]\n")
        #expect(try folder.problems() == [])
    }

    static let failing = [
        ("in: {kind: x}, out: {kind: x, n: null}", "out.n: expected null, got nothing"),
        ("in: {kind: x, n: 1}, out: {kind: x}", "out.n: expected nothing, got 1"),
        ("in: {kind: x, n: 1}, out: {kind: x, n: \"1\"}", "out.n: expected \"1\", got 1"),
        ("in: {kind: x, n: [1, 2]}, out: {kind: x, n: [2, 1]}", "out.n[1]: expected 2, got 1"),
        (
            "in: {kind: x, n: {a: 1}}, contains: {n: {a: 2}}", "contains.n.a: expected 2, got 1"
        ),
        ("in: {kind: drop}, dropped: lost", "dropped: expected \"lost\", got \"gone\""),
        ("in: {kind: x}, dropped: gone", "dropped: expected \"gone\", but it was passed on"),
        (
            "in: {kind: drop}, out: {kind: drop}",
            "out: expected {\"kind\":\"drop\"}, but it was dropped: gone"
        ),
        (
            "in: {kind: x}, routed: side", "routed: expected \"side\", but it was passed on"
        ),
        (
            "in: {kind: route}, out: {kind: route}",
            "out: expected {\"kind\":\"route\"}, but it was sent to the output \"side\""
        ),
        ("in: {kind: reject}, error: absent", "rules/shape.lua:3: rejected: not wanted"),
        ("in: {kind: x}, error: any", "error: expected \"any\", but the record was passed on"),
        (
            "in: {kind: fail}, out: {kind: fail}",
            "rules/shape.lua:4: attempt to index a nil value (field 'missing')"
        ),
        (
            "in: {kind: count, id: k}, state: {after: {k: 2}}",
            "state.after.k: expected 2, got 1"
        ),
        (
            "in: {kind: count, id: k}, state: {before: {a: 1}, after: {}}",
            "state.after.k: expected nothing, got 1"
        ),
        ("in: {kind: many}, out: {kind: many}", "out[2]: expected nothing, got {\"second\":true}"),
    ]

    @Test(arguments: failing)
    func `what differs is told by its path`(test: String, problem: String) throws {
        let folder = RuleFolder(rule: Self.rule, tests: "tests: [{name: t, \(test)}]\n")
        let problems = try folder.problems()
        #expect(problems.first == problem, "\(problems)")
    }

    static let broken = [
        ("tests: [{name: a, in: {x: 1}, otu: {x: 1}}]", 2, "did you mean \"out\""),
        ("tests: [{name: a, in: {x: 1}}]", 2, "expects nothing"),
        ("tests: [{name: a, out: {x: 1}}]", 2, "needs the key \"in\""),
        ("test: []", 2, "did you mean \"tests\""),
        ("tests: []", 2, "at least one test"),
        ("tests: [{name: a, in: 7, out: {}}]", 2, "must be a mapping"),
        ("tests:\n  - {name: a, in: {x: 1}, out: {x: 1}\n  - {name: b}", 4, "YAML"),
        ("now: today\ntests: [{name: a, in: {}, out: {}}]", 2, "must be a time"),
        ("lookups: {usrs: []}\ntests: [{name: a, in: {}, out: {}}]", 2, "mean \"users\""),
        ("tests: [{name: a, in: {}, state: {aftr: {}}}]", 2, "did you mean \"after\""),
    ]

    @Test(arguments: broken)
    func `a broken test file is told with its line`(
        tests: String, line: Int, problem: String
    ) throws {
        let report = try RuleFolder(rule: Self.rule, tests: tests + "\n").report()
        #expect(report.results.isEmpty && !report.isPassed)
        #expect(report.findings.map(\.location.line) == [line], "\(report.findings)")
        #expect(report.findings.first?.message.contains(problem) == true, "\(report.findings)")
        #expect(report.findings.first?.location.file == "rules/shape.test.yaml")
    }

    @Test func `a rule that is not there is told at its name`() throws {
        let folder = RuleFolder(
            rule: Self.rule, tests: "tests: [{name: a, in: {}, out: {}}]\n",
            extra: ["rules/other.test.yaml": "rule: shap.lua\ntests: []\n"])
        let messages = try folder.report().findings.map { "\($0.location) \($0.message)" }
        #expect(
            messages.first
                == "rules/other.test.yaml:1:7 rules/shap.lua: no such file; "
                + "did you mean \"shape.lua\"?")
    }

    @Test func `a rule that does not compile fails its tests, with the place`() throws {
        let folder = RuleFolder(
            rule: "function process(r)\n  r.x = = 1\nend\n",
            tests: "tests: [{name: a, in: {}, out: {}}]\n")
        let failure = try folder.report().results.first?.failure
        #expect(failure?.isLoadError == true)
        #expect(failure?.errors.first?.line == 2)
    }

    @Test func `tests know nothing of each other`() throws {
        let rule = """
            local calls = 0
            function process(r)
              calls = calls + 1
              r.calls, r.stored = calls, state:incr("n")
            end
            """
        let test = "in: {}, out: {calls: 1, stored: 1}}"
        let folder = RuleFolder(
            rule: rule, tests: "tests:\n  - {name: a, \(test)\n  - {name: b, \(test)\n")
        #expect(try folder.report().isPassed)
    }

    @Test func `timers fire when event time passes`() throws {
        let folder = RuleFolder(
            rule: """
                function process(r) state:timer(r.id, now() + 60000) return drop("kept") end
                function on_timer(name, at) emit({fired = name}) end
                """,
            tests: """
                tests:
                  - {name: late, in: {id: a}, until: 2000-01-01T00:02:00Z, out: [{fired: a}], dropped: kept}
                  - {name: early, in: {id: a}, until: 2000-01-01T00:00:30Z, out: [], dropped: kept}

                """)
        let report = try folder.report()
        #expect(report.isPassed, "\(report.failed)")
        #expect(report.results.count == 2)
    }

    @Test func `names choose tests, and coverage tells the lines that did not run`() throws {
        let folder = RuleFolder(
            rule: Self.rule,
            tests: """
                tests:
                  - {name: drops it, in: {kind: drop}, dropped: gone}
                  - {name: passes it, in: {kind: x}, out: {kind: x}}

                """)
        let report = try folder.report(filter: "drops", measuresCoverage: true)
        #expect(report.results.map(\.name) == ["drops it"])
        #expect(report.skipped == 1)
        #expect(report.coverage.map(\.file) == ["rules/shape.lua"])
        #expect(report.coverage.first?.missing == Array(3...11))
    }

    @Test func `an aggregate is tested by its result, and by merging`() throws {
        let rule = """
            return {
              init = function() return {n = 0} end,
              add = function(acc, r) acc.n = acc.n + r.v return acc end,
              merge = function(a, b) a.n = a.n + b.n return a end,
              result = function(acc) return acc.n end,
            }
            """
        let tests = """
            rule: sum.lua
            tests:
              - {name: adds, in: [{v: 1}, {v: 2}], out: 3}
              - {name: nothing, in: [], out: 0}
              - {name: wrong, in: [{v: 1}], out: 2}

            """
        func report(_ rule: String) throws -> RuleTestReport {
            try RuleFolder(
                rule: Self.rule, tests: "tests: [{name: a, in: {}, out: {}}]\n",
                extra: ["rules/sum.lua": rule, "rules/sum.test.yaml": tests]
            ).report(filter: nil)
        }
        #expect(try report(rule).failed.map(\.name) == ["wrong"])
        let bad = try report(rule.replacing("a.n + b.n", with: "a.n"))
        #expect(bad.failed.map(\.name) == ["adds", "wrong"])
        #expect(bad.failed.first?.failure?.errors.first?.message.contains("merging") == true)
    }

    @Test func `what came out can become what is expected, and the rest stays as it is`() throws {
        let tests = """
            # the tests of shape
            tests:
              - {name: flow, in: {kind: "x"}, out: {kind: y, more: "don't"}}   # kept
              - name: block
                in: {kind: x, list: [1]}
                out:
                  kind: z
                  list: []

                # also kept
              - name: part
                in: {kind: x, a: 1, b: 2}
                contains: {a: 9}
              - {name: way, in: {kind: route}, dropped: gone}
              - {name: fails, in: {kind: fail}, out: {kind: fail}}
              - {name: fine, in: {kind: drop}, dropped: "gone"}
              - name: state
                in: {kind: count, id: k}
                state: {before: {k: 1}, after: {k: 7}}

            """
        let folder = RuleFolder(rule: Self.rule, tests: tests)
        let updated = RuleTests.updated(
            RuleTests.files(in: folder.folder.path), try folder.plan)
        let text = updated.first.map { String(decoding: $0.bytes, as: UTF8.self) }
        let expected = tests.replacing("{kind: y, more: \"don't\"}", with: "{kind: x}")
            .replacing("kind: z\n      list: []", with: "kind: x\n      list: [1]")
            .replacing("{a: 9}", with: "{a: 1}")
            .replacing(
                "in: {kind: route}, dropped: gone",
                with: "in: {kind: route}, routed: side, out: {kind: route}"
            )
            .replacing("after: {k: 7}", with: "after: {k: 2}")
        #expect(text == "rule: shape.lua\n" + expected)
        folder.folder.write(text ?? "", to: "rules/shape.test.yaml")
        #expect(try folder.report().failed.map(\.name) == ["fails"])
    }
}
