import Journal
import TestKit
import Testing

@testable import Queueing

/// Keys whose dead ones went back, ids that were cancelled, receipts, and the engine's own queues.
@Suite struct OrderRuleTests {
    private func blocking() throws -> Bench {
        try Bench {
            $0.maxAttempts = 1
            $0.blocksKeyOfDead = true
        }
    }

    private func drain(_ bench: Bench) throws -> [String] {
        var order: [String] = []
        while let message = try bench.receive().first {
            order.append(message.text)
            try bench.acknowledge(message)
        }
        return order
    }

    @Test(arguments: [false, true])
    func `one that went back from the dead comes before the later ones of its key`(
        restarts: Bool
    ) throws {
        let bench = try blocking()
        for payload in ["1", "2", "3"] {
            try bench.publish(payload) { $0.orderingKey = "k" }
            bench.pass(1)
        }
        try bench.fail(try #require(try bench.receive().first))
        bench.pass(10)
        #expect(try bench.store.redrive(try bench.store.queue("jobs.dead")).moved == 1)
        if restarts { try bench.restart() }
        #expect(try drain(bench) == ["1", "2", "3"])
    }

    @Test(arguments: [false, true])
    func `one that died while it waited goes back before the later ones, too`(
        restarts: Bool
    ) throws {
        let bench = try blocking()
        for payload in ["1", "2", "3", "4"] {
            try bench.publish(payload) {
                $0.orderingKey = "k"
                $0.ttl = payload == "2" ? 50 : nil
            }
        }
        let first = try #require(try bench.receive().first)
        bench.pass(100)
        #expect(try bench.counts("jobs.dead") == [1, 0, 0, 0])
        try bench.acknowledge(first)
        // It is the turn of the third one, which nobody has.
        #expect(try bench.store.redrive(try bench.store.queue("jobs.dead")).moved == 1)
        if restarts { try bench.restart() }
        #expect(try drain(bench) == ["2", "3", "4"])
    }

    @Test func `several that went back come in the order in which they were published`() throws {
        let bench = try blocking()
        for payload in ["1", "2", "3", "4"] {
            try bench.publish(payload) {
                $0.orderingKey = "k"
                $0.ttl = payload == "2" ? 50 : nil
            }
        }
        let first = try #require(try bench.receive().first)
        bench.pass(100)
        _ = try bench.counts()
        try bench.acknowledge(first)
        try bench.fail(try #require(try bench.receive().first))
        // The second is dead and holds nothing back; the third is dead and holds the fourth.
        #expect(try bench.receive().isEmpty)
        #expect(try bench.store.redrive(try bench.store.queue("jobs.dead")).moved == 2)
        #expect(try drain(bench) == ["2", "3", "4"])
    }

    @Test func `an id that was cancelled may be published again at once, others may not`() throws {
        let bench = try Bench { $0.deduplicate = 600_000 }
        for id in ["x", "y"] { try bench.publish("first \(id)") { $0.id = id } }
        let jobs = try bench.store.queue("jobs")
        let (isGone, _) = try bench.store.commit { (transaction) throws(QueueError) in
            let isGone = try transaction.cancel("x", in: jobs)
            // In the same transaction, too.
            var message = NewMessage(Array("second x".utf8))
            message.id = "x"
            #expect(try !transaction.publish(message, to: jobs).isDuplicate)
            return isGone
        }
        #expect(isGone)
        #expect(try bench.publish("third x") { $0.id = "x" }.isDuplicate)
        #expect(try bench.publish("second y") { $0.id = "y" }.isDuplicate)
        _ = try bench.store.commit { (transaction) throws(QueueError) in
            try transaction.cancel("y", in: jobs)
        }
        try #require(bench.store.beginSnapshot()).finish()
        try bench.restart()
        #expect(try bench.publish("third x") { $0.id = "x" }.isDuplicate)
        #expect(try !bench.publish("second y") { $0.id = "y" }.isDuplicate)
        try bench.restart()
        #expect(try bench.publish("third y") { $0.id = "y" }.isDuplicate)
        #expect(Set(try bench.payloads(9)) == ["second x", "second y"])
    }

    @Test func `a receipt has one spelling only`() throws {
        let receipt = Receipt(number: 46_655, attempt: 7, token: 1_295)
        #expect(receipt.description == "zzz-7-zz" && Receipt("zzz-7-zz") == receipt)
        for text in [
            "ZZZ-7-zz", "zzz-07-zz", "0zzz-7-zz", "+zzz-7-zz", "zzz-+7-zz", "zzz-7-Zz", "zzz-7-zz-",
            " zzz-7-zz", "zzz-7", "",
        ] { #expect(Receipt(text) == nil, "\(text)") }
    }

    @Test func `nobody but the engine changes the engine's own queues`() throws {
        let bench = try Bench([QueueSettings("jobs"), .audit])
        let (jobs, audit) = (try bench.store.queue("jobs"), try bench.store.queue(".audit"))
        _ = try bench.store.commit { $0.note(Array("act".utf8), in: .audit) }
        func refused(_ body: (inout Transaction) throws(QueueError) -> Void) {
            #expect { try bench.store.commit(nil, body) } throws: { error in
                "\(error)".contains("the engine's")
            }
        }
        refused { (transaction) throws(QueueError) in
            try transaction.publish(NewMessage([1]), to: audit)
        }
        refused { (transaction) throws(QueueError) in
            try transaction.publish(NewMessage([1]), to: [jobs, audit])
        }
        refused { (transaction) throws(QueueError) in _ = try transaction.purge(audit) }
        refused { (transaction) throws(QueueError) in
            try transaction.pause(audit, consume: true, publish: nil)
        }
        refused { (transaction) throws(QueueError) in _ = try transaction.cancel("1", in: audit) }
        refused { (transaction) throws(QueueError) in
            _ = try transaction.receive(from: audit, max: 1)
        }
        refused { (transaction) throws(QueueError) in
            _ = try transaction.redrive(jobs, to: audit)
        }
        #expect(try bench.store.peek(audit).map(\.text) == ["act"])
        #expect(try bench.counts() == [0, 0, 0, 0])
        let own = try bench.store.engineQueue(".audit")
        _ = try bench.store.commit { (transaction) throws(QueueError) in
            try transaction.publish(NewMessage([2]), to: own)
        }
        #expect(try bench.counts(".audit") == [2, 0, 0, 0])
    }
}
