import Journal
import Synchronization
import TestKit
import Testing

@testable import Queueing

/// Milliseconds that pass when the test says so.
final class ManualTime: Sendable {
    private let now = Atomic<Int64>(1_000_000)
    var microseconds: Int64 { now.load(ordering: .relaxed) * 1000 }
    func pass(_ milliseconds: Int64) { now.add(milliseconds, ordering: .relaxed) }
}

/// A store on a disk in memory whose time the test sets.
final class Bench {
    let time: ManualTime
    var disk: FaultyDisk
    var store: Store<FaultyDisk>
    let queues: [QueueSettings]
    var foreign: [String] = []

    init(
        _ queues: [QueueSettings], disk: FaultyDisk = FaultyDisk(),
        time: ManualTime = ManualTime()
    ) throws {
        self.time = time
        self.disk = disk
        self.queues = queues
        var random = SeededRandom(seed: 7)
        let time = time
        store = try Store(
            opening: "store", on: disk,
            settings: LogSettings(segmentSize: 1 << 20, prewriteSize: 4096), queues: queues,
            random: &random, clock: { time.microseconds })
    }

    convenience init(_ change: (inout QueueSettings) -> Void = { _ in }) throws {
        var settings = QueueSettings("jobs")
        settings.retry.jitter = 0
        change(&settings)
        try self.init([settings])
    }

    /// The next start after the process died.
    func restart() throws {
        _ = store.appendedSequence
        try store.waitUntilWritten(store.appendedSequence)
        disk = disk.afterProcessDeath()
        var random = SeededRandom(seed: 8)
        let time = time
        var found: [String] = []
        store = try Store(
            opening: "store", on: disk,
            settings: LogSettings(segmentSize: 1 << 20, prewriteSize: 4096), queues: queues,
            random: &random, clock: { time.microseconds }
        ) { (kind, bytes) throws(JournalError) in
            found.append("\(kind):" + bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
        }
        foreign = found
    }

    func pass(_ milliseconds: Int64) { time.pass(milliseconds) }

    @discardableResult
    func publish(
        _ payload: String, to queue: String = "jobs",
        _ change: (inout NewMessage) -> Void = { _ in }
    ) throws -> Published {
        var message = NewMessage(Array(payload.utf8))
        change(&message)
        return try store.publish(message, to: try store.queue(queue))
    }

    func receive(
        _ count: Int = 1, from queue: String = "jobs", lease: Int64? = nil, isOwned: Bool = false
    ) throws -> [Message] {
        try store.receive(
            from: try store.queue(queue), max: count, lease: lease, isOwned: isOwned)
    }

    func publishAndReceive(_ payload: String) throws -> Message {
        try publish(payload)
        return try #require(try receive().first)
    }

    func payloads(_ count: Int = 1, from queue: String = "jobs") throws -> [String] {
        try receive(count, from: queue).map(\.text)
    }

    func counts(_ queue: String = "jobs") throws -> [Int] {
        let counts = try #require(try store.status(of: try store.queue(queue))).counts
        return [counts.ready, counts.scheduled, counts.leased, counts.retrying]
    }

    func settle(
        _ message: Message, _ body: (inout Transaction, Receipt) throws(QueueError) -> Void
    ) throws {
        let receipt = try #require(message.receipt)
        _ = try store.commit { (transaction) throws(QueueError) in try body(&transaction, receipt) }
    }

    func acknowledge(_ message: Message) throws {
        try settle(message) { (transaction, receipt) throws(QueueError) in
            try transaction.acknowledge([receipt])
        }
    }

    func fail(_ message: Message, delay: Int64? = nil, error: String = "") throws {
        try settle(message) { (transaction, receipt) throws(QueueError) in
            try transaction.fail(receipt, delay: delay, DeliveryFailure(error: error))
        }
    }
}

extension Message {
    var text: String { String(decoding: payload, as: UTF8.self) }
}

@Suite struct StoreTests {
    @Test func `messages come by priority, first in first out within one`() throws {
        let bench = try Bench()
        for (index, priority) in [4, 9, 4, 0, 9].enumerated() {
            try bench.publish("m\(index)") { $0.priority = UInt8(priority) }
        }
        #expect(try bench.payloads(3) == ["m1", "m4", "m0"])
        #expect(try bench.payloads(3) == ["m2", "m3"])
        #expect(try bench.counts() == [0, 0, 5, 0])
    }

    @Test func `what was acknowledged is gone, after a restart too`() throws {
        let bench = try Bench()
        for index in 0..<4 { try bench.publish("m\(index)") }
        let taken = try bench.receive(2)
        try bench.acknowledge(taken[0])
        try bench.restart()
        #expect(try bench.counts() == [2, 0, 1, 0])
        #expect(try bench.payloads(9) == ["m2", "m3"])
        try bench.acknowledge(taken[1])
        #expect(throws: QueueError.self) { try bench.acknowledge(taken[1]) }
        #expect(try bench.counts() == [0, 0, 2, 0])
    }

    @Test func `a failed message waits longer each time, then is dead with its history`() throws {
        let bench = try Bench { $0.maxAttempts = 3 }
        try bench.publish("job") { $0.id = "a" }
        for attempt in 1...3 {
            let message = try #require(try bench.receive().first)
            #expect(message.attempt == attempt)
            bench.pass(5)
            try bench.fail(message, error: "boom \(attempt)")
            try bench.restart()
            if attempt < 3 {
                #expect(try bench.counts() == [0, 0, 0, 1])
                bench.pass(Int64(1000 << (attempt - 1)) - 1)
                #expect(try bench.receive().isEmpty)
                bench.pass(1)
            }
        }
        #expect(try bench.counts() == [0, 0, 0, 0])
        let dead = try #require(try bench.receive(from: "jobs.dead").first)
        #expect(dead.id == "a" && dead.text == "job" && dead.attempt == 1)
        #expect(dead.history?.reason == "max_attempts")
        #expect(dead.history?.sourceQueue == "jobs")
        #expect(dead.history?.attempts.map(\.error) == ["boom 1", "boom 2", "boom 3"])
        #expect(dead.history?.attempts.map { $0.endedAt - $0.startedAt } == [5, 5, 5])
    }

    @Test func `delayed messages come when their time has come, not before`() throws {
        let bench = try Bench()
        try bench.publish("late") { $0.delay = 70_000 }
        try bench.publish("soon") { $0.delay = 10 }
        try bench.publish("now")
        #expect(try bench.counts() == [1, 2, 0, 0])
        bench.pass(9)
        #expect(try bench.receive(9, lease: 100_000).map(\.text) == ["now"])
        bench.pass(1)
        try bench.restart()
        #expect(try bench.receive(9, lease: 100_000).map(\.text) == ["soon"])
        bench.pass(69_989)
        #expect(try bench.payloads(9) == [])
        bench.pass(1)
        #expect(try bench.payloads(9) == ["late"])
    }

    @Test func `a lease that ran out is a failed delivery`() throws {
        let bench = try Bench { $0.maxAttempts = 1 }
        try bench.publish("job")
        let message = try #require(try bench.receive(lease: 100).first)
        bench.pass(99)
        #expect(try bench.counts() == [0, 0, 1, 0])
        bench.pass(1)
        #expect(try bench.counts() == [0, 0, 0, 0])
        #expect(throws: QueueError.self) { try bench.acknowledge(message) }
        let dead = try #require(try bench.receive(from: "jobs.dead").first)
        #expect(dead.history?.attempts.map(\.reason) == ["lease_expired"])
    }

    @Test func `foreign entries come back, from snapshots and frames`() throws {
        let bench = try Bench()
        _ = try bench.store.commit { (transaction) throws(QueueError) in
            transaction.add(kind: 64, Array("one".utf8))
            try transaction.publish(NewMessage([1]), to: try transaction.queue("jobs"))
        }
        try bench.restart()
        #expect(bench.foreign == ["64:one"] && bench.store.hasForeignEntries)
        let snapshot = try #require(bench.store.beginSnapshot())
        #expect(bench.store.beginSnapshot() == nil)
        try snapshot.add(kind: 64, Array("state".utf8))
        _ = try snapshot.writeSlice()
        let taken = try bench.receive()
        try bench.publish("two")
        try snapshot.finish()
        try bench.acknowledge(taken[0])
        _ = try bench.store.commit { (transaction) throws(QueueError) in
            transaction.add(kind: 65, Array("after".utf8))
        }
        try bench.restart()
        #expect(bench.foreign == ["64:state", "65:after"])
        #expect(try bench.counts() == [1, 0, 0, 0])
    }

    @Test func `a transaction that throws changes nothing`() throws {
        let bench = try Bench { $0.maxSize = 3 }
        try bench.publish("m0")
        let before = bench.store.appendedSequence
        #expect(throws: QueueError.self) {
            try bench.store.commit { (transaction) throws(QueueError) in
                let queue = try transaction.queue("jobs")
                for leased in try transaction.receive(from: queue, max: 5) {
                    #expect(leased.number == 1)
                }
                for _ in 0..<3 { try transaction.publish(NewMessage([7]), to: queue) }
            }
        }
        #expect(bench.store.appendedSequence == before)
        #expect(try bench.counts() == [1, 0, 0, 0])
        #expect(try bench.payloads(5) == ["m0"])
    }
}
