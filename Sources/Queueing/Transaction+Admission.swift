/// Whether a message may come in, and as what.
extension Transaction {
    /// What a message is to its queue.
    enum Admission {
        /// One that was not there.
        case new
        /// One that is known; nothing is added.
        case repeats
        /// It takes the place of one that waits for its time.
        case replaces
    }

    /// Gives a message its number, or that of the one it repeats or replaces.
    mutating func admit(
        _ message: borrowing NewMessage, _ queue: UInt16, _ settings: QueueSettings
    ) throws(QueueError) -> (number: UInt64, admission: Admission) {
        try check(message, settings)
        if queues.queues[Int(queue)].isPublishPaused {
            throw QueueError(
                .paused, "publishing to \"\(settings.name)\" is paused; resume it first")
        }
        let number = queues.nextNumber
        if let id = message.id, let window = settings.deduplicate {
            let hash = IDHash(queue: queue, id: id)
            if let first = knownNumber(of: hash) {
                tally(queue, .deduplicated)
                guard settings.onDuplicate == .replaceIfScheduled, takePlace(of: first, queue)
                else { return (first, .repeats) }
                remembered.append(
                    KnownID(id: hash, until: milliseconds + window, number: first))
                return (first, .replaces)
            }
            try makeRoom(queue, settings)
            newIDs[hash] = number
            remembered.append(
                KnownID(id: hash, until: milliseconds + window, number: number))
        } else {
            try makeRoom(queue, settings)
        }
        queues.nextNumber += 1
        added[queue, default: 0] += 1
        return (number, .new)
    }

    /// The number of the message that has an id, while the queue remembers it.
    func knownNumber(of id: IDHash) -> UInt64? {
        guard let added = newIDs[id] else { return queues.known.number(of: id, at: milliseconds) }
        return added == Self.forgotten ? nil : added
    }

    /// The id of a message that is gone by order may be published again. What of it is known stays
    /// in the table, over.
    mutating func forget(_ id: IDHash, of number: UInt64) {
        guard knownNumber(of: id) == number else { return }
        newIDs[id] = Self.forgotten
        remembered.removeAll { $0.id == id }
        remembered.append(KnownID(id: id, until: 0, number: number))
    }

    /// Stands in `newIDs` for an id that is known no more; no message has it.
    private static let forgotten: UInt64 = 0

    /// True when the message waits for its time, and nothing else happens to it.
    private mutating func takePlace(of number: UInt64, _ queue: UInt16) -> Bool {
        guard let index = queues.numbers.find(number, queues.slots),
            queues.slots[index].queue == queue, queues.slots[index].state == .scheduled,
            !queues.slots[index].isTouched
        else { return false }
        touch(index)
        return true
    }

    /// Refuses, or lets the oldest one go, when the queue is full.
    mutating func makeRoom(
        _ queue: UInt16, _ settings: QueueSettings
    ) throws(QueueError) {
        let size = queues.queues[Int(queue)].counts.size + (added[queue] ?? 0)
        guard size >= settings.maxSize else { return }
        if settings.overflow == .dropOldest, let oldest = oldest(queue) {
            added[queue, default: 0] -= 1
            try bury(oldest, reason: "overflow", attempt: nil, at: milliseconds)
            return
        }
        queues.count(queue, .refused)
        throw full(queue)
    }

    func full(_ queue: UInt16) -> QueueError {
        let state = queues.queues[Int(queue)]
        return QueueError(
            .full,
            "the queue \"\(state.settings.name)\" is full: it holds \(state.counts.size) of "
                + "\(state.settings.maxSize) messages; receive some or raise max_size")
    }

    /// True when one more message fits.
    func hasRoom(_ queue: UInt16) -> Bool {
        let size = queues.queues[Int(queue)].counts.size + (added[queue] ?? 0)
        return size < queues.queues[Int(queue)].settings.maxSize
    }

    /// Notes that the transaction adds a message.
    mutating func grow(_ queue: UInt16) { added[queue, default: 0] += 1 }

    private func oldest(_ queue: UInt16) -> UInt32? {
        var oldest: UInt32?
        for line in queues.queues[Int(queue)].lines {
            line.forEach(queues.slots, queues.numbers, queue) { index in
                if queues.slots[index].isTouched { return true }
                if let known = oldest, queues.slots[known].number < queues.slots[index].number {
                    return false
                }
                oldest = index
                return false
            }
        }
        return oldest
    }
}
