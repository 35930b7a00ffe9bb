import TestKit
import Testing
import Tidewheel

@Suite(.timeLimit(.minutes(30))) struct StopTests {
    @Test(arguments: [1, 2])
    func `a sink that hangs does not keep stop`(workers: Int) async throws {
        let folder = Folder.doubling()
        let gate = Gate()
        var pipeline = try Pipeline(folder: folder.path)
        try pipeline.addSink("stuck", from: "shape") { _ in gate.pass() }
        let running = try pipeline.start(workers: workers)
        try await running.submit(["n": 1])
        try await until { gate.isWaiting }
        let error = await #expect(throws: PipelineError.self) {
            try await running.stop(patience: .milliseconds(50))
        }
        #expect(error?.description.contains("the sink \"stuck\"") == true)
        gate.open()
        // Once it returns, the run is over, and what was not committed was not lost.
        await #expect(throws: PipelineError.self) { try await running.finish() }
        await #expect(throws: PipelineError.self) { try await running.ingest(["n": 2]) }
    }

    @Test func `a sink that is slow is waited for`() async throws {
        let folder = Folder.doubling()
        var pipeline = try Pipeline(folder: folder.path)
        let gate = Gate()
        try pipeline.addSink("slow", from: "shape") { record in
            if record["n"] == 30 { gate.pass() }
        }
        let running = try pipeline.start()
        for n in Int64(0)..<40 { try await running.submit(["n": .integer(n)]) }
        try await until { gate.isWaiting }
        async let end = running.stop(patience: .seconds(60))
        gate.open()
        #expect(try await end.read == 40)
    }

    @Test(arguments: [1, 2])
    func `an output that nobody reads does not keep stop`(workers: Int) async throws {
        let folder = Folder.doubling()
        var pipeline = try Pipeline(folder: folder.path)
        let rows = try pipeline.output(from: "shape")
        let running = try pipeline.start(workers: workers)
        let feeder = Task {
            for n in Int64(0)..<5000 { try await running.submit(["n": .integer(n)]) }
        }
        try await until { running.metrics().read >= 1024 }
        let error = await #expect(throws: PipelineError.self) {
            try await running.stop(patience: .milliseconds(100))
        }
        #expect(error?.description.contains("output(from: \"shape\")") == true)
        _ = await feeder.result
        withExtendedLifetime(rows) {}
    }

    @Test func `a reader that is cancelled ends, and the pipeline goes on without it`()
        async throws
    {
        let folder = Folder.doubling()
        var pipeline = try Pipeline(folder: folder.path)
        let rows = try pipeline.output(from: "shape")
        let running = try pipeline.start()
        let reader = Task { () -> Int in
            var count = 0
            for await _ in rows { count += 1 }
            return count
        }
        try await running.ingest(contentsOf: (0..<10).map { ["n": .integer($0)] })
        reader.cancel()
        #expect(await reader.value <= 10)
        // Far more than are kept for a reader.
        try await running.ingest(contentsOf: (10..<5000).map { ["n": .integer($0)] })
        #expect(try await running.stop().read == 5000)
        #expect(folder.lines("out.jsonl").count == 5000)
        var iterator = rows.makeAsyncIterator()
        #expect(await iterator.next() == nil)
    }

    @Test func `a reader that waits for a row is woken when it is cancelled`() async throws {
        let folder = Folder.doubling()
        var pipeline = try Pipeline(folder: folder.path)
        let rows = try pipeline.output(from: "shape")
        let running = try pipeline.start()
        let (began, begun) = AsyncStream.makeStream(of: Void.self)
        let reader = Task { () -> Record? in
            var iterator = rows.makeAsyncIterator()
            let first = await iterator.next()
            begun.finish()
            _ = await iterator.next()
            return first
        }
        try await running.ingest(["n": 1])
        for await _ in began {}
        reader.cancel()
        #expect(await reader.value == ["n": 1, "twice": 2])
        try await running.stop()
    }

    @Test func `a sequence that is let go keeps nobody waiting`() async throws {
        let folder = Folder.doubling()
        var pipeline = try Pipeline(folder: folder.path)
        _ = try pipeline.output(from: "shape")
        let reader = try readOne(&pipeline)
        let running = try pipeline.start()
        try await running.ingest(contentsOf: (0..<5000).map { ["n": .integer($0)] })
        await reader.value
        #expect(try await running.stop().read == 5000)
    }

    /// Reads one row and lets the sequence go, which nobody else has.
    private func readOne(_ pipeline: inout Pipeline) throws -> Task<Void, Never> {
        let rows = try pipeline.output(from: "shape")
        return Task { for await _ in rows { break } }
    }

    @Test func `everybody who stops it gets the same answer`() async throws {
        let folder = Folder.doubling()
        let running = try Pipeline(folder: folder.path).start(fresh: true)
        try await running.ingest(["n": 1])
        async let first = running.stop()
        async let second = running.stop()
        let reads = try await [first.read, second.read, running.finish().read]
        #expect(reads == [1, 1, 1])
    }

    @Test func `windows are kept for the next run, or closed when nothing is kept`() async throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {ingest: {}}
            time: {field: at, format: epoch_s}
            stages: [{name: sums, aggregate: {window: {tumbling: 10s}, compute: {n: count}}}]
            sinks: [{from: sums, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        for second in 1...2 {
            let running = try Pipeline(folder: folder.path).start()
            try await running.ingest(["at": .integer(1_700_000_000 + Int64(second))])
            try await running.stop()
            #expect(folder.lines("out.jsonl").isEmpty)
        }
        let last = try Pipeline(folder: folder.path).start(drain: true)
        try await last.ingest(["at": 1_700_000_003])
        try await last.stop()
        #expect(folder.lines("out.jsonl").map { $0.contains("\"n\":3") } == [true])
        let other = TemporaryFolder()
        other.write(folder.text("pipeline.yaml"), to: "pipeline.yaml")
        let fresh = try Pipeline(folder: other.path).start(fresh: true)
        try await fresh.ingest(["at": 1_700_000_001])
        try await fresh.stop()
        #expect(other.lines("out.jsonl").count == 1)
    }
}
