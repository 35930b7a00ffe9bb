import Glibc
import TestKit
import Testing
import Tidewheel

@Suite(.timeLimit(.minutes(30))) struct IngestTests {
    private func records(_ range: Range<Int>) -> [Record] {
        range.map { ["n": .integer(Int64($0))] }
    }

    @Test(arguments: [1, 2])
    func `what ingest has answered is in the store, whatever becomes of the process`(
        workers: Int
    ) async throws {
        let folder = Folder.doubling()
        let running = try Pipeline(folder: folder.path).start(workers: workers)
        try await running.ingest(["n": 1])
        try await running.ingest(contentsOf: records(2..<300))
        // A copy of the folder at this moment is what a crash would leave behind.
        let other = TemporaryFolder()
        copyFolder(folder.path, to: other("crashed"))
        try await running.stop()
        #expect(rename(folder.path, other("stopped")) == 0)
        #expect(rename(other("crashed"), folder.path) == 0)
        let next = try Pipeline(folder: folder.path).start(workers: workers)
        try await next.ingest(["n": 300])
        let summary = try await next.stop()
        #expect(summary.read == 1)
        let expected = (1...300).map { "{\"n\":\($0),\"twice\":\($0 * 2)}" }
        let lines = folder.lines("out.jsonl").map(String.init).sorted()
        #expect(lines == expected.sorted())
    }

    @Test func `a running pipeline that is let go ends, and its store can be opened again`()
        async throws
    {
        let folder = Folder.doubling()
        do {
            let running = try Pipeline(folder: folder.path).start()
            try await running.ingest(["n": 1])
            try await running.submit(["n": 2])
        }
        let next = try Pipeline(folder: folder.path).start()
        try await next.ingest(["n": 3])
        try await next.stop()
        #expect(
            folder.lines("out.jsonl").map { $0.prefix(6) } == ["{\"n\":1", "{\"n\":2", "{\"n\":3"])
    }

    @Test func `a record that the rules refuse is a dead letter in the commit that is answered`()
        async throws
    {
        let folder = Folder.doubling()
        let running = try Pipeline(folder: folder.path).start()
        try await running.ingest(json: Array("no json".utf8))
        try await running.ingest(["n": "many"])
        let kinds = try await running.deadLetters().map { $0.record["kind"]?.text }
        #expect(kinds == ["malformed", "error"])
        try await running.stop()
    }

    @Test func `who waits for a commit that never comes hears so`() async throws {
        let folder = Folder.doubling()
        var pipeline = try Pipeline(folder: folder.path)
        try pipeline.addSink("mine", from: "shape") { _ throws(ConnectorError) in
            throw ConnectorError("no more room")
        }
        let running = try pipeline.start()
        let error = await #expect(throws: PipelineError.self) {
            try await running.ingest(["n": 1])
        }
        #expect(error?.description.contains("no more room") == true)
        #expect(error?.description.contains("not committed") == true)
        await #expect(throws: PipelineError.self) { try await running.submit(["n": 2]) }
        await #expect(throws: PipelineError.self) { try await running.stop() }
    }

    @Test func `who is cancelled takes records back that were not read`() async throws {
        let folder = Folder.doubling()
        var pipeline = try Pipeline(folder: folder.path)
        let gate = Gate()
        try pipeline.addSink("slow", from: "shape") { _ in gate.pass() }
        let running = try pipeline.start()
        // The first one is held in the sink, so that nothing else is read.
        let first = Task { try await running.ingest(["n": 1]) }
        try await until { gate.isWaiting }
        let second = Task { try await running.ingest(["n": 2]) }
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        // The first was read already: whoever waits goes, and the record stays.
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        gate.open()
        let summary = try await running.stop()
        #expect(summary.read == 1)
        #expect(folder.lines("out.jsonl") == ["{\"n\":1,\"twice\":2}"])
    }

    @Test func `two thousand tasks at once hand in, and each hears of its own commit`()
        async throws
    {
        let folder = Folder.doubling()
        let running = try Pipeline(folder: folder.path).start()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for record in records(0..<2000) {
                group.addTask { try await running.ingest(record) }
            }
            try await group.waitForAll()
        }
        #expect(running.metrics().read == 2000)
        try await running.stop()
        #expect(folder.lines("out.jsonl").count == 2000)
    }

    @Test func `sources are told by their names`() async throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            sources: {left: {ingest: {}}, right: {ingest: {}}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write("function process(r, meta) r.id = meta.id end", to: "rules/shape.lua")
        let running = try Pipeline(folder: folder.path).start()
        try await running.ingest(["n": 1], to: "right")
        try await running.ingest(["n": 2], to: "left")
        let error = await #expect(throws: PipelineError.self) {
            try await running.ingest(["n": 3])
        }
        #expect(error?.description.contains("left, right") == true)
        try await running.stop()
        #expect(
            folder.lines("out.jsonl") == [
                "{\"n\":1,\"id\":\"right:0\"}", "{\"n\":2,\"id\":\"left:0\"}",
            ])
    }

    @Test func `a pipeline without such a source says so`() async throws {
        let folder = Folder.doubling()
        folder.write("{\"n\":1}\n", to: "in.jsonl")
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        let running = try Pipeline(folder: folder.path).start(once: true)
        let error = await #expect(throws: PipelineError.self) { try await running.ingest(["n": 1]) }
        #expect(error?.description.contains("`{ingest: {}}`") == true)
        #expect(try await running.finish().read == 1)
    }
}
