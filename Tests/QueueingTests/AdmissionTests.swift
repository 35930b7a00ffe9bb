import Journal
import TestKit
import Testing

@testable import Queueing

/// Messages that replace others, that are delivered at most once, and keys that the dead hold.
@Suite struct AdmissionTests {
    @Test(arguments: [QueueDurability.disk, .memory])
    func `a scheduled message gives way to a later one of its id`(
        durability: QueueDurability
    ) throws {
        let bench = try Bench {
            $0.deduplicate = 600_000
            $0.onDuplicate = .replaceIfScheduled
            $0.durability = durability
            $0.maxSize = 1
        }
        let first = try bench.publish("old") {
            $0.id = "x"; $0.delay = 1_000
        }
        bench.pass(900)
        let second = try bench.publish("new and longer") {
            $0.id = "x"; $0.delay = 1_000
        }
        #expect(second.isDuplicate && second.isReplacement && second.id == first.id)
        #expect(try bench.counts() == [0, 1, 0, 0])
        if durability == .disk { try bench.restart() }
        bench.pass(999)
        #expect(try bench.receive().isEmpty)
        bench.pass(1)
        // Once it may be received, it is there, and stays.
        let third = try bench.publish("too late") {
            $0.id = "x"; $0.delay = 1_000
        }
        #expect(third.isDuplicate && !third.isReplacement)
        let message = try #require(try bench.receive().first)
        #expect(message.text == "new and longer" && message.id == "x")
        try bench.acknowledge(message)
        #expect(try bench.counts() == [0, 0, 0, 0])
        #expect(try bench.publish("again") { $0.id = "x" }.isDuplicate)
        bench.pass(600_001)
        #expect(try !bench.publish("again") { $0.id = "x" }.isDuplicate)
    }

    @Test func `one message may be delivered at most once in a queue that says otherwise`() throws {
        let bench = try Bench()
        try bench.publish("usual")
        try bench.publish("fleeting") { $0.delivery = .atMostOnce }
        try bench.publish("usual too")
        try bench.publish("expired") {
            $0.delivery = .atMostOnce; $0.ttl = 5; $0.delay = 10
        }
        try bench.restart()
        let messages = try bench.receive(9)
        #expect(messages.map(\.text) == ["usual", "fleeting", "usual too"])
        #expect(messages.map { $0.receipt == nil } == [false, true, false])
        #expect(messages.map { $0.until == nil } == [false, true, false])
        #expect(bench.store.durableSequence == bench.store.appendedSequence)
        #expect(try bench.counts() == [0, 1, 2, 0])
        try bench.restart()
        #expect(try bench.counts() == [0, 1, 2, 0])
        // A dead one is there to be looked at, so that it is leased like others.
        bench.pass(20)
        let dead = try #require(try bench.receive(from: "jobs.dead").first)
        #expect(dead.text == "expired" && dead.receipt != nil)
    }

    private func keyed(_ change: (inout QueueSettings) -> Void = { _ in }) throws -> Bench {
        let bench = try Bench {
            $0.maxAttempts = 1
            $0.blocksKeyOfDead = true
            change(&$0)
        }
        for payload in ["1", "2", "3"] { try bench.publish(payload) { $0.orderingKey = "k" } }
        try bench.publish("other") { $0.orderingKey = "l" }
        try bench.fail(try #require(try bench.receive().first))
        return bench
    }

    @Test func `a dead message keeps its key until it is redriven, over restarts`() throws {
        let bench = try keyed()
        let other = try #require(try bench.receive(9).first)
        #expect(other.text == "other")
        try bench.acknowledge(other)
        #expect(try bench.receive(9).isEmpty)
        try bench.restart()
        #expect(try bench.receive(9).isEmpty)
        #expect(try bench.counts() == [2, 0, 0, 0])
        #expect(try bench.store.redrive(try bench.store.queue("jobs.dead")).moved == 1)
        // It is the head of its key again, in its old place.
        for payload in ["1", "2", "3"] {
            let messages = try bench.receive(9)
            #expect(messages.map(\.text) == [payload])
            try bench.acknowledge(try #require(messages.first))
        }
    }

    @Test(arguments: ["ack", "purge", "drop"])
    func `a dead message that is done with lets its key go`(way: String) throws {
        let bench = try keyed()
        let dead = try bench.store.queue("jobs.dead")
        var options = RedriveOptions()
        switch way {
        case "ack": try bench.acknowledge(try #require(try bench.receive(from: "jobs.dead").first))
        case "purge":
            _ = try bench.store.commit { (transaction) throws(QueueError) in
                try transaction.purge(dead)
            }
        default:
            options.choose = { (_) throws(QueueError) in .drop }
            _ = try bench.store.redrive(dead, options)
        }
        #expect(Set(try bench.receive(9).map(\.text)) == ["other", "2"])
    }

    @Test func `without the setting the next one goes on`() throws {
        let bench = try keyed { $0.blocksKeyOfDead = false }
        #expect(Set(try bench.receive(9).map(\.text)) == ["2", "other"])
    }

    @Test func `a delivered message keeps its place in its key over a restart`() throws {
        let bench = try Bench { $0.retry.base = 1_000 }
        for payload in ["1", "2"] { try bench.publish(payload) { $0.orderingKey = "k" } }
        try bench.fail(try #require(try bench.receive().first))
        try bench.restart()
        bench.pass(5_000)
        try bench.restart()
        #expect(try bench.receive(9).map(\.text) == ["1"])
    }
}
