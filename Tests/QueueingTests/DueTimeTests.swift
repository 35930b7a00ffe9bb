import Journal
import TestKit
import Testing

@testable import Queueing

/// Events happen when they were due, whenever they are noticed; and clocks that jump hide nothing.
@Suite struct DueTimeTests {
    private func now(_ bench: Bench) -> Int64 { bench.time.microseconds / 1000 }

    @Test(arguments: [false, true])
    func `a lease ended when it ended, and its retry waits from then on`(restarts: Bool) throws {
        let bench = try Bench { $0.retry.base = 4_000 }
        try bench.publish("job")
        let start = now(bench)
        _ = try bench.receive(lease: 100)
        // Noticed five seconds late.
        bench.pass(5_100)
        if restarts { try bench.restart() }
        let again = try #require(try bench.receive().first)
        let attempt = try #require(again.history?.attempts.first)
        #expect(attempt.startedAt == start && attempt.endedAt == start + 100)
        #expect(again.attempt == 2)
        // Noticed before its retry was due.
        try bench.acknowledge(again)
        try bench.publish("other")
        _ = try bench.receive(lease: 100)
        bench.pass(4_000)
        #expect(try bench.receive().isEmpty)
        bench.pass(100)
        #expect(try bench.payloads() == ["other"])
    }

    @Test func `the dead died when they were due`() throws {
        let bench = try Bench { $0.maxAttempts = 1 }
        let start = now(bench)
        try bench.publish("expired") { $0.ttl = 50 }
        try bench.publish("expired while it waited") {
            $0.ttl = 60; $0.delay = 1_000
        }
        try bench.publish("leased") {
            $0.ttl = 70; $0.priority = 9
        }
        _ = try bench.receive(lease: 200)
        bench.pass(9_000)
        let dead = try bench.store.peek(try bench.store.queue("jobs.dead"))
        #expect(try bench.counts() == [0, 0, 0, 0])
        let deaths = Dictionary(uniqueKeysWithValues: dead.map { ($0.text, $0.history?.deadAt) })
        #expect(deaths["expired"] == start + 50)
        #expect(deaths["expired while it waited"] == start + 60)
        #expect(deaths["leased"] == start + 200)
    }

    @Test func `what came due meanwhile comes in the order in which it was due`() throws {
        let bench = try Bench()
        for (payload, delay) in [("c", 300), ("a", 100), ("b", 200)] as [(String, Int64)] {
            try bench.publish(payload) { $0.delay = delay }
        }
        bench.pass(10_000)
        #expect(try bench.payloads(9) == ["a", "b", "c"])
    }

    @Test(arguments: [false, true])
    func `a clock that jumped ahead and back hides nothing longer than was meant`(
        restarts: Bool
    ) throws {
        let bench = try Bench { $0.retry.base = 4_000 }
        try bench.publish("leased")
        try bench.publish("failed")
        try bench.publish("delayed") { $0.delay = 5_000 }
        bench.pass(3_600_000)
        let held = try bench.receive(3, lease: 3_000)
        #expect(held.count == 3)
        try bench.settle(held[2]) { (transaction, receipt) throws(QueueError) in
            try transaction.snooze(receipt, delay: 5_000)
        }
        try bench.fail(held[1])
        try bench.publish("late") { $0.delay = 6_000 }
        bench.pass(-3_600_000)
        if restarts { try bench.restart() }
        #expect(try bench.receive(9).isEmpty)
        bench.pass(2_999)
        #expect(try bench.counts() == [0, 2, 1, 1])
        bench.pass(1)
        #expect(try bench.counts() == [0, 2, 0, 2])
        bench.pass(1_000)
        #expect(try bench.payloads(9) == ["failed"])
        bench.pass(1_000)
        #expect(try bench.payloads(9) == ["delayed"])
        bench.pass(2_000)
        #expect(try bench.payloads(9) == ["leased", "late"])
    }

    @Test func `a time that somebody gave stays, whatever the clock does`() throws {
        let bench = try Bench()
        let at = bench.time.microseconds + 7_200_000_000
        bench.pass(3_600_000)
        try bench.publish("at") { $0.at = at }
        bench.pass(-3_600_000)
        #expect(try bench.counts() == [0, 1, 0, 0])
        bench.pass(7_199_999)
        #expect(try bench.receive().isEmpty)
        bench.pass(1)
        #expect(try bench.payloads() == ["at"])
    }
}
