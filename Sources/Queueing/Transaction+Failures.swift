internal import Journal

extension Transaction {
    /// A delivery as its history tells it; it ended at `end`, in milliseconds.
    func attempt(
        _ index: UInt32, _ failure: DeliveryFailure, at end: Int64
    ) -> MessageHistory.Attempt {
        var attempt = MessageHistory.Attempt(
            number: Int(queues.slots[index].attempts), reason: failure.reason,
            error: failure.error, startedAt: queues.started(index, before: end), endedAt: end)
        attempt.traceback = failure.traceback
        attempt.ruleSet = failure.ruleSet
        return attempt
    }

    /// What happened to a message so far.
    func history(_ number: UInt64) throws(QueueError) -> MessageHistory {
        guard let position = queues.histories[number] else { return MessageHistory() }
        let bytes: [UInt8]
        do throws(JournalError) { bytes = try read(position) } catch {
            // What happened to it is not worth the message.
            guard error.code == .damaged else { throw QueueError(error) }
            return MessageHistory()
        }
        return MessageHistory(entry: unsafe bytes.span.bytes) ?? MessageHistory()
    }

    /// A leased message failed, at `end`: it waits from then on, or is dead when its attempts are
    /// used up. Milliseconds.
    mutating func fail(
        _ index: UInt32, delay: Int64?, _ failure: DeliveryFailure, at end: Int64
    ) throws(QueueError) {
        let slot = queues.slots[index]
        let settings = queues.queues[Int(slot.queue)].settings
        tally(slot.queue, .failed)
        let attempt = attempt(index, failure, at: end)
        if let limit = settings.maxAttempts, Int(slot.attempts) >= limit {
            try bury(index, reason: "max_attempts", attempt: attempt, at: end)
            return
        }
        var answer = RetryFunction.Answer.unknown
        if let delay {
            answer = .wait(delay)
        } else {
            answer = try self.answer(index, settings.retry, failure)
        }
        let wait: Int64
        switch answer {
        case .wait(let given): wait = given
        case .unknown: wait = settings.retry.wait(after: Int(slot.attempts), random: &random)
        case .dead:
            try bury(index, reason: "given_up", attempt: attempt, at: end)
            return
        }
        var record = queues.record(index)
        record.state = .retrying
        record.time = min(end + max(0, wait), Slot.latest)
        // Whoever comes back from the process has not killed it.
        if slot.isOwned { record.isSuspect = false }
        record.isOwned = false
        record.token = 0
        record.started = Self.began(end, until: record.time)
        if slot.segment == Self.volatileSegment {
            add(.record(record), isVolatile: true)
            return
        }
        var history = try history(slot.number)
        history.add(attempt)
        record.history = nil
        plan(.record(record), history: history)
    }

    /// A message is dead since `end`: it goes to the queue for the dead with all that happened to
    /// it, or away. Milliseconds.
    mutating func bury(
        _ index: UInt32, reason: String, attempt: MessageHistory.Attempt?, at end: Int64
    ) throws(QueueError) {
        if !queues.slots[index].isTouched { touch(index) }
        let slot = queues.slots[index]
        let source = queues.queues[Int(slot.queue)].settings
        tally(slot.queue, .dead)
        let place = source.deadLetterTarget.flatMap { $0 == source.name ? nil : $0 }
        deaths.append(
            (
                slot.queue,
                DeathNotice(
                    queue: source.name, reason: reason, count: 1, target: place,
                    error: attempt.flatMap { $0.error.isEmpty ? nil : $0.error })
            ))
        let isVolatile = slot.segment == Self.volatileSegment
        guard let name = place else {
            add(.removes([slot.number]), isVolatile: isVolatile)
            return
        }
        let target = queues.names[name] ?? queues.declare(.deadLetters(name))
        queues.queues[Int(target)].isDeadLetterQueue = true
        if !isVolatile { register(target) }
        var history = try history(slot.number)
        if let attempt { history.add(attempt) }
        history.reason = reason
        history.sourceQueue = source.name
        // Nobody dies before his last delivery has ended.
        history.deadAt = max(end, history.attempts.last?.endedAt ?? end)
        var record = queues.record(index)
        record.queue = target
        record.state = .ready
        record.attempts = 0
        record.isSuspect = false
        record.keepsPlace = false
        record.isOwned = false
        record.time = max(milliseconds, queues.latestStamp)
        // It must not expire again: somebody is to look at it.
        record.expiry = 0
        record.token = 0
        record.started = 0
        // Only the one whose turn it was can keep the others of its key waiting.
        let blocksKey =
            source.blocksKeyOfDead && queues.groups.isActive(record.key, record.number)
        if !blocksKey { record.key = 0 }
        record.isAtMostOnce = false
        record.history = nil
        if isVolatile {
            add(.record(record), isVolatile: true)
        } else {
            plan(.record(record), history: history)
        }
    }

    /// Does what time does by itself, as far as `budget` goes. False when there is more to do. What
    /// happens late happens as of the time when it was due.
    mutating func advance(budget: Int) throws(QueueError) -> Bool {
        var rest = budget
        if max(0, milliseconds) + Self.clockTolerance < queues.wheel.current {
            queues.clockWentBack(to: max(0, milliseconds))
        }
        while let index = queues.wheel.popDue(milliseconds, &rest, &queues.slots) {
            let slot = queues.slots[index]
            switch slot.state {
            case .leased:
                tally(slot.queue, .leaseExpired)
                try fail(
                    index, delay: nil, DeliveryFailure(reason: "lease_expired"), at: slot.time)
            case .ready:
                try bury(index, reason: "expired", attempt: nil, at: slot.expiry)
            case .scheduled, .retrying:
                if slot.expiry != 0, slot.expiry <= milliseconds {
                    try bury(index, reason: "expired", attempt: nil, at: slot.expiry)
                } else {
                    queues.becomeReady(index)
                }
            case nil: break
            }
        }
        queues.known.forget(before: milliseconds)
        return rest > 0
    }
}

extension Transaction {
    /// How far clocks are put back every now and then without anything happening, in milliseconds.
    fileprivate static let clockTolerance: Int64 = 1_000
}

extension MessageHistory {
    /// The history behind a record; nil when there is none.
    init?(entry: RawSpan) {
        var reader = EntryReader(entry, at: Record.size)
        self.init(&reader)
    }
}
