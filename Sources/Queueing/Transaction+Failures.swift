internal import Journal

extension Transaction {
    /// A delivery as its history tells it.
    func attempt(_ index: UInt32, _ failure: DeliveryFailure) -> MessageHistory.Attempt {
        var attempt = MessageHistory.Attempt(
            number: Int(queues.slots[index].attempts), reason: failure.reason,
            error: failure.error, startedAt: queues.started(index, before: milliseconds),
            endedAt: milliseconds)
        attempt.traceback = failure.traceback
        attempt.ruleSet = failure.ruleSet
        return attempt
    }

    /// What happened to a message so far.
    func history(_ number: UInt64) throws(QueueError) -> MessageHistory {
        guard let position = queues.histories[number] else { return MessageHistory() }
        let bytes = try QueueError.wrap { () throws(JournalError) in try read(position) }
        return MessageHistory(entry: unsafe bytes.span.bytes) ?? MessageHistory()
    }

    /// A leased message failed: it waits, or is dead when its attempts are used up.
    mutating func fail(
        _ index: UInt32, delay: Int64?, _ failure: DeliveryFailure
    ) throws(QueueError) {
        let slot = queues.slots[index]
        let settings = queues.queues[Int(slot.queue)].settings
        tally(slot.queue, .failed)
        let attempt = attempt(index, failure)
        if let limit = settings.maxAttempts, Int(slot.attempts) >= limit {
            try bury(index, reason: "max_attempts", attempt: attempt)
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
            try bury(index, reason: "given_up", attempt: attempt)
            return
        }
        var record = queues.record(index)
        record.state = .retrying
        record.time = min(milliseconds + max(0, wait), Slot.latest)
        record.isOwned = false
        record.token = 0
        record.started = 0
        if failure.reason != "lease_expired" || !slot.isOwned { record.deaths = 0 }
        if slot.segment == Self.volatileSegment {
            add(.record(record), isVolatile: true)
            return
        }
        var history = try history(slot.number)
        history.add(attempt)
        record.history = nil
        plan(.record(record), history: history)
    }

    /// A message is dead: it goes to the queue for the dead with all that happened to it, or away.
    mutating func bury(
        _ index: UInt32, reason: String, attempt: MessageHistory.Attempt?
    ) throws(QueueError) {
        if !queues.slots[index].isTouched { touch(index) }
        let slot = queues.slots[index]
        let source = queues.queues[Int(slot.queue)].settings
        tally(slot.queue, .dead)
        let isVolatile = slot.segment == Self.volatileSegment
        guard let name = source.deadLetterTarget, name != source.name else {
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
        history.deadAt = milliseconds
        var record = queues.record(index)
        record.queue = target
        record.state = .ready
        record.attempts = 0
        record.deaths = 0
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

    /// Does what time does by itself, as far as `budget` goes. False when there is more to do.
    mutating func advance(budget: Int) throws(QueueError) -> Bool {
        var rest = budget
        while let index = queues.wheel.popDue(milliseconds, &rest, &queues.slots) {
            let slot = queues.slots[index]
            switch slot.state {
            case .leased:
                tally(slot.queue, .leaseExpired)
                try fail(index, delay: nil, DeliveryFailure(reason: "lease_expired"))
            case .ready:
                try bury(index, reason: "expired", attempt: nil)
            case .scheduled, .retrying:
                if slot.expiry != 0, slot.expiry <= milliseconds {
                    try bury(index, reason: "expired", attempt: nil)
                } else {
                    queues.becomeReady(index)
                }
            case nil: break
            }
        }
        queues.known.forget(before: milliseconds)
        return rest > 0
    }

    /// Gives leases of this process back unprocessed, because it ends in order: they do not count.
    mutating func releaseOwnedLeases() {
        var updates: [Update] = []
        for index in 0..<queues.slots.end {
            let slot = queues.slots[index]
            guard slot.state == .leased, slot.isOwned, slot.segment != Self.volatileSegment else {
                continue
            }
            var update = Update(queues.record(index))
            update.state = .scheduled
            update.attempts -= min(update.attempts, 1)
            update.time = milliseconds
            update.isOwned = false
            update.token = 0
            update.started = 0
            updates.append(update)
        }
        if !updates.isEmpty { plan(.updates(updates)) }
    }

    /// Leases that ended with the process that had them: each was a delivery that failed; the third
    /// in a row makes the message poison.
    mutating func endOwnedLeases() throws(QueueError) {
        for index in 0..<queues.slots.end {
            let slot = queues.slots[index]
            guard slot.state == .leased, slot.isOwned else { continue }
            let failure = DeliveryFailure(
                reason: "lease_expired", error: "the process that had it ended")
            queues.slots[index].deaths = slot.deaths + 1
            if slot.deaths + 1 >= 3 {
                tally(slot.queue, .failed)
                try bury(index, reason: "poison", attempt: attempt(index, failure))
            } else {
                try fail(index, delay: nil, failure)
            }
        }
    }
}

extension MessageHistory {
    /// The history behind a record; nil when there is none.
    init?(entry: RawSpan) {
        var reader = EntryReader(entry, at: Record.size)
        self.init(&reader)
    }
}
