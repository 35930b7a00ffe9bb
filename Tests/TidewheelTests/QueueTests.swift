import Synchronization
import TestKit
import Testing

@testable import Tidewheel

@Suite struct QueueTests {
    private final class Seen: Sendable {
        let texts = Mutex<[String]>([])
        func add(_ text: String) -> Int {
            texts.withLock {
                $0.append(text); return $0.count
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
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

    @Test(.timeLimit(.minutes(1)))
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
