import Journal
import TestKit
import Testing

@testable import Queueing

/// What becomes of messages whose process died, in a store.
@Suite struct PoisonTests {
    @Test func `a message that is alone in three processes that die is poison`() throws {
        let bench = try Bench()
        try bench.publish("bad")
        try bench.publish("outside")
        for death in 1...3 {
            if death == 3 {
                // So long killings from outside may go on.
                bench.pass(PoisonTrial.lastWait - 1)
                #expect(try bench.receive(isOwned: true).isEmpty)
                bench.pass(1)
            }
            let taken = try bench.receive(isOwned: true)
            #expect(taken.map(\.text) == ["bad"] && taken.first?.attempt == 1)
            if death == 1 {
                #expect(try bench.receive(lease: 3_600_000).map(\.text) == ["outside"])
            }
            try bench.restart()
        }
        // Leases taken from outside live on.
        #expect(try bench.counts() == [0, 0, 1, 0])
        let dead = try #require(try bench.receive(from: "jobs.dead").first)
        #expect(dead.history?.reason == "poison")
        #expect(
            dead.history?.attempts.map(\.reason) == [
                "process_died", "process_died", "process_died",
            ])
        #expect(dead.history?.attempts.map(\.number) == [1, 1, 1])
    }

    @Test(arguments: [false, true])
    func `one poison among a thousand is found, and nobody else loses an attempt`(
        takesSnapshots: Bool
    ) throws {
        let bench = try Bench { $0.maxAttempts = 1 }
        for index in 1...1000 { try bench.publish("m\(index)") }
        let bad = "m617"
        var deaths = 0
        var done: Set<String> = []
        var steps = 0
        while try bench.counts().reduce(0, +) > 0, steps < 3_000 {
            steps += 1
            // As a pipeline takes them: batch by batch, settled together.
            var taken = try bench.receive(256, isOwned: true)
            for _ in 0..<3 { taken += try bench.receive(256, isOwned: true) }
            #expect(taken.allSatisfy { $0.attempt == 1 })
            if taken.contains(where: { $0.text == bad }) {
                deaths += 1
                if takesSnapshots {
                    let snapshot = try #require(bench.store.beginSnapshot())
                    try snapshot.finish()
                }
                try bench.restart()
            } else {
                for message in taken {
                    try bench.acknowledge(message)
                    done.insert(message.text)
                }
            }
            bench.pass(taken.isEmpty ? 10_000 : 10)
        }
        #expect(done.count == 999)
        #expect(deaths == 10 + 3)
        let dead = try bench.store.peek(try bench.store.queue("jobs.dead"))
        #expect(dead.map(\.text) == [bad] && dead.first?.history?.reason == "poison")
    }

    /// Three messages that were under way in a process that died: the first two come together.
    private func afterDeath() throws -> Bench {
        var settings = QueueSettings("jobs")
        settings.maxSize = 6
        settings.retry.jitter = 0
        settings.lease = 600_000
        var other = settings
        other.name = "other"
        let bench = try Bench([settings, other])
        for payload in ["1", "2", "3"] { try bench.publish(payload) }
        #expect(try bench.receive(9, isOwned: true).count == 3)
        try bench.publish("4")
        try bench.publish("else", to: "other")
        try bench.restart()
        return bench
    }

    @Test func `a group is alone in its process; who asks from outside gets what there is`() throws
    {
        let bench = try afterDeath()
        let first = try bench.receive(9, isOwned: true)
        #expect(first.map(\.text) == ["1", "2"])
        #expect(try bench.receive(9, isOwned: true).isEmpty)
        #expect(try bench.receive(9, from: "other", isOwned: true).isEmpty)
        #expect(try bench.receive(1, lease: 30_000).map(\.text) == ["3"])
        try bench.acknowledge(first[0])
        #expect(try bench.receive(9, from: "other", isOwned: true).isEmpty)
        try bench.fail(first[1])
        // The third one is outside; nobody is to be proved.
        let others = try bench.receive(9, isOwned: true)
        #expect(others.map(\.text) == ["4"])
        let other = try bench.receive(9, from: "other", isOwned: true)
        #expect(other.map(\.text) == ["else"])
        // What outside gave back is a suspect still, and waits until it can be alone.
        bench.pass(30_000)
        for message in others { try bench.acknowledge(message) }
        bench.pass(1_000)
        #expect(try bench.receive(9, isOwned: true).isEmpty)
        try bench.acknowledge(other[0])
        #expect(try bench.receive(9, isOwned: true).map(\.text) == ["3"])
    }

    @Test func `a full queue is emptied, whatever is to be proved`() throws {
        let bench = try afterDeath()
        #expect(try bench.receive(9, isOwned: true).map(\.text) == ["1", "2"])
        for payload in ["5", "6"] { try bench.publish(payload) }
        #expect(try bench.receive(9, isOwned: true).map(\.text) == ["4", "5", "6"])
    }

    @Test func `one transaction hands over a group or others, not both`() throws {
        let bench = try afterDeath()
        let store = bench.store
        let (taken, _) = try store.commit { (transaction) throws(QueueError) in
            let (jobs, other) = (try transaction.queue("jobs"), try transaction.queue("other"))
            let first = try transaction.receive(from: other, max: 9, isOwned: true)
            let second = try transaction.receive(from: jobs, max: 9, isOwned: true)
            return [first.count, second.count]
        }
        #expect(taken == [1, 0])
        try bench.restart()
        let (again, _) = try bench.store.commit { (transaction) throws(QueueError) in
            let (jobs, other) = (try transaction.queue("jobs"), try transaction.queue("other"))
            let first = try transaction.receive(from: jobs, max: 9, isOwned: true)
            let second = try transaction.receive(from: other, max: 9, isOwned: true)
            return [first.count, second.count]
        }
        #expect(again == [2, 0])
    }

    @Test func `what came back stands where it stood, in its key and in its line`() throws {
        for isOrderly in [true, false] {
            let bench = try Bench()
            for payload in ["1", "2", "3"] { try bench.publish(payload) { $0.orderingKey = "k" } }
            for payload in ["a", "b"] { try bench.publish(payload) }
            let taken = try bench.receive(2, isOwned: true)
            #expect(taken.map(\.text) == ["1", "a"])
            bench.pass(5)
            if isOrderly { try bench.store.close() }
            for _ in 0..<2 { try bench.restart() }
            var order: [String] = []
            while let message = try bench.receive(isOwned: true).first {
                order.append(message.text)
                #expect(message.attempt == 1)
                try bench.acknowledge(message)
            }
            #expect(order == ["1", "a", "b", "2", "3"])
        }
    }

    @Test func `a queue says how many deaths make poison`() throws {
        for (maxDeaths, durability) in [(1, QueueDurability.disk), (1, .memory), (5, .disk)] {
            var other = QueueSettings("other")
            other.durability = durability
            var settings = QueueSettings("jobs")
            settings.maxDeaths = maxDeaths
            let bench = try Bench([settings, other])
            try bench.publish("bad")
            var deaths = 0
            while deaths < 10, try bench.counts("jobs.dead")[0] == 0 {
                guard try !bench.receive(isOwned: true).isEmpty else {
                    bench.pass(1_000)
                    continue
                }
                deaths += 1
                try bench.restart()
            }
            // Messages in memory leave no lease: the first death may have been theirs.
            #expect(deaths == maxDeaths + (durability == .memory ? 1 : 0))
        }
    }
}
