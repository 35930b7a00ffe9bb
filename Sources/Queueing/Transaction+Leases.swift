internal import Journal

/// A message that was taken, before its bytes are read.
public struct Lease: Sendable {
    /// What the lease is settled with.
    public var receipt: Receipt
    /// The message's number in the store.
    public var number: UInt64 { receipt.number }
    let record: Record
    /// True when it is gone from the queue already.
    let isGone: Bool
}

extension Transaction {
    /// Takes up to `max` ready messages, the most urgent first, for `lease` milliseconds. `isOwned`
    /// says that the lease is of the process that has the store, and ends with it; such a process
    /// gets nothing beside messages that may have killed it, see `PoisonTrial`.
    /// Empty when there are none, or when receiving is paused. Throws when the lease is too long,
    /// and when the queue is the engine's.
    public mutating func receive(
        from handle: QueueHandle, max limit: Int, lease: Int64? = nil, isOwned: Bool = false
    ) throws(QueueError) -> [Lease] {
        let queue = handle.number
        if handle.isReserved { try checkOpen(handle) }
        let settings = queues.queues[Int(queue)].settings
        let length = lease ?? min(settings.lease, settings.maxLease)
        guard length > 0, length <= settings.maxLease else {
            throw QueueError(
                .misuse,
                "a lease of \(length) ms is not between 1 ms and the queue's max_lease of "
                    + "\(settings.maxLease) ms")
        }
        guard !queues.queues[Int(queue)].isConsumePaused, limit > 0 else { return [] }
        let isTrial = isOwned && !queues.trial.isEmpty
        let indices = isTrial ? trialIndices(queue, limit) : readyIndices(queue, limit)
        guard !indices.isEmpty else { return [] }
        let isGone = settings.delivery == .atMostOnce
        if isOwned { hasOwnedLeases = true }
        var leases: [Lease] = []
        var updates: [Update] = []
        var gone: [UInt64] = []
        leases.reserveCapacity(indices.count)
        updates.reserveCapacity(indices.count)
        var redelivered = 0
        for index in indices {
            touch(index)
            var record = queues.record(index)
            if record.attempts > 0 || record.keepsPlace { redelivered += 1 }
            record.state = .leased
            record.attempts = record.attempts == .max ? .max : record.attempts + 1
            record.time = milliseconds + length
            record.isOwned = isOwned
            record.token = UInt32(truncatingIfNeeded: random.next())
            record.started = UInt32(truncatingIfNeeded: milliseconds)
            leases.append(
                Lease(
                    receipt: Receipt(
                        number: record.number, attempt: record.attempts, token: record.token),
                    record: record, isGone: isGone || record.isAtMostOnce))
            if isGone || record.isAtMostOnce {
                gone.append(record.number)
            } else {
                updates.append(Update(record))
            }
        }
        let isVolatile = settings.durability == .memory
        if !gone.isEmpty {
            add(.removes(gone), isVolatile: isVolatile)
            require(settings.durability)
        }
        if !updates.isEmpty { add(.updates(updates), isVolatile: isVolatile) }
        tally(queue, .delivered, leases.count)
        if redelivered > 0 { tally(queue, .redelivered, redelivered) }
        return leases
    }

    /// The ready messages that go next.
    func readyIndices(
        _ queue: UInt16, _ limit: Int, leavesSuspects: Bool = false
    ) -> [UInt32] {
        var indices: [UInt32] = []
        let now = milliseconds
        for priority in stride(from: 9, through: 0, by: -1)
        where queues.queues[Int(queue)].occupied >> UInt16(priority) & 1 == 1 {
            queues.queues[Int(queue)].lines[priority].forEach(
                queues.slots, queues.numbers, queue
            ) { index in
                let slot = queues.slots[index]
                if !slot.isTouched, slot.expiry == 0 || slot.expiry > now,
                    !leavesSuspects || !slot.isSuspect
                {
                    indices.append(index)
                }
                return indices.count < limit
            }
            if indices.count >= limit { break }
        }
        return indices
    }

    /// Plans an operation that is written only when its messages are.
    mutating func add(_ operation: Operation, isVolatile: Bool) {
        if isVolatile {
            steps.append(Step(operation: operation, entry: nil))
        } else {
            plan(operation)
        }
    }

    // MARK: - Settling

    /// The slot a receipt speaks of. Throws when the lease is not the current one.
    private mutating func leased(
        _ receipt: Receipt, in handle: QueueHandle?, _ event: MessageState.Event
    ) throws(QueueError) -> UInt32 {
        guard let index = queues.numbers.find(receipt.number, queues.slots),
            !queues.slots[index].isTouched,
            queues.slots[index].state?.outcome(of: event) != nil,
            queues.slots[index].state == .leased,
            ignoresTokens
                || queues.slots[index].token == receipt.token
                    && queues.slots[index].attempts == receipt.attempt,
            handle == nil || handle?.number == queues.slots[index].queue
        else {
            if let handle { queues.count(handle.number, .stale) }
            throw QueueError.stale(receipt.description)
        }
        touch(index)
        return index
    }

    /// The holder is done: the messages are gone. Throws at the first stale receipt.
    public mutating func acknowledge(
        _ receipts: [Receipt], in handle: QueueHandle? = nil
    ) throws(QueueError) {
        var numbers: [UInt64] = []
        var volatileNumbers: [UInt64] = []
        numbers.reserveCapacity(receipts.count)
        for receipt in receipts {
            let index = try leased(receipt, in: handle, .acknowledge)
            let queue = queues.slots[index].queue
            if queues.slots[index].segment == Self.volatileSegment {
                volatileNumbers.append(receipt.number)
            } else {
                numbers.append(receipt.number)
            }
            require(queues.queues[Int(queue)].settings.durability)
            tally(queue, .acknowledged)
        }
        if !numbers.isEmpty { plan(.removes(numbers)) }
        if !volatileNumbers.isEmpty { add(.removes(volatileNumbers), isVolatile: true) }
    }

    /// The delivery failed: the message waits for the next one, or is dead. `delay`, in
    /// milliseconds, goes before the queue's retry policy.
    public mutating func fail(
        _ receipt: Receipt, in handle: QueueHandle? = nil, delay: Int64? = nil,
        _ failure: DeliveryFailure = DeliveryFailure()
    ) throws(QueueError) {
        let index = try leased(receipt, in: handle, .fail)
        require(queues.queues[Int(queues.slots[index].queue)].settings.durability)
        try fail(index, delay: delay, failure, at: milliseconds)
    }

    /// The holder refuses the message: it is dead, whatever attempts are left.
    public mutating func reject(
        _ receipt: Receipt, in handle: QueueHandle? = nil,
        _ failure: DeliveryFailure = DeliveryFailure(reason: "rejected")
    ) throws(QueueError) {
        let index = try leased(receipt, in: handle, .bury)
        let queue = queues.slots[index].queue
        require(queues.queues[Int(queue)].settings.durability)
        tally(queue, .failed)
        try bury(
            index, reason: failure.reason, attempt: attempt(index, failure, at: milliseconds),
            at: milliseconds)
    }

    /// Gives the message back for `delay` milliseconds; the delivery does not count.
    public mutating func snooze(
        _ receipt: Receipt, in handle: QueueHandle? = nil, delay: Int64
    ) throws(QueueError) {
        let index = try leased(receipt, in: handle, .snooze)
        var update = Update(queues.record(index))
        update.state = .scheduled
        update.attempts -= min(update.attempts, 1)
        update.time = min(milliseconds + max(0, delay), Slot.latest)
        // Whoever comes back from the process has not killed it.
        if update.isOwned { update.isSuspect = false }
        update.isOwned = false
        update.token = 0
        update.started = Self.began(milliseconds, until: update.time)
        add(.updates([update]), isVolatile: queues.slots[index].segment == Self.volatileSegment)
        require(queues.queues[Int(queues.slots[index].queue)].settings.durability)
    }

    /// Keeps the message `lease` milliseconds longer, counted from now. Throws when the queue's
    /// longest lease would be passed.
    public mutating func extend(
        _ receipt: Receipt, in handle: QueueHandle? = nil, lease: Int64? = nil
    ) throws(QueueError) {
        let index = try leased(receipt, in: handle, .extend)
        let settings = queues.queues[Int(queues.slots[index].queue)].settings
        let until = milliseconds + (lease ?? settings.lease)
        let start = queues.started(index, before: milliseconds)
        guard lease ?? 1 > 0, until <= start + settings.maxLease else {
            throw QueueError(
                .misuse,
                "the lease would last longer than the queue's max_lease of \(settings.maxLease) ms")
        }
        var update = Update(queues.record(index))
        update.time = until
        add(.updates([update]), isVolatile: queues.slots[index].segment == Self.volatileSegment)
    }
}

/// What a holder says about a delivery that failed.
public struct DeliveryFailure: Sendable, Hashable {
    /// `failed`, `rejected`, `timeout` …
    public var reason: String
    /// In words.
    public var error: String
    /// Where, as the rule's language tells it.
    public var traceback: String?
    /// The version of the rules.
    public var ruleSet: String?

    /// Describes a failure.
    public init(
        reason: String = "failed", error: String = "", traceback: String? = nil,
        ruleSet: String? = nil
    ) {
        self.reason = reason
        self.error = error
        self.traceback = traceback
        self.ruleSet = ruleSet
    }
}

extension Update {
    init(_ record: Record) {
        self.init(
            number: record.number, state: record.state, attempts: record.attempts,
            isOwned: record.isOwned, isSuspect: record.isSuspect, keepsPlace: record.keepsPlace,
            time: record.time, token: record.token, started: record.started)
    }
}

extension QueueSet {
    /// Everything a slot says, as the log has it.
    func record(_ index: UInt32) -> Record {
        var record = Record()
        let slot = slots[index]
        record.number = slot.number
        record.queue = slot.queue
        record.state = slot.state ?? .ready
        record.priority = slot.priority
        record.isOwned = slot.isOwned
        record.isSuspect = slot.isSuspect
        record.keepsPlace = slot.keepsPlace
        record.isAtMostOnce = !atMostOnce.isEmpty && atMostOnce.contains(slot.number)
        record.attempts = slot.attempts
        record.time = slot.time
        record.expiry = slot.expiry
        if slot.state != .ready {
            record.token = slot.token
            record.started = slot.started
        }
        if slot.hasKey { record.key = keys[slot.number] ?? 0 }
        record.position = slot.position
        if slot.hasHistory { record.history = histories[slot.number] }
        return record
    }

    /// When the lease of a slot began, in milliseconds.
    func started(_ index: UInt32, before now: Int64) -> Int64 {
        let ago = UInt32(truncatingIfNeeded: now) &- slots[index].started
        return now - Int64(ago)
    }
}
