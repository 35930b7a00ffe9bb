/// Messages of the process that has the store, when it ends, and when it was found to have died.
extension Transaction {
    /// What a transaction gave to the process, while there are suspects.
    enum HandedOut { case nothing, suspects, others }

    /// The messages of a queue that may be handed over to the process while there are suspects.
    mutating func trialIndices(_ queue: UInt16, _ limit: Int) -> [UInt32] {
        // What this transaction gave it is not under way yet.
        if handedOut == .suspects { return [] }
        let state = queues.queues[Int(queue)]
        let leases = queues.ownedLeases + (handedOut == .others ? 1 : 0)
        var trial = queues.trial
        let permission = trial.permission(
            at: milliseconds, leases: leases,
            mayWait: state.counts.size < state.settings.maxSize
        ) { queues.isReady($0, in: queue, at: milliseconds) }
        queues.trial = trial
        switch permission {
        case .nothing: return []
        case .others:
            handedOut = .others
            return readyIndices(queue, limit, leavesSuspects: true)
        case .suspects(let numbers):
            handedOut = .suspects
            return numbers.prefix(limit).compactMap { queues.numbers.find($0, queues.slots) }
        }
    }

    /// Gives leases of this process back unprocessed, because it ends in order: they do not count.
    mutating func releaseOwnedLeases() {
        var updates: [Update] = []
        for index in 0..<queues.slots.end {
            let slot = queues.slots[index]
            guard slot.state == .leased, slot.isOwned, slot.segment != Self.volatileSegment else {
                continue
            }
            updates.append(Update(returned(index)))
        }
        if !updates.isEmpty { plan(.updates(updates)) }
    }

    /// A message that was handed over in vain: the delivery does not count, and it stands where it
    /// stood.
    private func returned(_ index: UInt32) -> Record {
        var record = queues.record(index)
        record.state = .ready
        record.attempts -= min(record.attempts, 1)
        record.time = milliseconds
        record.isOwned = false
        record.keepsPlace = true
        record.token = 0
        record.started = 0
        return record
    }

    /// Leases of a process that died: none of them counts as an attempt, but all of them are
    /// suspects, and one that was alone often enough is poison.
    mutating func endOwnedLeases() throws(QueueError) {
        var indices: [UInt64: UInt32] = [:]
        for index in 0..<queues.slots.end {
            let slot = queues.slots[index]
            if slot.state == .leased, slot.isOwned { indices[slot.number] = index }
        }
        guard !indices.isEmpty else { return }
        let findings = queues.trial.death(of: Array(indices.keys), knowsAll: knowsAllLeases) {
            indices[$0].map { queues.queues[Int(queues.slots[$0].queue)].settings.maxDeaths } ?? 1
        }
        var updates: [Update] = []
        var suspects: [SuspectRecord] = []
        for finding in findings {
            guard let index = indices[finding.number] else { continue }
            if finding.isPoison {
                tally(queues.slots[index].queue, .failed)
                try bury(
                    index, reason: "poison", attempt: death(index), at: milliseconds)
                continue
            }
            var record = returned(index)
            record.isSuspect = true
            if finding.wait > 0 {
                record.state = .retrying
                record.time = milliseconds + finding.wait
                record.started = Self.began(milliseconds, until: record.time)
            }
            suspects.append(SuspectRecord(number: finding.number, suspect: finding.suspect))
            if finding.wasAlone {
                var history = try history(finding.number)
                history.add(death(index))
                record.history = nil
                plan(.record(record), history: history)
            } else {
                updates.append(Update(record))
            }
        }
        if !updates.isEmpty { plan(.updates(updates)) }
        if !suspects.isEmpty { plan(.suspects(suspects)) }
    }

    private func death(_ index: UInt32) -> MessageHistory.Attempt {
        attempt(
            index,
            DeliveryFailure(
                reason: "process_died", error: "the process died while it had this message alone"),
            at: milliseconds)
    }

    /// False when the process may have had messages that left no lease in the log.
    private var knowsAllLeases: Bool {
        !queues.queues.contains { queue in
            queue.isDeclared
                && (queue.settings.durability == .memory || queue.settings.delivery == .atMostOnce)
        }
    }
}

extension QueueSet {
    /// True when a message of a queue could be handed over.
    func isReady(_ number: UInt64, in queue: UInt16, at now: Int64) -> Bool {
        guard let index = numbers.find(number, slots) else { return false }
        let slot = slots[index]
        return slot.queue == queue && slot.state == .ready && !slot.isBlocked && !slot.isTouched
            && (slot.expiry == 0 || slot.expiry > now)
    }
}
