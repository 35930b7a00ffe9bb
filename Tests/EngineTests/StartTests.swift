import Connecting
import Definitions
import Glibc
import Scripting
import TestKit
import Testing
import Threads

@testable import Engine

@Suite(.timeLimit(.minutes(30))) struct StartTests {
    @Test func `a sink that cannot be opened keeps the run from starting, without leftovers`() {
        let reads = Counter()
        var pipeline = StubPipeline { _ in
            reads.add()
            return nil
        }
        pipeline.addSink("first")
        pipeline.addSinkThatCannotBeOpened("second")
        let error = #expect(throws: PipelineError.self) { _ = try pipeline.start() }
        #expect(error?.exitCode == 1)
        #expect(error?.description == "error: second cannot be opened")
        #expect(pipeline.journal.all == ["first open", "first abandon"])
        #expect(reads.value == 0)
    }

    @Test func `a source that cannot be opened keeps the run from starting, without leftovers`() {
        var pipeline = StubPipeline { _ in nil }
        pipeline.definition.source?.open = { (_) throws(ConnectorError) in
            throw ConnectorError("in.jsonl: no such file or directory")
        }
        pipeline.addSink("out")
        let error = #expect(throws: PipelineError.self) { _ = try pipeline.start() }
        #expect(error?.exitCode == 1)
        #expect(error?.description == "error: in.jsonl: no such file or directory")
        #expect(pipeline.journal.all == ["out open", "out abandon"])
    }

    @Test(arguments: [1, 3])
    func `a rule that does not load is told with its line before any sink is opened`(
        workers: Int
    ) {
        let folder = TemporaryFolder()
        folder.write("function process(r)\n  retrun r\nend", to: "rules/a.lua")
        var pipeline = StubPipeline(in: folder) { _ in nil }
        pipeline.addRule("rules/a.lua")
        pipeline.addSink("out", from: .stage(0, output: nil))
        let error = #expect(throws: PipelineError.self) {
            _ = try pipeline.start(workers: workers)
        }
        #expect(error?.exitCode == 2)
        #expect(error?.description.contains("rules/a.lua:2:") == true)
        #expect(pipeline.journal.all.isEmpty)
    }

    @Test func `modules are found by name, also in folders`() throws {
        let folder = TemporaryFolder()
        folder.write("return {x = 'one'}", to: "rules/lib/geo.lua")
        folder.write("return {x = 'two'}", to: "rules/lib/a/b.lua")
        folder.write(
            """
            local geo, b = require('geo'), require('a.b')
            function process(r) r.x = geo.x r.y = b.x end
            """, to: "rules/a.lua")
        var pipeline = StubPipeline(in: folder) { call in call == 0 ? ["{}"] : nil }
        pipeline.addRule("rules/a.lua")
        pipeline.addSink("out", from: .stage(0, output: nil))
        _ = try pipeline.start().wait().get()
        #expect(pipeline.rows("out") == ["{\"x\":\"one\",\"y\":\"two\"}"])
        let paths = try Plan(pipeline.definition).ruleSet.files.map(\.path)
        #expect(paths == ["rules/a.lua", "rules/lib/a/b.lua", "rules/lib/geo.lua"])
    }

    @Test func `a pipeline with lookups ends when its source ends, also without once`() throws {
        let (_, pipeline) = try lookupPipeline(refresh: 60_000_000_000) { call in
            call == 0 ? ["{}"] : nil
        }
        let run = try pipeline.start(once: false)
        let ended = Channel<Int?>(capacity: 1)
        WorkerThread { ended.send(try? run.wait().get().read) }.detach()
        #expect(ended.receive(milliseconds: 20_000) == 1)
        #expect(pipeline.rows("out") == ["{\"x\":\"old\"}"])
    }

    @Test(arguments: [1, 2])
    func `every worker uses the new rows of a lookup that changed`(workers: Int) throws {
        let isNew = Channel<Void>(capacity: 1)
        let pause = Channel<Void>(capacity: 1)
        let (folder, pipeline) = try lookupPipeline(
            refresh: 1_000_000,
            onWrite: { (rows) throws(ConnectorError) in
                if rows.contains("{\"x\":\"new\"}") { isNew.close() }
            },
            answer: { call in
                _ = pause.receive(milliseconds: 1)
                return call > 5000 ? nil : ["{}"]
            })
        let run = try pipeline.start(workers: workers, once: false)
        folder.write("id,x\na,new\n", to: "table.tmp")
        #expect(unsafe rename(folder("table.tmp"), folder("table.csv")) == 0)
        _ = isNew.receive(milliseconds: 20_000)
        #expect(isNew.isFinished, "the new rows were never used")
        run.requestStop()
        let summary = try run.wait().get()
        #expect(summary.read < 5000)
        let rows = pipeline.rows("out")
        #expect(Set(rows).isSubset(of: ["{\"x\":\"old\"}", "{\"x\":\"new\"}"]))
    }

    private func lookupPipeline(
        refresh: Int64,
        onWrite: @escaping StubSink.OnWrite = { (_) throws(ConnectorError) in },
        answer: @escaping StubSource.Answer
    ) throws -> (TemporaryFolder, StubPipeline) {
        let folder = TemporaryFolder()
        folder.write("id,x\na,old\n", to: "table.csv")
        folder.write("function process(r) r.x = lookup('t', 'a', 'x') end", to: "rules/a.lua")
        var pipeline = StubPipeline(in: folder, answer)
        pipeline.definition.lookups = [
            LookupDefinition(
                name: "t", path: "table.csv", key: "id", refreshNanoseconds: refresh,
                location: Location(file: "pipeline.yaml", line: 1, column: 1))
        ]
        pipeline.addRule("rules/a.lua")
        pipeline.addSink("out", from: .stage(0, output: nil), onWrite: onWrite)
        return (folder, pipeline)
    }
}
