import Journal
import TestKit
import Testing

@testable import Queueing

/// Random commands to a store and to the model; the first difference, or nil.
struct ModelRun {
    var random: SeededRandom
    let bench: Bench
    var model: QueueModel
    var receipts: [Receipt] = []
    var published = 0

    init(seed: UInt64, ignoresTokens: Bool = false) throws {
        random = SeededRandom(seed: seed)
        var settings = QueueSettings("jobs")
        settings.maxSize = 40
        settings.maxAttempts = 3
        settings.retry.jitter = 0
        settings.retry.base = 50
        settings.deduplicate = 400
        settings.lease = 90
        settings.maxDeaths = 2
        bench = try Bench([settings])
        bench.store.core.transaction.ignoresTokens = ignoresTokens
        model = QueueModel(settings: settings)
    }

    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }
    mutating func number(_ range: ClosedRange<Int>) -> Int64 {
        Int64(Int.random(in: range, using: &random))
    }

    mutating func difference(steps: Int) throws -> String? {
        defer { try? bench.store.close() }
        for step in 0..<steps {
            bench.pass(chance(100) ? number(55_000...65_000) : number(1...25))
            model.advance(to: bench.time.microseconds / 1000)
            let problem = try act()
            if let problem { return "step \(step): \(problem)" }
            model.advance(to: model.now)
            let counts = try bench.counts()
            if counts != model.counts { return "step \(step): \(counts), not \(model.counts)" }
            if chance(20), let problem = try compareAll() { return "step \(step): \(problem)" }
        }
        return try compareAll()
    }

    private mutating func act() throws -> String? {
        switch Int.random(in: 0..<14, using: &random) {
        case 0...4: return try publish()
        case 5...7: return try receive()
        case 8...9: return try settle()
        case 10:
            if chance(4) {
                // What was due before the process died was seen to be so.
                _ = try bench.store.advance()
                try bench.restart()
                model.restart()
                return nil
            }
            return try settle()
        case 11: return try chance(3) ? redrive() : settle()
        case 12:
            if chance(3), let snapshot = bench.store.beginSnapshot() {
                while try snapshot.writeSlice() {}
                let problem = try publish()
                try snapshot.finish()
                _ = try bench.store.freeSegments()
                return problem
            }
            return nil
        default: return try cancel()
        }
    }

    private mutating func publish() throws -> String? {
        published += 1
        let hasID = chance(2)
        let id = hasID ? "id\(Int.random(in: 0..<30, using: &random))" : nil
        let payload = "payload \(published)"
        let priority = UInt8(number(3...6))
        let delay = chance(3) ? number(1...300) : 0
        let ttl = chance(4) ? number(1...300) : nil
        var result: Published?
        do {
            result = try bench.publish(payload) {
                $0.id = id
                $0.priority = priority
                $0.delay = delay
                $0.ttl = ttl
            }
        } catch let error as QueueError {
            if error.code != .full { throw error }
        }
        let number = result?.number ?? 0
        let item = QueueModel.Item(
            number: number, id: id ?? result?.id ?? "", payload: payload, priority: priority,
            state: delay > 0 ? .scheduled : .ready, time: model.now + delay,
            expiry: ttl.map { model.now + $0 } ?? 0)
        let expected = model.publish(item, hasID: hasID)
        return expected == result?.isDuplicate ? nil : "published \(String(describing: result))"
    }

    private mutating func receive() throws -> String? {
        let count = Int(number(1...4))
        let isOwned = chance(2)
        let expected = isOwned ? model.nextOwned(count) : model.next(count)
        let found = try bench.receive(count, isOwned: isOwned)
        if found.map(\.text) != expected.map(\.payload) {
            return "received \(found.map(\.text)), not \(expected.map(\.payload))"
        }
        for (message, item) in zip(found, expected) {
            if message.attempt != item.attempts + 1 { return "attempt \(message.attempt)" }
            guard let receipt = message.receipt else { return "no receipt" }
            receipts.append(receipt)
            model.lease(
                item.number, receipt, isOwned: isOwned, until: model.now + model.settings.lease)
        }
        return nil
    }

    private mutating func settle() throws -> String? {
        guard let receipt = receipts.randomElement(using: &random) else { return nil }
        let item = model.leased(receipt)
        let kind = Int.random(in: 0..<5, using: &random)
        let delay = number(0...100)
        var isStale = false
        do throws(QueueError) {
            _ = try bench.store.commit { (transaction) throws(QueueError) in
                switch kind {
                case 0, 1: try transaction.acknowledge([receipt])
                case 2: try transaction.fail(receipt, delay: delay > 50 ? nil : delay)
                case 3: try transaction.snooze(receipt, delay: delay)
                default: try transaction.reject(receipt)
                }
            }
        } catch {
            if error.code != .stale { throw error }
            isStale = true
        }
        if isStale != (item == nil) { return "stale \(isStale): \(receipt)" }
        guard let item else { return nil }
        switch kind {
        case 0, 1: model.remove(item.number)
        case 2: model.fail(item, delay: delay > 50 ? nil : delay, at: model.now)
        case 3: model.snooze(item, delay: delay)
        default: model.bury(item, "rejected")
        }
        return nil
    }

    private mutating func redrive() throws -> String? {
        let isFull = model.items.count >= model.settings.maxSize && !model.dead.isEmpty
        var moved = 0
        do throws(QueueError) {
            moved = try bench.store.redrive(try bench.store.queue("jobs.dead")).moved
        } catch {
            if error.code != .full { throw error }
            return isFull ? nil : "redrive: full"
        }
        let expected = model.redrive()
        return moved == expected ? nil : "redriven \(moved), not \(expected)"
    }

    private mutating func cancel() throws -> String? {
        guard let item = model.items.randomElement(using: &random), item.state != .leased else {
            return nil
        }
        // Ids may be there twice, once the window is over: take one that is not.
        guard model.items.count(where: { $0.id == item.id }) == 1 else { return nil }
        let (isGone, _) = try bench.store.commit { (transaction) throws(QueueError) in
            try transaction.cancel(item.id, in: try transaction.queue("jobs"))
        }
        model.cancel(item)
        return isGone ? nil : "cancel did not find \(item.id)"
    }

    private func compareAll() throws -> String? {
        let found = try bench.store.peek(try bench.store.queue("jobs"), max: 1000)
        let expected = model.items.sorted { $0.number < $1.number }
        for (message, item) in zip(found, expected) {
            if message.number != item.number || message.text != item.payload
                || message.state != item.state || message.id != item.id
            {
                return "\(message) is not \(item)"
            }
        }
        if found.count != expected.count { return "\(found.count) messages" }
        let dead = try bench.store.peek(try bench.store.queue("jobs.dead"), max: 1000)
        let graves = model.dead.sorted { $0.number < $1.number }
        if dead.map(\.number) != graves.map(\.number)
            || dead.map(\.history?.reason) != graves.map(\.reason)
        {
            return "dead: \(dead.map(\.id)), not \(graves.map(\.id))"
        }
        return nil
    }
}

@Suite struct ModelTests {
    @Test(arguments: 1...24 as ClosedRange<UInt64>)
    func `a store does what the model does, over restarts and snapshots`(seed: UInt64) throws {
        var run = try ModelRun(seed: seed)
        let difference = try run.difference(steps: 500)
        #expect(difference == nil, "\(run.random)")
    }

    @Test func `a build that ignores the lease's number is caught`() throws {
        var isCaught = false
        for seed in 100..<110 as Range<UInt64> where !isCaught {
            var run = try ModelRun(seed: seed, ignoresTokens: true)
            isCaught = try run.difference(steps: 500)?.contains("stale") == true
        }
        #expect(isCaught)
    }
}
