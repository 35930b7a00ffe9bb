import Synchronization
import TestKit
import Testing
import Tidewheel

/// Queues of a running pipeline, with handlers in Swift.
@Suite(.timeLimit(.minutes(30))) struct RunningQueueTests {
    private struct Job: Codable, Hashable, Sendable {
        var name: String
        var size: Int
    }

    private final class Seen: Sendable {
        private let names = Mutex<[String]>([])
        var all: [String] { names.withLock { $0 } }
        func add(_ name: String) { names.withLock { $0.append(name) } }
    }

    private func queues() -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            queues: {jobs: {retry: rules/retry.lua}, done: {}}
            exchanges: {work: {topic_field: kind, routes: [{topic: "job.#", queue: jobs}]}}
            """, to: "pipeline.yaml")
        folder.write(
            """
            function retry(message, attempt, error)
              if error:find("hopeless", 1, true) then return nil end
              return 0.001
            end
            """, to: "rules/retry.lua")
        return folder
    }

    @Test func `handlers are Swift, and how long a message waits is said in Lua`() async throws {
        let folder = queues()
        let running = try Pipeline(folder: folder.path).start()
        let jobs = try running.queue("jobs")
        for name in ["good", "flaky", "hopeless"] {
            try await jobs.publish(NewMessage(encoding: Job(name: name, size: 1)))
        }
        let seen = Seen()
        let workers = Task {
            try await jobs.handle(concurrency: 2) { message in
                let job = try message.decode(Job.self)
                seen.add(job.name)
                if job.name == "hopeless" { throw QueueError(.other, "hopeless") }
                if job.name == "flaky", message.attempt < 3 { throw QueueError(.other, "busy") }
            }
        }
        let dead = try running.queue("jobs.dead")
        var letters: [Message] = []
        try await until {
            letters += try dead.receive()
            let left = running.metrics().queues.first { $0.name == "jobs" }
            return !letters.isEmpty && left?.counts.size == 0
        }
        workers.cancel()
        try await workers.value
        #expect(seen.all.sorted() == ["flaky", "flaky", "flaky", "good", "hopeless"])
        #expect(letters.map { $0.history?.reason } == ["given_up"])
        try await running.stop()
    }

    @Test func `what a pipeline writes into a queue is handled, and stop waits for the handler`()
        async throws
    {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {ingest: {}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, queue: jobs}]
            queues: {jobs: {}}
            commit: {every: 20ms}
            """, to: "pipeline.yaml")
        folder.write(Folder.doubled, to: "rules/shape.lua")
        let running = try Pipeline(folder: folder.path).start()
        let jobs = try running.queue("jobs")
        let (began, begun) = AsyncStream.makeStream(of: Void.self)
        let seen = Seen()
        let worker = Task {
            try await jobs.handle { message in
                begun.finish()
                try await ContinuousClock().sleep(for: .milliseconds(50))
                seen.add(String(decoding: message.payload, as: UTF8.self))
            }
        }
        try await running.ingest(["n": 4])
        for await _ in began {}
        try await running.stop()
        // It ends with the pipeline, and what it was at is settled.
        try await worker.value
        #expect(seen.all == ["{\"n\":4,\"twice\":8}"])
        let next = try Pipeline(folder: folder.path).start()
        #expect(next.metrics().queues.first?.counts.size == 0)
        try await next.stop()
    }

    @Test func `a handler that is cancelled gives its message back, uncounted`() async throws {
        let folder = queues()
        let running = try Pipeline(folder: folder.path).start()
        let jobs = try running.queue("jobs")
        try await jobs.publish("one")
        let (began, begun) = AsyncStream.makeStream(of: Void.self)
        let worker = Task {
            try await jobs.handle { _ in
                begun.finish()
                try await ContinuousClock().sleep(for: .seconds(3600))
            }
        }
        for await _ in began {}
        worker.cancel()
        try await worker.value
        let messages = try jobs.receive()
        #expect(messages.map(\.attempt) == [1])
        #expect(messages.first?.history == nil)
        try await running.stop()
    }

    @Test func `exchanges route, and a transaction is whole or nothing`() async throws {
        let folder = queues()
        let running = try Pipeline(folder: folder.path).start()
        let routed = NewMessage(Array("{\"kind\":\"job.new\"}".utf8))
        #expect(try await running.publish(routed, to: "work").count == 1)
        await #expect(throws: QueueError.self) {
            try await running.publish(NewMessage(Array("{}".utf8)), to: "work")
        }
        let (jobs, done) = (try running.queue("jobs"), try running.queue("done"))
        let message = try #require(try jobs.receive().first)
        let published = try await running.transaction { transaction in
            transaction.acknowledge(message, in: jobs)
            transaction.publish(NewMessage(message.payload), to: done)
        }
        #expect(published.count == 1)
        // The lease is over, so that nothing of this happens.
        let error = await #expect(throws: QueueError.self) {
            try await running.transaction { transaction in
                transaction.publish(NewMessage(Array("twice".utf8)), to: done)
                transaction.acknowledge(message, in: jobs)
            }
        }
        #expect(error?.code == .stale)
        let sizes = running.metrics().queues.map { "\($0.name) \($0.counts.size)" }
        #expect(sizes == ["done 1", "done.dead 0", "jobs 0", "jobs.dead 0"])
        try await running.stop()
    }

    @Test func `a run that keeps nothing has no queues`() async throws {
        let folder = Folder.doubling("queues: {jobs: {}}")
        let running = try Pipeline(folder: folder.path).start(fresh: true)
        let error = #expect(throws: QueueError.self) { _ = try running.queue("jobs") }
        #expect(error?.description.contains("keeps nothing") == true)
        await #expect(throws: PipelineError.self) { try await running.replay() }
        try await running.stop()
    }
}
