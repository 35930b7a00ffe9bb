import Journal
import Synchronization
import TestKit

@testable import Queueing

/// An owner of queues on a faulty disk, and what must hold after any crash.
struct QueueSimulation {
    /// What somebody was told, or what may have happened, before the crash.
    struct Oracle {
        /// Published and answered; by id.
        var acknowledged: Set<String> = []
        /// Published, perhaps.
        var attempted: Set<String> = []
        /// Taken out and answered.
        var done: Set<String> = []
        /// Taken out, perhaps.
        var perhapsDone: Set<String> = []
        var isFinished = false
    }

    var seed: UInt64
    var acknowledgesEarly = false
    static let steps = 60
    /// When everything begins, in milliseconds.
    private static let begin: Int64 = 1_000_000

    private final class Time: Sendable {
        let now = Atomic<Int64>(begin * 1000)
    }

    private var settings: QueueSettings {
        var settings = QueueSettings("jobs")
        settings.maxAttempts = 3
        settings.retry.base = 20
        settings.retry.jitter = 0
        settings.deduplicate = 1_000_000
        settings.lease = 40
        return settings
    }

    private func open(
        _ disk: FaultyDisk, _ time: Time, _ foreign: (String) -> Void = { _ in }
    ) throws -> Store<FaultyDisk> {
        var random = SeededRandom(seed: seed)
        return try Store(
            opening: "store", on: disk,
            settings: LogSettings(segmentSize: 4096, prewriteSize: 1024),
            queues: [settings, QueueSettings("out")], random: &random,
            clock: { time.now.load(ordering: .relaxed) }
        ) { (_, bytes) throws(JournalError) in
            foreign(bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
        }
    }

    /// Runs the workload until it ends or the disk fails.
    func run(on disk: FaultyDisk) -> Oracle {
        var oracle = Oracle()
        var random = SeededRandom(seed: seed)
        let time = Time()
        guard let store = try? open(disk, time) else { return oracle }
        defer { try? store.close() }
        var held: [Message] = []
        do {
            let jobs = try store.queue("jobs")
            for step in 0..<Self.steps {
                time.now.add(Int64.random(in: 1...15, using: &random) * 1000, ordering: .relaxed)
                switch Int.random(in: 0..<10, using: &random) {
                case 0...3: try publish(step, store, jobs, &oracle, &random)
                case 4...5:
                    let count = Int.random(in: 1...3, using: &random)
                    let isOwned = Bool.random(using: &random)
                    held += try store.receive(from: jobs, max: count, isOwned: isOwned)
                case 6: try settle(&held, store, jobs, &oracle, &random)
                case 7: try transfer(&held, store, jobs, &oracle)
                case 8:
                    guard let message = held.popLast(), let receipt = message.receipt else { break }
                    _ = try? store.commit { (transaction) throws(QueueError) in
                        try transaction.fail(receipt, DeliveryFailure(error: "e"))
                    }
                default:
                    if let snapshot = store.beginSnapshot() {
                        while try snapshot.writeSlice() {}
                        for id in oracle.perhapsDone.sorted() where id.hasPrefix("moved:") {
                            try snapshot.add(kind: 70, Array(id.utf8))
                        }
                        try snapshot.finish()
                        _ = try store.freeSegments()
                    }
                }
            }
            oracle.isFinished = true
        } catch {
            // The crash; what was told before it stays told.
        }
        return oracle
    }

    private func publish(
        _ step: Int, _ store: Store<FaultyDisk>, _ jobs: QueueHandle, _ oracle: inout Oracle,
        _ random: inout SeededRandom
    ) throws {
        let ids = (0..<Int.random(in: 1...3, using: &random)).map { "m\(step).\($0)" }
        let size = Int.random(in: 0..<6, using: &random) == 0 ? 900 : 20
        let priority = UInt8.random(in: 0...9, using: &random)
        let delay: Int64 = Int.random(in: 0..<4, using: &random) == 0 ? 30 : 0
        let ttl = Int64.random(in: 0..<6, using: &random) == 0 ? Int64(60) : nil
        oracle.attempted.formUnion(ids)
        if acknowledgesEarly { oracle.acknowledged.formUnion(ids) }
        let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
            for id in ids {
                var message = NewMessage(Self.payload(id, size))
                message.id = id
                message.priority = priority
                message.delay = delay
                message.ttl = ttl
                try transaction.publish(message, to: jobs)
            }
        }
        try store.waitUntilDurable(sequence)
        oracle.acknowledged.formUnion(ids)
    }

    private static func payload(_ id: String, _ size: Int) -> [UInt8] {
        Array("\(id)|".utf8) + [UInt8](repeating: UInt8(id.utf8.reduce(0, &+) | 1), count: size)
    }

    private func settle(
        _ held: inout [Message], _ store: Store<FaultyDisk>, _ jobs: QueueHandle,
        _ oracle: inout Oracle, _ random: inout SeededRandom
    ) throws {
        held.shuffle(using: &random)
        guard let message = held.popLast(), let receipt = message.receipt else { return }
        oracle.perhapsDone.insert(message.id)
        do throws(QueueError) {
            try store.acknowledge([receipt], in: jobs)
            oracle.done.insert(message.id)
        } catch {
            guard error.code == .stale else { throw error }
            if !oracle.done.contains(message.id) { oracle.perhapsDone.remove(message.id) }
        }
    }

    /// Input away, state of the owner, and output: together or not at all.
    private func transfer(
        _ held: inout [Message], _ store: Store<FaultyDisk>, _ jobs: QueueHandle,
        _ oracle: inout Oracle
    ) throws {
        guard let message = held.popLast(), let receipt = message.receipt else { return }
        let moved = "moved:" + message.id
        oracle.perhapsDone.formUnion([message.id, moved])
        do throws(QueueError) {
            let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
                try transaction.acknowledge([receipt], in: jobs)
                transaction.add(kind: 70, Array(moved.utf8))
                var output = NewMessage(Self.payload(message.id, 10))
                output.id = message.id
                try transaction.publish(output, to: try transaction.queue("out"))
            }
            try store.waitUntilDurable(sequence)
            oracle.done.formUnion([message.id, moved])
        } catch {
            guard error.code == .stale else { throw error }
            // It may be held twice: what was done before stays done.
            oracle.perhapsDone.subtract(Set([message.id, moved]).subtracting(oracle.done))
        }
    }

    /// The law that is broken after a crash, or nil.
    func violation(_ oracle: Oracle, _ disk: FaultyDisk) -> String? {
        do {
            let time = Time()
            time.now.add(1_000_000, ordering: .relaxed)
            var foreign: Set<String> = []
            let store = try open(disk, time) { foreign.insert($0) }
            defer { try? store.close() }
            var places: [String: [String]] = [:]
            for name in ["jobs", "jobs.dead", "out"] {
                let messages = try store.peek(try store.queue(name), max: 10_000)
                let counts = try store.status(of: try store.queue(name))?.counts
                if counts?.size != messages.count { return "\(name): the counts are wrong" }
                for message in messages {
                    places[message.id, default: []].append(name)
                    guard message.text.hasPrefix(message.id + "|"),
                        oracle.attempted.contains(message.id)
                    else { return "nobody published \(message.id)" }
                    if message.attempt > 3 { return "delivered too often" }
                    let attempts = message.history?.attempts ?? []
                    let deaths = attempts.count { $0.reason == "process_died" }
                    if attempts.count - deaths > 3 { return "too long a history" }
                    // The process has died twice at most.
                    if deaths > 2 || message.history?.reason == "poison" {
                        return "\(message.id) is poison"
                    }
                }
            }
            for (id, found) in places where found.count > 1 { return "\(id) is in \(found)" }
            for id in oracle.acknowledged
            where places[id] == nil && !oracle.perhapsDone.contains(id)
                && !oracle.done.contains(id)
            { return "lost \(id)" }
            for id in oracle.done where !id.hasPrefix("moved:") {
                if let found = places[id], found != ["out"] { return "\(id) came back" }
            }
            return try transferred(oracle, foreign, places) ?? counted(store, oracle)
                ?? drained(store, oracle, time)
        } catch { return "refused: \(error)" }
    }

    /// The counts are those of all that was answered, and of nothing that was not tried.
    private func counted(_ store: Store<FaultyDisk>, _ oracle: Oracle) throws -> String? {
        guard let totals = try store.status(of: try store.queue("jobs"))?.totals else { return "?" }
        if totals.published < oracle.acknowledged.count
            || totals.published > oracle.attempted.count
        {
            return "published \(totals.published) of \(oracle.acknowledged.count) to "
                + "\(oracle.attempted.count)"
        }
        func isMessage(_ id: String) -> Bool { !id.hasPrefix("moved:") }
        let done = oracle.done.count(where: isMessage)
        let perhaps = oracle.done.union(oracle.perhapsDone).count(where: isMessage)
        if totals.acknowledged < done || totals.acknowledged > perhaps {
            return "acknowledged \(totals.acknowledged) of \(done) to \(perhaps)"
        }
        if totals.published > 0, totals.since != Self.begin {
            return "counted since \(totals.since)"
        }
        return nil
    }

    private func transferred(
        _ oracle: Oracle, _ foreign: Set<String>, _ places: [String: [String]]
    ) -> String? {
        for (id, found) in places where found == ["out"] && !foreign.contains("moved:" + id) {
            return "half a transaction: the output \(id) without its state"
        }
        for moved in foreign where places[String(moved.dropFirst(6))] != ["out"] {
            return "half a transaction: the state \(moved) without its output"
        }
        for id in oracle.done where id.hasPrefix("moved:") && !foreign.contains(id) {
            return "lost the state \(id)"
        }
        return nil
    }

    /// Ids are still known, and everything can be received and settled.
    private func drained(
        _ store: Store<FaultyDisk>, _ oracle: Oracle, _ time: Time
    ) throws -> String? {
        let jobs = try store.queue("jobs")
        if let id = oracle.acknowledged.min() {
            var message = NewMessage([1])
            message.id = id
            if try !store.publish(message, to: jobs).isDuplicate {
                return "\(id) was published twice"
            }
        }
        for name in ["jobs", "jobs.dead", "out"] {
            let queue = try store.queue(name)
            for _ in 0..<80 {
                // What was under way comes back bit by bit, and all of it comes.
                let messages = try store.receive(from: queue, max: 50, isOwned: true)
                try store.acknowledge(messages.compactMap(\.receipt), in: queue)
                guard messages.isEmpty else { continue }
                if try store.status(of: queue)?.counts.size == 0 { break }
                time.now.add(2_000_000, ordering: .relaxed)
            }
            if try store.status(of: queue)?.counts.size != 0 { return "\(name) does not drain" }
        }
        return nil
    }

    /// Crashes at every call; with power cuts also lost sectors, and again during recovery.
    func crashEverywhere(
        _ faults: FaultyDisk.Faults = FaultyDisk.Faults(), patterns: Int, every step: Int = 1
    ) -> (crashes: Int, violation: String?) {
        let whole = FaultyDisk(faults)
        _ = run(on: whole)
        var crashes = 0
        for call in stride(from: 0, through: whole.callCount, by: step) {
            var cut = faults
            cut.powerCutAtCall = call
            let disk = FaultyDisk(cut)
            let oracle = run(on: disk)
            for pattern in 0...patterns {
                var random = SeededRandom(seed: seed &+ UInt64(call * 1000 + pattern))
                let crashed =
                    pattern == 0
                    ? disk.afterProcessDeath(faults: faults)
                    : disk.afterPowerCut(&random, faults: faults)
                crashes += 1
                if let violation = violation(oracle, crashed.afterProcessDeath()) {
                    return (crashes, "seed \(seed), call \(call), pattern \(pattern): \(violation)")
                }
                var again = FaultyDisk.Faults()
                again.powerCutAtCall = Int.random(in: 0..<12, using: &random)
                let second = crashed.afterProcessDeath(faults: again)
                _ = violation(oracle, second)
                // What recovery itself settled before the second crash counts as told.
                var told = oracle
                told.perhapsDone.formUnion(oracle.attempted)
                told.done.removeAll { !$0.hasPrefix("moved:") }
                if let violation = violation(told, second.afterPowerCut(&random)),
                    !violation.hasPrefix("half a transaction: the state")
                {
                    return (crashes, "seed \(seed), call \(call), again: \(violation)")
                }
            }
        }
        return (crashes, nil)
    }
}

extension Message {
    var text: String { String(decoding: payload, as: UTF8.self) }
}

extension Set {
    fileprivate mutating func removeAll(where isGone: (Element) -> Bool) {
        self = filter { !isGone($0) }
    }
}
