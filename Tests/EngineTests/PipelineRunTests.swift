import Connecting
import Definitions
import Foundation
import Scripting
import TestKit
import Testing
import Threads

@testable import Connectors
@testable import Engine

@Suite struct PipelineRunTests {
    private func run(
        _ folder: TemporaryFolder, workers: Int = 1
    ) throws -> Result<Summary, PipelineError> {
        let plan = try Plan(
            try readDefinition(folder: folder.path, environment: [:], catalogue: .standard))
        var options = RunOptions()
        options.once = true
        options.workers = workers
        return try PipelineRun.start(plan, options: options).wait()
    }

    private func folder(_ rule: String, records: Int, extra: String = "") -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            \(extra)
            stages: [{name: shape, transform: rules/a.lua}]
            sinks:
              - {from: shape, file: {path: out.jsonl}}
              - {from: dead_letters, file: {path: dead.jsonl}}
            """, to: "pipeline.yaml")
        folder.write(rule, to: "rules/a.lua")
        let text = (0..<records).map {
            "{\"i\":\($0),\"user\":\"u\($0 % 17)\",\"pad\":\"\(String(repeating: "x", count: 200))\"}\n"
        }
        folder.write(text.joined(), to: "in.jsonl")
        return folder
    }

    @Test(arguments: [1, 2, 4])
    func `rows come in the order of the source, whatever the number of workers`(workers: Int) throws
    {
        let folder = folder(
            "function process(r) r.pad = nil; if r.i % 10 == 3 then return drop('three') end if r.i % 100 == 7 then error('seven') end end",
            records: 9000)
        let summary = try run(folder, workers: workers).get()
        #expect(summary.read == 9000)
        #expect(summary.counts.dropped == ["three": 900])
        #expect(summary.counts.deadLetters == 90)
        #expect(summary.delivered.map(\.rows) == [8010, 90])
        let rows = folder.text("out.jsonl").split(separator: "\n")
        let numbers = rows.compactMap { Int($0.dropFirst(5).prefix { $0.isNumber }) }
        #expect(numbers == (0..<9000).filter { $0 % 10 != 3 && $0 % 100 != 7 })
    }

    @Test(arguments: [1, 2, 3])
    func `keyed state gives the same result for every number of workers`(workers: Int) throws {
        let folder = folder(
            "function process(r) r.pad = nil; r.n = state:incr(r.user) end", records: 5000,
            extra: "key: user")
        let summary = try run(folder, workers: workers).get()
        #expect(summary.counts.stateKeys == 17)
        let rows = folder.text("out.jsonl").split(separator: "\n").map(String.init).sorted()
        let expected = (0..<5000).map {
            "{\"i\":\($0),\"user\":\"u\($0 % 17)\",\"n\":\($0 / 17 + 1)}"
        }.sorted()
        #expect(rows == expected)
    }

    @Test func `a sink that fails ends the run with its reason and leaves no half row`() throws {
        let folder = folder("function process(r) end", records: 3000)
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            sinks: [{file: {path: /dev/full}}, {name: good, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        guard case .failure(let error) = try run(folder) else {
            Issue.record("writing to a full disk went well")
            return
        }
        #expect(error.exitCode == 1)
        #expect(error.description.contains("no space left"))
        let rows = folder.text("out.jsonl")
        #expect(rows.isEmpty || rows.hasSuffix("}\n"))
    }

    @Test func `lookups are read from CSV and JSON lines, and a bad one is told with its line`()
        throws
    {
        let folder = folder(
            "function process(r) r.pad = nil; r.t = lookup('c', r.user, 'tier') or null; r.n = lookup('j', r.user, 'n') end",
            records: 2,
            extra: "lookups: {c: {file: c.csv, key: id}, j: {file: j.jsonl, key: id}}")
        folder.write("id,tier\nu0,\"a,b\"\n", to: "c.csv")
        folder.write("{\"id\":\"u0\",\"n\":7}\n\n{\"id\":\"u1\",\"n\":null}\n", to: "j.jsonl")
        _ = try run(folder).get()
        #expect(
            folder.text("out.jsonl") == """
                {"i":0,"user":"u0","t":"a,b","n":7}
                {"i":1,"user":"u1","t":null,"n":null}

                """)
        folder.write("id,tier\nu0\n", to: "c.csv")
        let error = #expect(throws: PipelineError.self) { _ = try run(folder) }
        #expect(error?.description.contains("c.csv:2: row has 1 cells") == true)
    }

    @Test func `a lookup that changes is read again, and a bad one keeps the old rows`() throws {
        let folder = folder(
            "function process(r) end", records: 1,
            extra: "lookups: {c: {file: c.csv, key: id, refresh: 1ms}}")
        folder.write("id,tier\nu0,old\n", to: "c.csv")
        let plan = try Plan(
            try readDefinition(folder: folder.path, environment: [:], catalogue: .standard))
        let tables = try LookupTables(plan)
        var warnings: [String] = []
        var rounds = 0
        tables.refresh(
            isStopped: {
                rounds += 1
                if rounds == 2 { folder.write("id,tier\nu0,new\nu1,new\n", to: "c.csv") }
                if rounds == 5 { folder.write("id,tier\nbroken\n", to: "c.csv") }
                return rounds > 8
            }, warn: { warnings.append($0) })
        #expect(tables.current["c"]?.count == 2)
        #expect(warnings.count == 1)
    }

    @Test func `a channel hands over in order, waits when full, and ends when closed`() {
        let channel = Channel<Int>(capacity: 2)
        WorkerThread {
            for number in 0..<1000 { channel.send(number) }
            channel.close()
        }.detach()
        var received: [Int] = []
        while let number = channel.receive() { received.append(number) }
        #expect(received == Array(0..<1000))
        #expect(!channel.send(1))
        #expect(channel.isFinished)
    }

    @Test func `lint names syntax errors, undefined globals and misspelt names`() {
        let folder = folder("", records: 0)
        func findings(_ rule: String) -> [String] {
            folder.write(rule, to: "rules/a.lua")
            return lintPipeline(folder: folder.path, environment: [:], catalogue: .standard)
                .map { "\($0.location): \($0.message)" }
                .filter { !$0.contains("the rule has no tests") }
        }
        #expect(findings("local t = {a = 1}\nfunction process(r)\n  r.x = t.a\nend").isEmpty)
        #expect(
            findings("function process(r)\n  retrun drop('x')\nend").first?.hasPrefix(
                "rules/a.lua:2:") == true)
        #expect(
            findings("function process(r)\n  r.x = lokup('a', 1)\nend") == [
                "rules/a.lua:2:9: undefined global \"lokup\"; did you mean \"lookup\"?"
            ])
        #expect(
            findings("function process(r)\n  total = 1\nend") == [
                "rules/a.lua:2:3: assignment to the undeclared global \"total\"; write local"
            ])
        #expect(
            findings("function process(r)\n  n = (n or 0) + 1\nend") == [
                "rules/a.lua:2:3: assignment to the undeclared global \"n\"; write local"
            ])
        #expect(
            findings("x = 1").first
                == "rules/a.lua:1:1: the file defines no function process(r, meta)")
        #expect(
            findings("drop = 1\nfunction process(r) end").first?.contains("belongs to the engine")
                == true)
    }

    @Test func `lint reads aggregates in Lua, and knows what aggregate stages give`() {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at}
            stages:
              - name: agg
                aggregate: {window: {tumbling: 1s}, compute: {score: rules/score.lua}}
            sinks:
              - {from: agg, stdout: {}}
              - {from: agg.late, null: {}}
            """, to: "pipeline.yaml")
        func findings(_ text: String) -> [String] {
            folder.write(text, to: "rules/score.lua")
            return lintPipeline(folder: folder.path, environment: [:], catalogue: .standard)
                .map { "\($0.location): \($0.message)" }
                .filter { !$0.contains("the rule has no tests") }
        }
        #expect(findings("return {init = function() return 0 end}").isEmpty)
        #expect(
            findings("return {\n  init = functon() end}").first?.hasPrefix("rules/score.lua:2:")
                == true)
        #expect(
            findings("return {init = function() return lokup('a', 1) end}") == [
                "rules/score.lua:1:34: undefined global \"lokup\"; did you mean \"lookup\"?"
            ])
    }
}
