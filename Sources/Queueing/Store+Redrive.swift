internal import Journal

/// What becomes of a dead message that could go back.
public enum RedriveChoice: Sendable, Hashable {
    /// It goes back as it is.
    case move
    /// It goes back with this payload.
    case change([UInt8])
    /// It stays where it is.
    case stay
    /// It is thrown away.
    case drop
}

/// Which dead messages go back, and where to. Durations are microseconds.
public struct RedriveOptions {
    /// Another queue than the one a message died in.
    public var target: QueueHandle?
    /// Only those that died for this reason.
    public var reason: String?
    /// Messages per second at most; nil for as many as there are.
    public var rate: Int?
    /// Nothing is changed; it is counted only.
    public var isDryRun = false
    /// Decides about each of them, outside the store's lock; nil to move them all.
    public var choose: ((Message) throws(QueueError) -> RedriveChoice)?
    /// Waits, for the sake of the rate.
    public var pause: (Int64) -> Void = { _ in }

    /// All of them, into the queues they died in, at once.
    public init() {}
}

/// How many messages a redrive moved and threw away.
public struct RedriveCounts: Sendable, Hashable {
    /// Those that went back, or would have.
    public var moved = 0
    /// Those that were thrown away, or would have been.
    public var dropped = 0

    init() {}
}

extension Store {
    /// Puts messages back from the dead, step by step, so that others go on.
    public func redrive(
        _ queue: QueueHandle, _ options: RedriveOptions = RedriveOptions()
    ) throws(QueueError) -> RedriveCounts {
        var counts = RedriveCounts()
        var after: UInt64 = 0
        let step = min(1000, max(1, options.rate ?? 1000))
        while true {
            let from = after
            let choices = try choices(queue, options, after: from, limit: step)
            let (result, sequence) = try commit { (transaction) throws(QueueError) in
                try transaction.redrive(
                    queue, to: options.target, reason: options.reason, choices: choices,
                    after: from, limit: step, isDryRun: options.isDryRun)
            }
            if !options.isDryRun { try waitUntilDurable(sequence) }
            counts.moved += result.moved
            counts.dropped += result.dropped
            if result.looked < step || result.last == after { return counts }
            after = result.last
            if let rate = options.rate, result.moved > 0, !options.isDryRun {
                options.pause(Int64(result.moved) * 1_000_000 / Int64(rate))
            }
        }
    }

    /// Asks about the next messages; nil when all are to go.
    private func choices(
        _ queue: QueueHandle, _ options: RedriveOptions, after: UInt64, limit: Int
    ) throws(QueueError) -> [UInt64: RedriveChoice]? {
        guard let choose = options.choose else { return nil }
        core.begin()
        let records = core.transaction.queues.records(of: queue.number, after: after, limit)
        core.end()
        var choices: [UInt64: RedriveChoice] = [:]
        for message in try messages(records.filter { $0.state != .leased }) {
            if let reason = options.reason, message.history?.reason != reason { continue }
            choices[message.number] = try choose(message)
        }
        return choices
    }
}
