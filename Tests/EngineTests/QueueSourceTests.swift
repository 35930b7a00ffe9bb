import Connecting
import Journal
import Queueing
import Records
import TestKit
import Testing

@testable import Engine

/// What every source has to hold, held by queues: what is acknowledged does not come again.
@Suite(.timeLimit(.minutes(30))) struct QueueSourceTests {
    private final class Runs: SourceRuns {
        private let folder = TemporaryFolder()
        private var store: Store<SystemDisk>?
        private var source: QueueSource?

        init(_ texts: [String]) throws {
            let store = try open()
            let queue = try store.queue("jobs")
            _ = try store.commit { (transaction) throws(QueueError) in
                for text in texts {
                    try transaction.publish(NewMessage(Array(text.utf8)), to: queue)
                }
            }
            try store.close()
        }

        private func open() throws -> Store<SystemDisk> {
            var random = SeededRandom(seed: 3)
            return try Store(
                opening: folder("data"), on: SystemDisk(), queues: [QueueSettings("jobs")],
                random: &random)
        }

        func begin() throws {
            source = nil
            try store?.close()
            // Its lock ends with it.
            store = nil
            let store = try open()
            let context = RunContext(
                folder: folder.path, once: true, inputs: [], recordLimit: 1000,
                sourceName: "source")
            source = try QueueSource("jobs", store, context)
            self.store = store
        }

        func read(
            into batch: Batch, limit: ReadLimit, milliseconds: Int
        ) throws -> SourceOutcome {
            guard let source else { return .end }
            let outcome = try source.read(into: batch, limit: limit, milliseconds: milliseconds)
            // A queue ends when all of it is acknowledged, which is up to whoever reads it.
            if outcome == .nothingYet { return .end }
            return outcome
        }

        func commit(before next: RecordPlace?) throws -> Bool {
            var draft = CommitDraft()
            source?.addEntries(before: next, to: &draft)
            guard let store, !draft.receipts.isEmpty else { return false }
            _ = try store.commit { (transaction) throws(QueueError) in
                for (queue, receipts) in draft.receipts {
                    try transaction.acknowledge(receipts, in: queue)
                }
            }
            return true
        }
    }

    @Test func `messages of a queue`() {
        let texts = (0..<11).map { "{\"n\":\($0),\"x\":\"\(String(repeating: "é", count: $0))\"}" }
        let limits = [
            ReadLimit(bytes: 64 << 10), ReadLimit(bytes: 1), ReadLimit(bytes: 64 << 10, records: 3),
        ]
        // What was leased and not acknowledged goes back to the end of its line.
        let found = SourceSuite(expecting: texts, burst: 3, keepsOrder: false, limits: limits) {
            try Runs(texts)
        }.violations()
        #expect(found.isEmpty, "\(found.prefix(5).joined(separator: "\n"))")
    }

    @Test func `large messages are not leased many at once`() throws {
        let texts = (0..<40).map { _ in "{\"x\":\"\(String(repeating: "y", count: 100_000))\"}" }
        let runs = try Runs(texts)
        try runs.begin()
        let batch = Batch()
        var most = 0
        var count = 0
        while try runs.read(into: batch, limit: ReadLimit(bytes: 256 << 10), milliseconds: 1)
            == .records
        {
            most = max(most, batch.bytes.count)
            count += batch.entries.count
            batch.removeAll()
        }
        #expect(count == 40)
        #expect(most <= 16 * 100_100, "\(most)")
    }
}
