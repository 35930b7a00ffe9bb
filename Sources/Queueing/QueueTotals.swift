internal import Journal

/// What happened to a queue since its store was made; of a queue in memory, since the store was
/// opened. The log has them: a process that is killed loses none but those of its last moments.
public struct QueueTotals: Sendable, Hashable {
    /// Since when it is counted, in milliseconds since 1970: later than the store was made when an
    /// older version made it.
    public internal(set) var since: Int64 = 0
    /// Messages published.
    public internal(set) var published = 0
    /// Messages handed over.
    public internal(set) var delivered = 0
    /// Of these, those that had been handed over before.
    public internal(set) var redelivered = 0
    /// Messages acknowledged.
    public internal(set) var acknowledged = 0
    /// Deliveries that failed.
    public internal(set) var failed = 0
    /// Leases that ran out.
    public internal(set) var leasesExpired = 0
    /// Messages that were dead-lettered, or thrown away for the same reasons.
    public internal(set) var dead = 0
    /// Duplicates that were told so.
    public internal(set) var deduplicated = 0
    /// Messages refused because the queue was full.
    public internal(set) var refused = 0
    /// Receipts that were not the current ones.
    public internal(set) var stale = 0
    /// Messages that went back from the dead.
    public internal(set) var redriven = 0

    /// None of it yet.
    public init() {}

    /// The counts by the number that the log has for each.
    enum Tally: UInt8, CaseIterable {
        case since = 0
        case published, delivered, redelivered, acknowledged, failed, leaseExpired, dead
        case deduplicated, refused, stale, redriven

        var bit: UInt16 { 1 << UInt16(rawValue) }
    }
    static let allBits: UInt16 = 1 << UInt16(Tally.allCases.count) - 1

    subscript(tally: Tally) -> Int {
        get {
            switch tally {
            case .since: Int(since)
            case .published: published
            case .delivered: delivered
            case .redelivered: redelivered
            case .acknowledged: acknowledged
            case .failed: failed
            case .leaseExpired: leasesExpired
            case .dead: dead
            case .deduplicated: deduplicated
            case .refused: refused
            case .stale: stale
            case .redriven: redriven
            }
        }
        set {
            switch tally {
            case .since: since = Int64(newValue)
            case .published: published = newValue
            case .delivered: delivered = newValue
            case .redelivered: redelivered = newValue
            case .acknowledged: acknowledged = newValue
            case .failed: failed = newValue
            case .leaseExpired: leasesExpired = newValue
            case .dead: dead = newValue
            case .deduplicated: deduplicated = newValue
            case .refused: refused = newValue
            case .stale: stale = newValue
            case .redriven: redriven = newValue
            }
        }
    }
}

extension QueueSet {
    /// Counts something; the log learns it with the next frame.
    mutating func count(_ queue: UInt16, _ tally: QueueTotals.Tally, _ count: Int = 1) {
        queues[Int(queue)].totals[tally] += count
        note(queue, tally.bit)
    }

    /// Some counts of a queue are to be written.
    mutating func note(_ queue: UInt16, _ bits: UInt16) {
        if queues[Int(queue)].unwrittenTotals == 0 { counted.append(queue) }
        queues[Int(queue)].unwrittenTotals |= bits
    }

    /// The log says how far a count has come. Counts go up only: an older entry over a newer state
    /// does no harm.
    mutating func apply(_ total: TotalRecord) {
        ensureQueue(total.queue)
        let queue = Int(total.queue)
        let value = Int(clamping: total.value)
        queues[queue].totals[total.tally] = max(queues[queue].totals[total.tally], value)
    }

    /// Queues that were never counted begin now, in milliseconds. One that the log does not know
    /// was never used: all that happened to it is counted since the log counts.
    mutating func beginCounting(at now: Int64) {
        let earliest = queues.map(\.totals.since).filter { $0 > 0 }.min() ?? now
        for queue in queues.indices where queues[queue].totals.since == 0 {
            let state = queues[queue]
            let isUnused = !state.isRegistered && state.settings.durability != .memory
            queues[queue].totals.since = isUnused ? earliest : now
            note(UInt16(queue), QueueTotals.Tally.since.bit)
        }
    }
}

extension Transaction {
    typealias Tally = QueueTotals.Tally

    /// Notes what is to be counted when the transaction happens.
    mutating func tally(_ queue: UInt16, _ tally: Tally, _ count: Int = 1) {
        if let last = tallies.indices.last, tallies[last].queue == queue,
            tallies[last].tally == tally
        {
            tallies[last].count += count
        } else {
            tallies.append((queue, tally, count))
        }
    }

    /// Counts what was noted, before the frame is written that says so.
    mutating func countTallies() {
        for (queue, tally, count) in tallies { queues.count(queue, tally, count) }
        areTalliesCounted = true
        if !frame.isEmpty, !queues.counted.isEmpty { addTotals() }
    }

    /// Forgets what was noted; what was counted is taken back when the frame was not written.
    mutating func dropTallies() {
        if areTalliesCounted {
            for (queue, tally, count) in tallies {
                queues.queues[Int(queue)].totals[tally] -= count
            }
        }
        tallies.removeAll(keepingCapacity: true)
    }

    /// Adds the counts that have changed to a frame that is written anyway.
    private mutating func addTotals() {
        var bytes: [UInt8] = []
        swap(&bytes, &scratch)
        bytes.removeAll(keepingCapacity: true)
        for queue in queues.counted {
            let bits = queues.queues[Int(queue)].unwrittenTotals
            queues.queues[Int(queue)].unwrittenTotals = 0
            // One that the log does not know may have another number after the next start; when it
            // is registered all of them are written.
            guard isRegistered(queue) else { continue }
            bytes.put(queues.queues[Int(queue)].totals, queue, bits)
        }
        queues.counted.removeAll(keepingCapacity: true)
        if !bytes.isEmpty {
            unsafe frame.add(kind: Operation.Kind.totals.rawValue, bytes.span.bytes)
        }
        swap(&bytes, &scratch)
    }
}

extension [UInt8] {
    /// Some counts of a queue.
    mutating func put(_ totals: QueueTotals, _ queue: UInt16, _ bits: UInt16) {
        var rest = bits
        while rest != 0 {
            let number = UInt8(rest.trailingZeroBitCount)
            rest &= rest - 1
            guard let tally = QueueTotals.Tally(rawValue: number) else { continue }
            let value = UInt64(Swift.max(0, totals[tally]))
            put(TotalRecord(queue: queue, tally: tally, value: value))
        }
    }
}
