import Synchronization
import TestKit
import Testing
import Tidewheel

@Suite(.timeLimit(.minutes(30))) struct OperatingTests {
    @Test func `a reload is refused with its reason, accepted, and rolled back`() async throws {
        let folder = Folder.doubling()
        folder.write(
            "rule: shape.lua\ntests: [{name: keeps n, in: {n: 1}, contains: {n: 1}}]",
            to: "rules/shape.test.yaml")
        let running = try Pipeline(folder: folder.path).start()
        let first = try #require(running.versions.last?.version)
        try await running.ingest(["n": 1])
        folder.write("function process(r", to: "rules/shape.lua")
        let broken = await running.reload()
        #expect(broken.result == .refused)
        #expect(broken.reason?.contains("rules/shape.lua") == true)
        folder.write("function process(r) r.n = 0 end", to: "rules/shape.lua")
        let untested = await running.reload()
        #expect((untested.result, untested.step) == (.refused, "test"))
        folder.write("function process(r) r.twice = r.n * 3 end", to: "rules/shape.lua")
        let outcome = await running.reload()
        #expect(outcome.result == .active, "\(outcome)")
        #expect(outcome.shadow?.changed == 1)
        try await running.ingest(["n": 2])
        #expect(await running.reload().result == .unchanged)
        #expect(await running.rollBack(to: "000000000000").result == .refused)
        #expect(await running.rollBack(to: first).result == .active)
        try await running.ingest(["n": 3])
        #expect(running.versions.last?.version == first)
        #expect(running.metrics().ruleSet == first)
        try await running.stop()
        #expect(
            folder.lines("out.jsonl") == [
                "{\"n\":1,\"twice\":2}", "{\"n\":2,\"twice\":6}", "{\"n\":3,\"twice\":6}",
            ])
    }

    @Test func `dead letters are listed, tried, replayed and thrown away`() async throws {
        let folder = Folder.doubling()
        let running = try Pipeline(folder: folder.path).start()
        try await running.ingest(contentsOf: [["n": "a"], ["n": 1], ["n": "b"]])
        let letters = try await running.deadLetters()
        #expect(letters.map(\.id) == ["ingest:0", "ingest:2"])
        #expect(try await running.tryReplay().dead == 2)
        folder.write(
            "function process(r) r.twice = (tonumber(r.n) or 4) * 2 end", to: "rules/shape.lua")
        #expect(await running.reload().result == .active)
        #expect(try await running.tryReplay(["ingest:2"]).delivered == 1)
        #expect(try await running.deadLetters().count == 2)
        #expect(try await running.replay(["ingest:2"]).delivered == 1)
        #expect(try await running.deadLetters().map(\.id) == ["ingest:0"])
        let error = await #expect(throws: PipelineError.self) {
            try await running.replay(["ingest:2"])
        }
        #expect(error?.description.contains("no dead letter \"ingest:2\"") == true)
        #expect(try await running.purgeDeadLetters() == 1)
        #expect(try await running.deadLetters().isEmpty)
        try await running.stop()
        #expect(folder.lines("out.jsonl").last == "{\"n\":\"b\",\"twice\":8}")
    }

    @Test func `a record is explained`() async throws {
        let folder = Folder.doubling()
        let running = try Pipeline(folder: folder.path).start()
        try await running.ingest(contentsOf: [["n": 4], ["n": "a"]])
        let dead = try await running.explain("ingest:1")
        #expect(dead.steps.map { $0["what"]?.text } == ["record", "stage", "end"])
        #expect(dead.steps.last?["outcome"] == "dead")
        #expect(dead.text.contains("rules/shape.lua:1"))
        let delivered = try await running.explain("ingest:0")
        #expect(delivered.steps.last?["outcome"] == "delivered")
        await #expect(throws: PipelineError.self) { try await running.explain("ingest:9") }
        try await running.stop()
    }

    @Test func `a tap shows rows that are looked for, and leaves when its reader does`()
        async throws
    {
        let folder = Folder.doubling()
        let running = try Pipeline(folder: folder.path).start()
        let rows = try await running.tap("shape", where: "r.twice > 4")
        await #expect(throws: PipelineError.self) {
            try await running.tap("shape", where: "r.twice >")
        }
        // Eight may look at once, and the ninth is told.
        var others: [TapSequence] = []
        for _ in 0..<7 { others.append(try await running.tap("shape")) }
        await #expect(throws: PipelineError.self) { try await running.tap("shape") }
        others = []
        let reader = Task { () -> Record? in
            for await row in rows { return row }
            return nil
        }
        // The lanes hear of the tap between two batches.
        let feeder = Task {
            while !Task.isCancelled { try await running.ingest(contentsOf: [["n": 1], ["n": 9]]) }
        }
        #expect(await reader.value == ["n": 9, "twice": 18])
        feeder.cancel()
        _ = await feeder.result
        // The place of the one who has left is free.
        let waiting = Task { () -> Int in
            var count = 0
            try await until {
                guard let rows = try? await running.tap("shape") else { return false }
                for await _ in rows { count += 1 }
                return true
            }
            return count
        }
        waiting.cancel()
        _ = await waiting.result
        try await running.stop()
    }

    @Test func `a snapshot of the metrics adds up`() async throws {
        let folder = Folder.doubling("queues: {jobs: {}}")
        var pipeline = try Pipeline(folder: folder.path)
        try pipeline.addSink("mine", from: "dead_letters") { _ in }
        let running = try pipeline.start()
        try await running.ingest(contentsOf: [["n": 1], ["n": 2], ["n": "?"]])
        try await running.queue("jobs").publish("one")
        let metrics = running.metrics()
        #expect(metrics.pipeline == "doubling")
        #expect((metrics.read, metrics.deadLetters) == (3, 1))
        #expect(metrics.delivered.map(\.sink) == ["out", "mine"])
        #expect(metrics.delivered.map(\.rows) == [2, 1])
        #expect(metrics.commits > 0)
        #expect(metrics.queues.map(\.name) == ["jobs", "jobs.dead"])
        #expect(metrics.queues.first?.counts.ready == 1)
        #expect(metrics.seconds > 0)
        try await running.stop()
    }

    @Test func `log lines go where the program wants them`() async throws {
        let folder = Folder.doubling()
        folder.write(
            "function process(r) log('saw ' .. r.n) end", to: "rules/shape.lua")
        let lines = Mutex<[String]>([])
        var pipeline = try Pipeline(folder: folder.path)
        pipeline.log = { line in lines.withLock { $0.append(line) } }
        let running = try pipeline.start()
        try await running.ingest(["n": 7])
        try await running.stop()
        #expect(lines.withLock { $0 }.contains { $0.hasSuffix("shape: saw 7") })
        #expect(!lines.withLock { $0 }.contains { $0.contains("\n") })
    }

    @Test func `two pipelines in one process do not know each other`() async throws {
        let (left, right) = (Folder.doubling(), Folder.doubling())
        right.write("function process(r) r.twice = 0 end", to: "rules/shape.lua")
        let one = try Pipeline(folder: left.path).start()
        let other = try Pipeline(folder: right.path).start(workers: 2)
        async let first: Void = one.ingest(contentsOf: (0..<500).map { ["n": .integer($0)] })
        async let second: Void = other.ingest(contentsOf: (0..<500).map { ["n": .integer($0)] })
        _ = try await (first, second)
        let taken = #expect(throws: PipelineError.self) {
            _ = try Pipeline(folder: left.path).start()
        }
        #expect(taken?.description.contains("another process") == true, "\(taken as Any)")
        try await one.stop()
        try await other.stop()
        #expect(left.lines("out.jsonl").last == "{\"n\":499,\"twice\":998}")
        #expect(right.lines("out.jsonl").last == "{\"n\":499,\"twice\":0}")
    }

    @Test func `the environment of the process is what variables stand for`() throws {
        let folder = Folder.doubling()
        folder.write(
            """
            name: ${HOME}
            source: {ingest: {}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, null: {}}]
            """, to: "pipeline.yaml")
        _ = try Pipeline(folder: folder.path)
        let error = #expect(throws: PipelineError.self) {
            _ = try Pipeline(folder: folder.path, environment: [:])
        }
        #expect(error?.description.contains("HOME is not set") == true)
    }
}
