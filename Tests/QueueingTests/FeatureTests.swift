import Journal
import TestKit
import Testing

@testable import Queueing

@Suite struct FeatureTests {
    @Test func `an ordering key is delivered one at a time, in order, over restarts`() throws {
        let bench = try Bench()
        for (index, key) in ["a", "a", "b", "a"].enumerated() {
            try bench.publish("m\(index)") { $0.orderingKey = key }
        }
        let first = try bench.receive(9)
        #expect(first.map(\.text) == ["m0", "m2"])
        #expect(try bench.counts() == [2, 0, 2, 0])
        try bench.fail(first[0])
        // A retry keeps its key back, and only its key.
        #expect(try bench.receive(9).isEmpty)
        try bench.restart()
        #expect(try bench.receive(9).isEmpty)
        bench.pass(1000)
        let again = try bench.receive(9)
        #expect(again.map(\.text) == ["m0"])
        try bench.acknowledge(again[0])
        #expect(try bench.payloads(9) == ["m1"])
    }

    @Test func `a dead message lets the next one of its key go`() throws {
        let bench = try Bench { $0.maxAttempts = 1 }
        for index in 0..<2 { try bench.publish("m\(index)") { $0.orderingKey = "a" } }
        try bench.fail(try #require(try bench.receive().first))
        #expect(try bench.payloads(9) == ["m1"])
        #expect(try bench.payloads(9, from: "jobs.dead") == ["m0"])
    }

    @Test func `a full queue refuses, or lets the oldest go`() throws {
        let bench = try Bench { $0.maxSize = 2 }
        try bench.publish("m0")
        try bench.publish("m1") { $0.delay = 1000 }
        #expect { try bench.publish("m2") } throws: { "\($0)".contains("full") }
        let other = try Bench {
            $0.maxSize = 2
            $0.overflow = .dropOldest
        }
        for index in 0..<3 { try other.publish("m\(index)") }
        #expect(try other.payloads(9) == ["m1", "m2"])
        let dead = try #require(try other.receive(from: "jobs.dead").first)
        #expect(dead.text == "m0" && dead.history?.reason == "overflow")
    }

    @Test func `an id is known for its window, after the ack and a restart`() throws {
        let bench = try Bench { $0.deduplicate = 1000 }
        let first = try bench.publish("m0") { $0.id = "x" }
        try bench.acknowledge(try #require(try bench.receive().first))
        try bench.restart()
        let second = try bench.publish("m1") { $0.id = "x" }
        #expect(second.isDuplicate && second.id == "x" && second.number == first.number)
        #expect(try bench.counts() == [0, 0, 0, 0])
        bench.pass(1000)
        #expect(try !bench.publish("m2") { $0.id = "x" }.isDuplicate)
    }

    @Test func `pause and resume hold over restarts`() throws {
        let bench = try Bench()
        try bench.publish("m0")
        func pause(consume: Bool? = nil, publish: Bool? = nil) throws {
            _ = try bench.store.commit { (transaction) throws(QueueError) in
                try transaction.pause(
                    try transaction.queue("jobs"), consume: consume, publish: publish)
            }
        }
        try pause(consume: true)
        try bench.restart()
        #expect(try bench.receive().isEmpty)
        try bench.publish("m1")
        try pause(consume: false, publish: true)
        #expect(try bench.payloads(9) == ["m0", "m1"])
        #expect { try bench.publish("m2") } throws: { "\($0)".contains("paused") }
    }

    @Test func `a process that ends in order gives its messages back, uncounted`() throws {
        let bench = try Bench()
        try bench.publish("m0")
        #expect(try bench.receive(isOwned: true).first?.attempt == 1)
        try bench.store.close()
        let disk = bench.disk.afterProcessDeath()
        let next = try Bench(bench.queues, disk: disk)
        next.pass(1)
        let message = try #require(try next.receive().first)
        #expect(message.attempt == 1 && message.history == nil)
    }

    @Test func `at most once is gone before it is handed over`() throws {
        let bench = try Bench { $0.delivery = .atMostOnce }
        try bench.publish("m0")
        let message = try #require(try bench.receive().first)
        #expect(bench.store.durableSequence == bench.store.appendedSequence)
        // There is nothing left to be settled.
        #expect(message.receipt == nil)
        try bench.restart()
        #expect(try bench.counts() == [0, 0, 0, 0])
    }

    @Test func `what is in memory is never in the log`() throws {
        let bench = try Bench { $0.durability = .memory }
        let before = bench.store.appendedSequence
        try bench.publish("m0")
        try bench.fail(try #require(try bench.receive().first))
        bench.pass(1000)
        try bench.acknowledge(try #require(try bench.receive().first))
        try bench.publish("m1")
        #expect(bench.store.appendedSequence == before)
        try bench.restart()
        #expect(try bench.counts() == [0, 0, 0, 0])
    }

    @Test func `fan-out keeps the bytes once, and each queue its own message`() throws {
        let settings = ["a", "b", "c"].map { QueueSettings($0) }
        let bench = try Bench(settings)
        let payload = [UInt8](repeating: 0x61, count: 5000)
        let before = bench.store.journal.bytesSinceSnapshot
        _ = try bench.store.commit { (transaction) throws(QueueError) in
            var handles: [QueueHandle] = []
            for name in ["a", "b", "c"] { handles.append(try transaction.queue(name)) }
            try transaction.publish(NewMessage(payload), to: handles)
        }
        #expect(bench.store.journal.bytesSinceSnapshot - before < 6000)
        try bench.restart()
        for name in ["c", "a", "b"] {
            let message = try #require(try bench.receive(from: name).first)
            #expect(message.payload == payload && message.queue == name)
            try bench.acknowledge(message)
        }
    }

    @Test func `bad wishes get one clear error and change nothing`() throws {
        let bench = try Bench {
            $0.maxLease = 1000
            $0.maxMessageSize = 10
        }
        try bench.publish("m0")
        #expect { try bench.receive(lease: 1001) } throws: { "\($0)".contains("max_lease") }
        #expect { try bench.publish("eleven byte") } throws: { "\($0)".contains("larger") }
        #expect { try bench.publish("x", to: "job") } throws: { "\($0)".contains("no queue") }
        let message = try #require(try bench.receive().first)
        bench.pass(600)
        try bench.settle(message) { (transaction, receipt) throws(QueueError) in
            try transaction.extend(receipt, lease: 400)
        }
        #expect {
            try bench.settle(message) { (transaction, receipt) throws(QueueError) in
                try transaction.extend(receipt, lease: 401)
            }
        } throws: { "\($0)".contains("max_lease") }
        bench.time.pass(-3_600_000)
        #expect(try bench.counts() == [0, 0, 1, 0])
        let dead = try bench.store.queue("jobs.dead")
        var options = RedriveOptions()
        options.target = dead
        #expect { try bench.store.redrive(dead, options) } throws: { "\($0)".contains("itself") }
    }

    @Test func `nearly dead segments are written anew and freed`() throws {
        let bench = try Bench()
        for index in 0..<60 {
            try bench.publish("m\(index)|" + String(repeating: "x", count: 100_000))
        }
        let taken = try bench.receive(60)
        for message in taken where !message.text.hasPrefix("m7|") {
            try bench.acknowledge(message)
        }
        var freed = 0
        for round in 0..<3 {
            freed += try bench.store.keepUp(every: 0)
            try bench.acknowledge(try bench.publishAndReceive("round \(round)"))
        }
        #expect(freed >= 4)
        try bench.restart()
        #expect(try bench.counts() == [0, 0, 1, 0])
        bench.pass(30_000)
        #expect(try bench.counts() == [0, 0, 0, 1])
        bench.pass(2_000)
        let message = try #require(try bench.receive().first)
        #expect(message.text.hasPrefix("m7|") && message.payload.count == 100_003)
    }

    @Test func `a million delayed messages come due bit by bit`() throws {
        var slots = SlotTable()
        var wheel = TimerWheel()
        wheel.start(at: 1000)
        let count = 200_000
        for _ in 0..<count {
            let index = slots.take()
            slots[index].state = .scheduled
            slots[index].time = 700_000
            wheel.insert(index, &slots)
        }
        var found = 0
        var calls = 0
        while found < count {
            var budget = 4096
            while wheel.popDue(700_000, &budget, &slots) != nil { found += 1 }
            #expect(budget >= 0)
            calls += 1
        }
        #expect(calls > 20 && wheel.next == nil)
        #expect(MemoryLayout<Slot>.stride == 52)
    }
}

@Suite struct RoutingTests {
    @Test(arguments: [
        ("a.b", "a.b", true), ("a.*", "a.b", true), ("a.*", "a.b.c", false), ("#", "", true),
        ("a.#", "a", true), ("a.#.z", "a.b.c.z", true), ("a.#.z", "a.b.c", false),
        ("*.b", "a.b", true), (">", "x.y", true), ("a.>", "a.b.c", true), ("a", "b", false),
    ])
    func `topics match word by word`(pattern: String, key: String, isMatch: Bool) {
        #expect(Router.matches(topic: pattern, key) == isMatch)
    }

    @Test func `headers and content choose queues`() {
        struct Broken: Error {}
        let (a, b, c) = (QueueHandle(number: 1), QueueHandle(number: 2), QueueHandle(number: 3))
        var router = Router()
        router.add(.allHeaders([.equals("x", "1"), .exists("y")]), to: a)
        router.add(.anyHeader([.range("n", 1...5), .exists("z")]), to: b)
        router.add(
            .content { message in
                guard let first = message.payload.first else { throw Broken() }
                return first == 7
            }, to: c)
        var message = NewMessage([7])
        message.headers = [Header("x", "1"), Header("n", "5.0")]
        #expect(router.targets(of: message, routingKey: "").queues == [b, c])
        message.headers.append(Header("y", ""))
        message.payload = []
        let found = router.targets(of: message, routingKey: "")
        #expect(found.queues == [a, b] && found.failures == 1)
        router.alternate = c
        #expect(router.targets(of: NewMessage([1]), routingKey: "").queues == [c])
    }
}
