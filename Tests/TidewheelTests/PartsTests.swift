import Synchronization
import TestKit
import Testing
import Tidewheel

@Suite struct PartsTests {
    private func folder() -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {ingest: {}}
            stages: [{name: shape, transform: rules/a.lua}]
            sinks: [{from: shape, null: {}}]
            """, to: "pipeline.yaml")
        folder.write("function process(r) r.twice = r.n * 2 end", to: "rules/a.lua")
        return folder
    }

    @Test func `records go in, a Swift stage works on them, and an output is read as it comes`()
        async throws
    {
        let folder = folder()
        var pipeline = try Pipeline(folder: folder.path)
        try pipeline.insertStage("even", after: "shape") { record in
            guard case .integer(let n) = record["n"] else { return .reject("n is no integer") }
            return n % 2 == 0 ? .pass : .drop("odd")
        }
        let output = try pipeline.output(from: "even")
        let letters = try pipeline.output(from: "dead_letters")
        let running = try pipeline.start(fresh: true)
        let reader = Task { () -> [Value?] in
            var values: [Value?] = []
            for await record in output { values.append(record["twice"]) }
            return values
        }
        let letterReader = Task { () -> [Value?] in
            var values: [Value?] = []
            for await letter in letters { values.append(letter["kind"]) }
            return values
        }
        for n in 0..<5000 { try await running.submit(["n": .integer(Int64(n))]) }
        try await running.submit(json: Array("not json".utf8))
        try await running.ingest(["n": 1.5])
        let summary = try await running.stop()
        #expect(await reader.value == stride(from: 0, to: 10000, by: 4).map { .integer($0) })
        #expect(await letterReader.value == ["malformed", "rejected"])
        #expect(summary.read == 5002)
        #expect(summary.counts.dropped == ["odd": 2500])
    }

    @Test func `a sink that throws ends the run with its words`() async throws {
        let folder = folder()
        var pipeline = try Pipeline(folder: folder.path)
        try pipeline.addSink("mine", from: "shape") { _ throws(ConnectorError) in
            throw ConnectorError("no more room")
        }
        let running = try pipeline.start(fresh: true)
        try await running.submit(["n": 1])
        let error = await #expect(throws: PipelineError.self) { _ = try await running.stop() }
        #expect(error?.description.contains("no more room") == true)
    }

    @Test func `what a sink in Swift throws is about one record`() async throws {
        let folder = folder()
        var pipeline = try Pipeline(folder: folder.path)
        let taken = Mutex<[Value?]>([])
        let tries = Mutex(0)
        try pipeline.addSink("picky", from: "shape") { record throws(ConnectorError) in
            if record["n"] == 2 {
                throw ConnectorError(
                    "no", remedy: .refuse([RefusedRow(index: 0, reason: "two is taken")]))
            }
            if record["n"] == 3,
                tries.withLock({
                    $0 += 1; return $0
                }) < 3
            {
                throw ConnectorError("busy", remedy: .retry(afterMilliseconds: 1))
            }
            taken.withLock { $0.append(record["n"]) }
        }
        let letters = try pipeline.output(from: "dead_letters")
        let running = try pipeline.start()
        try await running.ingest(contentsOf: (1...4).map { ["n": .integer($0)] })
        try await running.stop()
        #expect(taken.withLock { $0 } == [1, 3, 4])
        var reasons: [String] = []
        for await letter in letters { reasons.append(letter["reason"]?.text ?? "") }
        #expect(reasons.count == 1)
        #expect(reasons.first?.contains("two is taken") == true)
    }

    @Test func `a stage that is not there is told with a guess`() throws {
        let folder = folder()
        var pipeline = try Pipeline(folder: folder.path)
        folder.write("", to: "still-here")
        let error = #expect(throws: PipelineError.self) { _ = try pipeline.output(from: "shap") }
        #expect(error?.description == "there is no stage \"shap\"; did you mean \"shape\"?")
    }

    @Test func `an aggregate stage has the output late and no other`() throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {ingest: {}}
            time: {field: at}
            stages: [{name: agg, aggregate: {window: {tumbling: 1s}, compute: {n: count}}}]
            sinks: [{null: {}}]
            """, to: "pipeline.yaml")
        var pipeline = try Pipeline(folder: folder.path)
        _ = try pipeline.output(from: "agg.late")
        let error = #expect(throws: PipelineError.self) { _ = try pipeline.output(from: "agg.x") }
        #expect(error?.description.contains("(from: agg) and late (from: agg.late)") == true)
    }
}
