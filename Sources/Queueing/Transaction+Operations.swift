internal import Journal

/// What an operator does to whole queues.
extension Transaction {
    /// Takes every message out, whatever its state; returns how many.
    public mutating func purge(_ handle: QueueHandle) -> Int {
        let queue = handle.number
        guard queues.queues[Int(queue)].counts.size > 0 else { return 0 }
        var numbers: [UInt64] = []
        var volatileNumbers: [UInt64] = []
        for index in 0..<queues.slots.end {
            let slot = queues.slots[index]
            guard slot.queue == queue, slot.state != nil, !slot.isTouched else { continue }
            touch(index)
            if slot.segment == Self.volatileSegment {
                volatileNumbers.append(slot.number)
            } else {
                numbers.append(slot.number)
            }
        }
        if !numbers.isEmpty { plan(.removes(numbers)) }
        if !volatileNumbers.isEmpty { add(.removes(volatileNumbers), isVolatile: true) }
        require(.disk)
        return numbers.count + volatileNumbers.count
    }

    /// Stops or goes on handing messages over, and taking them; nil leaves it as it is. Durable.
    public mutating func pause(_ handle: QueueHandle, consume: Bool?, publish: Bool?) {
        let state = queues.queues[Int(handle.number)]
        plan(
            .queue(
                QueueRecord(
                    queue: handle.number, isPublishPaused: publish ?? state.isPublishPaused,
                    isConsumePaused: consume ?? state.isConsumePaused,
                    name: state.settings.name)))
        require(.disk)
    }

    /// Takes one message out by its id, unless somebody has it. False when there is none. `find`
    /// tells whether a message has the id, for ids that were given.
    public mutating func cancel(
        _ id: String, in handle: QueueHandle
    ) throws(QueueError) -> Bool {
        guard let index = try find(id, in: handle.number), !queues.slots[index].isTouched else {
            return false
        }
        guard queues.slots[index].state != .leased else {
            throw QueueError(
                .misuse, "the message \(id) is leased; wait for the lease to end, or settle it")
        }
        touch(index)
        let isVolatile = queues.slots[index].segment == Self.volatileSegment
        add(.removes([queues.slots[index].number]), isVolatile: isVolatile)
        require(.disk)
        return true
    }

    /// The slot of a message by its id: at once for ids of the store, by reading for others.
    private func find(_ id: String, in queue: UInt16) throws(QueueError) -> UInt32? {
        var candidates: [UInt64] = []
        if let number = MessageID.number(in: id) { candidates.append(number) }
        let hash = IDHash(queue: queue, id: id)
        if let number = queues.known.number(of: hash, at: milliseconds) {
            candidates.append(number)
        }
        for number in candidates {
            if let index = queues.numbers.find(number, queues.slots),
                queues.slots[index].queue == queue, try self.id(of: index) == id
            {
                return index
            }
        }
        for index in 0..<queues.slots.end
        where queues.slots[index].queue == queue && queues.slots[index].state != nil {
            if try self.id(of: index) == id { return index }
        }
        return nil
    }

    private func id(of index: UInt32) throws(QueueError) -> String? {
        try body(index).map { body in
            body.id
                ?? MessageID.text(
                    number: queues.slots[index].number, milliseconds: body.publishedAt / 1000)
        }
    }

    private func body(_ index: UInt32) throws(QueueError) -> MessageBody? {
        let position = queues.slots[index].position
        if position.segment == Self.volatileSegment {
            let bytes = queues.volatileBodies[position.offset] ?? []
            return unsafe MessageBody(bytes.span.bytes)
        }
        let bytes = try QueueError.wrap { () throws(JournalError) in try read(position) }
        return unsafe MessageBody(bytes.span.bytes)
    }

    /// Puts messages back from the dead into the queue they died in, or `target`, with all attempts
    /// left. Up to `limit` of those behind the message `after`; only those that died for `reason`,
    /// when it is given. With `isDryRun` they are counted only.
    public mutating func redrive(
        _ handle: QueueHandle, to target: QueueHandle?, reason: String? = nil,
        after: UInt64 = 0, limit: Int = 1000, isDryRun: Bool = false
    ) throws(QueueError) -> Redriven {
        if target == handle {
            throw QueueError(
                .misuse, "a queue cannot be redriven onto itself; name another one with --to")
        }
        var result = Redriven(last: after)
        for record in queues.records(of: handle.number, after: after, limit) {
            result.looked += 1
            guard record.state != .leased,
                let index = queues.numbers.find(record.number, queues.slots),
                !queues.slots[index].isTouched
            else {
                result.last = record.number
                continue
            }
            var history = try history(record.number)
            if let reason, history.reason != reason {
                result.last = record.number
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
            if isDryRun { continue }
            history.reason = nil
            history.deadAt = nil
            history.redrives += 1
            try move(index, to: to, history)
        }
        return result
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
        _ index: UInt32, to target: UInt16, _ history: MessageHistory
    ) throws(QueueError) {
        touch(index)
        register(target)
        var record = queues.record(index)
        record.queue = target
        record.state = .ready
        record.attempts = 0
        record.time = max(milliseconds, queues.latestStamp)
        record.expiry = 0
        record.history = nil
        if let key = try body(index)?.orderingKey {
            record.key = IDHash.key(queue: target, key)
        }
        grow(target)
        tally(target, .redriven)
        if record.position.segment == Self.volatileSegment {
            add(.record(record), isVolatile: true)
        } else {
            plan(.record(record), history: history)
            require(queues.queues[Int(target)].settings.durability)
        }
    }
}

/// What a step of a redrive did.
public struct Redriven: Sendable, Hashable {
    /// How many messages went back, or would have.
    public var moved = 0
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
