internal import Journal

extension Transaction {
    /// Puts messages back from the dead into the queue they died in, or `target`, with all attempts
    /// left. Up to `limit` of those behind the message `after`; only those that died for `reason`,
    /// when it is given, and only what `choices` says of each, when they are. With `isDryRun` they
    /// are counted only.
    public mutating func redrive(
        _ handle: QueueHandle, to target: QueueHandle?, reason: String? = nil,
        choices: [UInt64: RedriveChoice]? = nil, after: UInt64 = 0, limit: Int = 1000,
        isDryRun: Bool = false
    ) throws(QueueError) -> Redriven {
        try checkOpen(handle)
        if let target { try checkOpen(target) }
        if target?.number == handle.number {
            throw QueueError(
                .misuse, "a queue cannot be redriven onto itself; name another one with --to")
        }
        var result = Redriven(last: after)
        for record in queues.records(of: handle.number, after: after, limit) {
            result.looked += 1
            let choice = choices.map { $0[record.number] ?? .stay } ?? .move
            guard record.state != .leased, choice != .stay,
                let index = queues.numbers.find(record.number, queues.slots),
                !queues.slots[index].isTouched
            else {
                result.last = record.number
                continue
            }
            let history = try history(record.number)
            if let reason, history.reason != reason {
                result.last = record.number
                continue
            }
            if choice == .drop {
                result.last = record.number
                result.dropped += 1
                if !isDryRun { throwAway(index) }
                continue
            }
            guard let to = try destination(history, target, from: handle) else {
                result.last = record.number
                continue
            }
            guard hasRoom(to) else {
                if result.moved == 0 { throw full(to) }
                break
            }
            result.last = record.number
            result.moved += 1
            if !isDryRun { try move(index, to: to, history, choice) }
        }
        return result
    }

    private mutating func throwAway(_ index: UInt32) {
        touch(index)
        let isVolatile = queues.slots[index].segment == Self.volatileSegment
        add(.removes([queues.slots[index].number]), isVolatile: isVolatile)
        require(.disk)
    }

    private func destination(
        _ history: MessageHistory, _ target: QueueHandle?, from handle: QueueHandle
    ) throws(QueueError) -> UInt16? {
        if let target { return target.number }
        guard let source = history.sourceQueue else { return nil }
        let queue = try queue(source)
        return queue == handle ? nil : queue.number
    }

    private mutating func move(
        _ index: UInt32, to target: UInt16, _ given: MessageHistory, _ choice: RedriveChoice
    ) throws(QueueError) {
        touch(index)
        register(target)
        var history = given
        history.reason = nil
        history.deadAt = nil
        history.redrives += 1
        var record = queues.record(index)
        record.queue = target
        record.state = .ready
        record.attempts = 0
        record.time = max(milliseconds, queues.latestStamp)
        record.expiry = 0
        record.history = nil
        record.key = 0
        let bytes = try body(at: record.position)
        if let key = unsafe MessageBody(bytes.span.bytes)?.orderingKey {
            record.key = IDHash.key(queue: target, key)
            // Later ones of its key were kept waiting for it.
            record.keepsPlace = queues.queues[Int(target)].settings.blocksKeyOfDead
        }
        grow(target)
        tally(target, .redriven)
        if case .change(let payload) = choice { change(&record, bytes, payload) }
        if record.position.segment == Self.volatileSegment {
            add(.record(record), isVolatile: true)
        } else {
            plan(.record(record), history: history)
            require(queues.queues[Int(target)].settings.durability)
        }
    }

    /// Gives a message another payload: what stands before it stays.
    private mutating func change(_ record: inout Record, _ bytes: [UInt8], _ payload: [UInt8]) {
        let old = unsafe MessageBody(bytes.span.bytes)?.payload.count ?? 0
        let body = Array(bytes[Record.size..<(bytes.count - old)]) + payload
        guard record.position.segment != Self.volatileSegment else {
            record.position.length = UInt32(Record.size + body.count)
            newBodies[record.position.offset] = Array(bytes[..<Record.size]) + body
            return
        }
        var whole = record
        whole.position = LogPosition(segment: 0, offset: 0, length: 0)
        var head: [UInt8] = []
        head.put(whole)
        planMessage(whole, head + body)
        guard let entry = steps.last?.entry else { return }
        record.position = LogPosition(segment: 0, offset: entry.offset, length: entry.length)
    }

    /// The bytes of a message with what stands before its payload.
    func body(at position: LogPosition) throws(QueueError) -> [UInt8] {
        if position.segment == Self.volatileSegment {
            return queues.volatileBodies[position.offset] ?? []
        }
        let read = read
        return try QueueError.wrap { () throws(JournalError) in try read(position) }
    }
}

/// What a step of a redrive did.
public struct Redriven: Sendable, Hashable {
    /// How many messages went back, or would have.
    public var moved = 0
    /// How many were thrown away, or would have been.
    public var dropped = 0
    /// How many it looked at; fewer than its limit at the end.
    public var looked = 0
    /// The last message it looked at; the next step goes on behind it.
    public var last: UInt64

    init(last: UInt64) { self.last = last }
}

extension QueueSet {
    /// The messages of a queue behind a number, in the order of their numbers.
    func records(of queue: UInt16, after: UInt64, _ limit: Int) -> [Record] {
        var found: [(number: UInt64, index: UInt32)] = []
        for index in 0..<slots.end
        where slots[index].queue == queue && slots[index].state != nil
            && slots[index].number > after
        {
            found.append((slots[index].number, index))
        }
        found.sort { $0.number < $1.number }
        return found.prefix(limit).map { record($0.index) }
    }
}
