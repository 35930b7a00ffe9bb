internal import Journal

/// What an operator does to whole queues.
extension Transaction {
    /// Takes every message out, whatever its state; returns how many.
    /// Throws when it is the engine's.
    public mutating func purge(_ handle: QueueHandle) throws(QueueError) -> Int {
        try checkOpen(handle)
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
    /// Throws when it is the engine's.
    public mutating func pause(
        _ handle: QueueHandle, consume: Bool?, publish: Bool?
    ) throws(QueueError) {
        try checkOpen(handle)
        let state = queues.queues[Int(handle.number)]
        plan(
            .queue(
                QueueRecord(
                    queue: handle.number, isPublishPaused: publish ?? state.isPublishPaused,
                    isConsumePaused: consume ?? state.isConsumePaused,
                    name: state.settings.name)))
        require(.disk)
    }

    /// Takes one message out by its id, unless somebody has it; the id may be published again at
    /// once. False when there is none.
    public mutating func cancel(
        _ id: String, in handle: QueueHandle
    ) throws(QueueError) -> Bool {
        try checkOpen(handle)
        guard let index = try find(id, in: handle.number), !queues.slots[index].isTouched else {
            return false
        }
        guard queues.slots[index].state != .leased else {
            throw QueueError(
                .misuse, "the message \(id) is leased; wait for the lease to end, or settle it")
        }
        touch(index)
        let isVolatile = queues.slots[index].segment == Self.volatileSegment
        let number = queues.slots[index].number
        add(.removes([number]), isVolatile: isVolatile)
        forget(IDHash(queue: handle.number, id: id), of: number)
        require(.disk)
        return true
    }

    /// The slot of a message by its id: at once for ids of the store, by reading for others.
    private func find(_ id: String, in queue: UInt16) throws(QueueError) -> UInt32? {
        var candidates: [UInt64] = []
        if let number = MessageID.number(in: id) { candidates.append(number) }
        if let number = knownNumber(of: IDHash(queue: queue, id: id)) {
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
        try message(index)?.id
    }
}
