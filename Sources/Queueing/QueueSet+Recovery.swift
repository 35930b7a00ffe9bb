internal import Journal

extension QueueSet {
    /// Makes lines, timers and counts from the messages the log left. `now` is milliseconds.
    mutating func finishRecovery(now: Int64) {
        isRecovering = false
        wheel.start(at: now)
        settleTrial()
        var ready: [[[UInt32]]] = queues.map { _ in Array(repeating: [], count: 10) }
        var others: [UInt32] = []
        for index in 0..<slots.end {
            guard let state = slots[index].state else { continue }
            shorten(index, now: now)
            let isDue =
                state != .leased && slots[index].time <= now
                && (slots[index].expiry == 0 || slots[index].expiry > now)
            if state == .ready || isDue {
                slots[index].state = .ready
                ready[Int(slots[index].queue)][Int(slots[index].priority)].append(index)
            } else {
                others.append(index)
            }
        }
        // Those of an ordering key that are under way come before those that wait for them.
        for index in others {
            if slots[index].hasKey, slots[index].state != .scheduled,
                let key = keys[slots[index].number]
            {
                _ = groups.enter(key, slots[index].number)
            }
            attach(index)
        }
        // Priorities do not matter inside a key: its order does.
        attachKeyed(ready)
        for line in ready.joined() { attachLine(line) }
    }

    private func isBefore(_ left: UInt32, _ right: UInt32) -> Bool {
        let (first, second) = (slots[left], slots[right])
        return first.time != second.time
            ? first.time < second.time : first.number < second.number
    }

    private func isSorted(_ line: [UInt32]) -> Bool {
        for place in line.indices.dropFirst() where isBefore(line[place], line[place - 1]) {
            return false
        }
        return true
    }

    private mutating func attachLine(_ line: [UInt32]) {
        var line = line.filter { !slots[$0].hasKey }
        if !isSorted(line) { line.sort(by: isBefore) }
        for index in line { attach(index) }
    }

    private mutating func attachKeyed(_ ready: [[[UInt32]]]) {
        guard !keys.isEmpty else { return }
        let keyed = ready.joined().joined().filter { slots[$0].hasKey }
        // Whoever holds its key goes before those that wait for it: one that was delivered
        // already, or a dead one that blocks it.
        let targets = Set(queues.compactMap(\.settings.deadLetterTarget))
        func isDead(_ index: UInt32) -> Bool {
            targets.contains(queues[Int(slots[index].queue)].settings.name)
        }
        let held = keyed.filter { index in
            slots[index].attempts > 0 || slots[index].keepsPlace || isDead(index)
        }
        let holders = Set(held)
        for index in held.filter(isDead).sorted(by: isBefore) { attach(index) }
        for index in held.filter({ !isDead($0) }).sorted(by: { slots[$0].number < slots[$1].number }
        ) { attach(index) }
        for index in keyed.filter({ !holders.contains($0) }).sorted(by: isBefore) {
            attach(index)
        }
    }
}

extension QueueSet {
    /// The clock was put back: what was measured with it before must not last longer than was
    /// meant. Milliseconds; costs as much as there are messages.
    mutating func clockWentBack(to now: Int64) {
        wheel = TimerWheel()
        wheel.start(at: now)
        for index in 0..<slots.end where slots[index].state != nil {
            slots[index].isTimed = false
            shorten(index, now: now)
            wheel.insert(index, &slots)
        }
    }

    /// A lease, or a wait, that began later than now began with a wrong clock: it begins now. What
    /// waits until a time that somebody gave stays as it is.
    private mutating func shorten(_ index: UInt32, now: Int64) {
        let slot = slots[index]
        guard slot.state == .leased || slot.state != .ready && slot.started != 0 else { return }
        let length = Int64(UInt32(truncatingIfNeeded: slot.time) &- slot.started)
        if slot.time > now + length { slots[index].time = now + length }
    }

    /// Brings together what the messages and the log's list say of suspects.
    private mutating func settleTrial() {
        for number in trial.suspects.keys {
            let index = numbers.find(number, slots)
            if index.map({ slots[$0].isSuspect }) != true { trial.clear(number) }
        }
        for index in 0..<slots.end where slots[index].isSuspect {
            if trial.suspects[slots[index].number] == nil { slots[index].isSuspect = false }
        }
    }

    /// The log says what is known of a suspect.
    mutating func apply(_ record: SuspectRecord) {
        // In a snapshot the table of numbers is made at the end.
        if !isRestoring {
            guard let index = numbers.find(record.number, slots), slots[index].isSuspect else {
                return
            }
        }
        trial.set(record.number, record.suspect)
    }
}
