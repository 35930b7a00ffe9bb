import Synchronization
import TestKit
import Testing

import Tidewheel

@Suite struct QueueTests {
    private final class Seen: Sendable {
        let texts = Mutex<[String]>([])
        func add(_ text: String) -> Int {
            texts.withLock {
                $0.append(text); return $0.count
            }
        }
    }

    @Test(.timeLimit(.minutes(30)))
    func `handlers work on messages, several at once, and failures come again`() async throws {
        let folder = TemporaryFolder()
        var settings = QueueSettings("jobs")
        settings.retry.base = 1
        let store = try QueueStore(directory: folder("data"), queues: [settings])
        let jobs = try store.queue("jobs")
        for number in 0..<20 { try await jobs.publish("job \(number)") }
        let seen = Seen()
        let task = Task {
            try await jobs.handle(concurrency: 4) { message in
                let count = seen.add(String(decoding: message.payload, as: UTF8.self))
                if count == 3 { throw QueueError(.other, "once") }
            }
        }
        while try store.status().contains(where: { $0.name == "jobs" && $0.counts.size > 0 }) {
            try await ContinuousClock().sleep(for: .milliseconds(5))
        }
        task.cancel()
        _ = await task.result
        #expect(Set(seen.texts.withLock { $0 }).count == 20)
        #expect(seen.texts.withLock { $0 }.count == 21)
        try store.close()
    }

    @Test(.timeLimit(.minutes(30)))
    func `a handler that takes too long failed`() async throws {
        let folder = TemporaryFolder()
        var settings = QueueSettings("jobs")
        settings.maxAttempts = 1
        let store = try QueueStore(directory: folder("data"), queues: [settings])
        let jobs = try store.queue("jobs")
        try await jobs.publish("slow")
        let task = Task {
            try await jobs.handle(timeout: .milliseconds(20)) { _ in
                try await ContinuousClock().sleep(for: .seconds(60))
            }
        }
        let dead = try store.queue("jobs.dead")
        var found: [Message] = []
        while found.isEmpty {
            found = try dead.receive()
            try await ContinuousClock().sleep(for: .milliseconds(5))
        }
        task.cancel()
        _ = await task.result
        #expect(found.first?.history?.attempts.first?.reason == "timeout")
        try store.close()
    }
}

/// What a full queue does to those who publish from Swift.
@Suite struct FullQueueTests {
    private func store(_ folder: TemporaryFolder, _ overflow: Overflow) throws -> QueueStore {
        var settings = QueueSettings("jobs")
        settings.maxSize = 1
        settings.overflow = overflow
        return try QueueStore(directory: folder("data"), queues: [settings])
    }

    @Test(.timeLimit(.minutes(30)))
    func `a publisher waits for room, and goes on when there is some`() async throws {
        let folder = TemporaryFolder()
        let store = try store(folder, .block)
        let jobs = try store.queue("jobs")
        // Twenty at once, and room for one: nineteen must wait, whoever they are.
        let publishers = (0..<20).map { number in
            Task { try await jobs.publish("message \(number)") }
        }
        var seen: Set<String> = []
        while seen.count < 20 {
            guard let message = try jobs.receive().first else {
                try await ContinuousClock().sleep(for: .milliseconds(1))
                continue
            }
            seen.insert(String(decoding: message.payload, as: UTF8.self))
            #expect(try store.status().first { $0.name == "jobs" }?.counts.size == 1)
            try await jobs.acknowledge(message)
        }
        for publisher in publishers { _ = try await publisher.value }
        #expect(seen.count == 20)
        try store.close()
    }

    @Test(.timeLimit(.minutes(30)))
    func `a publisher that is cancelled gives up, and one that may not wait is refused`()
        async throws
    {
        let folder = TemporaryFolder()
        let store = try store(folder, .block)
        let jobs = try store.queue("jobs")
        try await jobs.publish("first")
        let waiting = Task { try await jobs.publish("second") }
        waiting.cancel()
        let outcome = await waiting.result
        #expect { try outcome.get() } throws: { ($0 as? QueueError)?.code == .full }
        try store.close()
        let other = TemporaryFolder()
        let refusing = try self.store(other, .reject)
        try await refusing.queue("jobs").publish("first")
        await #expect { try await refusing.queue("jobs").publish("second") } throws: {
            ($0 as? QueueError)?.code == .full
        }
        try refusing.close()
    }
}
