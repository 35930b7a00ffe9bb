import Journal
import TestKit
import Testing

@testable import Queueing

/// Counts of a queue are those of its store's life.
@Suite struct TotalsTests {
    private func totals(_ bench: Bench, _ queue: String = "jobs") throws -> QueueTotals {
        try #require(try bench.store.status(of: try bench.store.queue(queue))).totals
    }

    /// Something of everything that is counted.
    private func use(_ bench: Bench) throws {
        for payload in ["a", "b", "c"] { try bench.publish(payload) }
        #expect(try bench.publish("d") { $0.id = "x" }.isDuplicate == false)
        #expect(try bench.publish("d") { $0.id = "x" }.isDuplicate)
        #expect(throws: QueueError.self) { try bench.publish("full") }
        let taken = try bench.receive(4)
        try bench.acknowledge(taken[0])
        #expect(throws: QueueError.self) {
            try bench.store.acknowledge(
                taken.prefix(1).compactMap(\.receipt), in: try bench.store.queue("jobs"))
        }
        try bench.fail(taken[1], delay: 1_000)
        try bench.settle(taken[2]) { (transaction, receipt) throws(QueueError) in
            try transaction.reject(receipt)
        }
        bench.pass(30_000)
        for message in try bench.receive(9) { try bench.acknowledge(message) }
        bench.pass(2_000)
        for message in try bench.receive(9) { try bench.acknowledge(message) }
        #expect(try bench.store.redrive(try bench.store.queue("jobs.dead")).moved == 1)
        for message in try bench.receive(9) { try bench.acknowledge(message) }
    }

    private func check(_ totals: QueueTotals, times: Int) {
        #expect(totals.published == 4 * times)
        #expect(totals.delivered == 7 * times)
        #expect(totals.redelivered == 2 * times)
        #expect(totals.acknowledged == 4 * times)
        #expect(totals.failed == 3 * times)
        #expect(totals.leasesExpired == 1 * times)
        #expect(totals.dead == 1 * times)
        #expect(totals.deduplicated == 1 * times)
        #expect(totals.refused == 1 * times)
        #expect(totals.stale == 1 * times)
        #expect(totals.redriven == 1 * times)
    }

    private func settings() -> QueueSettings {
        var settings = QueueSettings("jobs")
        settings.retry.jitter = 0
        settings.maxSize = 4
        settings.deduplicate = 10_000
        return settings
    }

    @Test func `counts go on over restarts and snapshots, from the store's begin`() throws {
        let bench = try Bench([settings()])
        let begin = bench.time.microseconds / 1000
        for times in 1...6 {
            try use(bench)
            check(try totals(bench), times: times)
            if times % 2 == 0 {
                let snapshot = try #require(bench.store.beginSnapshot())
                // What happens while it is written is in the frames that follow it.
                _ = try snapshot.writeSlice()
                let message = try bench.publishAndReceive("meanwhile")
                try bench.acknowledge(message)
                try snapshot.finish()
                let before = try totals(bench)
                bench.pass(20_000)
                try bench.restart()
                #expect(try totals(bench) == before)
                return
            }
            bench.pass(20_000)
            try bench.restart()
            check(try totals(bench), times: times)
            #expect(try totals(bench).since == begin)
        }
    }

    @Test func `what did not happen is not counted`() throws {
        let bench = try Bench([settings()])
        let jobs = try bench.store.queue("jobs")
        #expect(throws: QueueError.self) {
            try bench.store.commit { (transaction) throws(QueueError) in
                try transaction.publish(NewMessage([1]), to: jobs)
                throw QueueError(.other, "no")
            }
        }
        #expect(try totals(bench).published == 0)
        try bench.publish("a")
        #expect(try totals(bench).published == 1)
    }

    @Test func `a queue in memory counts from the opening on, and writes nothing`() throws {
        var settings = settings()
        settings.durability = .memory
        let bench = try Bench([settings, QueueSettings("other")])
        try bench.acknowledge(try bench.publishAndReceive("a"))
        #expect(bench.store.appendedSequence == 0)
        #expect(try totals(bench).published == 1)
        try bench.publish("b", to: "other")
        bench.pass(1_000)
        try bench.restart()
        #expect(try totals(bench).published == 0)
        #expect(try totals(bench).since == bench.time.microseconds / 1000)
        #expect(try totals(bench, "other").published == 1)
        #expect(try totals(bench, "other").since == bench.time.microseconds / 1000 - 1_000)
        // Nothing ever happened to it.
        #expect(
            try totals(bench, "other.dead").since == bench.time.microseconds / 1000 - 1_000)
    }
}
