internal import Journal

extension QueueSet {
    /// Makes lines, timers and counts from the messages the log left. `now` is milliseconds.
    mutating func finishRecovery(now: Int64) {
        isRecovering = false
        wheel.start(at: now)
        var ready: [[[UInt32]]] = queues.map { _ in Array(repeating: [], count: 10) }
        var others: [UInt32] = []
        for index in 0..<slots.end {
            guard let state = slots[index].state else { continue }
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
        let held = keyed.filter { index in
            slots[index].attempts > 0
                || targets.contains(queues[Int(slots[index].queue)].settings.name)
        }
        let holders = Set(held)
        for index in held.sorted(by: isBefore) { attach(index) }
        for index in keyed.filter({ !holders.contains($0) }).sorted(by: isBefore) {
            attach(index)
        }
    }
}
