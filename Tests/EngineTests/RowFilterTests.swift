import Connectors
import Definitions
import Engine
import TestKit
import Testing

/// Conditions on the rows that a looker sees.
@Suite struct RowFilterTests {
    /// A pipeline with time, key, a table and a module, that waits for its first record.
    private func withRun(_ body: (PipelineRun) throws -> Void) throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl, follow: true}}
            time: {field: at}
            key: user
            lookups: {users: {file: users.csv, key: user}}
            stages: [{name: shape, transform: rules/shape.lua, budget: 20ms}]
            sinks: [{from: shape, null: {}}]
            """, to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/shape.lua")
        folder.write("return {twice = function(x) return 2 * x end}", to: "rules/lib/more.lua")
        folder.write("user,region\nu1,eu\n", to: "users.csv")
        folder.write("", to: "in.jsonl")
        let plan = try Plan(
            readDefinition(folder: folder.path, environment: [:], catalogue: .standard))
        let run = try PipelineRun.start(plan, options: RunOptions())
        defer {
            run.requestStop()
            _ = run.wait()
        }
        try body(run)
    }

    private func matches(_ filter: RowFilter, _ row: String) -> Bool {
        filter.matches(Array(row.utf8))
    }

    @Test(arguments: [
        ("r.i > 1", #"{"i":2}"#, #"{"i":1}"#), ("r.flag", #"{"flag":true}"#, #"{"flag":false}"#),
        ("r.flag", #"{"flag":0}"#, #"{"flag":null}"#), ("r.flag", #"{"flag":""}"#, "{}"),
        ("r.a and r.a.b == 'x' -- why", #"{"a":{"b":"x"}}"#, #"{"a":{"b":"y"}}"#),
        ("lookup('users', r.user, 'region') == 'eu'", #"{"user":"u1"}"#, #"{"user":"u2"}"#),
        ("require('more').twice(r.i) == 4", #"{"i":2}"#, #"{"i":3}"#),
        ("r.big == 12345678901234567", #"{"big":12345678901234567}"#, #"{"big":1}"#),
    ])
    func `a condition is an expression of Lua`(
        condition: String, yes: String, no: String
    ) throws {
        // Neither row has the time or the key of the pipeline.
        try withRun { run in
            let filter = try RowFilter(condition, stage: "shape", of: run)
            #expect(matches(filter, yes))
            #expect(!matches(filter, no))
            #expect(filter.failures == 0, "\(filter.problem ?? "")")
        }
    }

    @Test func `one that fails or never ends is false, and the next row is judged`() throws {
        try withRun { run in
            let filter = try RowFilter(
                "r.i > 0 or (function() while true do end end)()", stage: "shape", of: run)
            #expect(!matches(filter, #"{"i":"x"}"#))
            #expect(filter.problem?.contains("attempt to compare") == true)
            #expect(!matches(filter, #"{"i":0}"#))
            #expect(filter.failures == 2)
            #expect(matches(filter, #"{"i":1}"#))
        }
    }

    @Test(arguments: [
        ("", "Lua: unexpected symbol"), ("r.i = 1", "Lua: ')' expected near '='"),
        ("nothing.x", "undefined global \"nothing\""), ("lookup('usrs', 1)", "\"users\""),
        ("require('less')", "there is no module \"less\""),
        ("io.open('x')", "rules cannot read or write files"),
    ])
    func `what is none is one error with exit code 2`(condition: String, text: String) throws {
        try withRun { run in
            let error = #expect(throws: PipelineError.self) {
                _ = try RowFilter(condition, stage: "shape", of: run)
            }
            #expect(error?.exitCode == 2)
            #expect(error?.description.hasPrefix("error: --where") == true)
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
    }
}
