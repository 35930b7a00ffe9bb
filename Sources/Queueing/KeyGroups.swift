/// Which message of an ordering key goes next: one at a time, in the order they became ready.
struct KeyGroups {
    private struct Group {
        var active: UInt64
        var waiting: [UInt64] = []
        var first = 0
    }

    /// By a hash of queue and key.
    private var groups: [UInt64: Group] = [:]

    var count: Int { groups.count }

    /// True when the message may be delivered now; otherwise it waits for its turn.
    mutating func enter(_ key: UInt64, _ number: UInt64) -> Bool {
        guard let active = groups[key]?.active else {
            groups[key] = Group(active: number)
            return true
        }
        if active == number { return true }
        groups[key]?.waiting.append(number)
        return false
    }

    func isActive(_ key: UInt64, _ number: UInt64) -> Bool { groups[key]?.active == number }

    /// The message is gone. When it was its turn: the next one that still waits.
    mutating func leave(
        _ key: UInt64, _ number: UInt64, isWaiting: (UInt64) -> Bool
    ) -> UInt64? {
        guard var group = groups[key], group.active == number else { return nil }
        groups[key] = nil
        while group.first < group.waiting.count {
            let next = group.waiting[group.first]
            group.first += 1
            guard isWaiting(next) else { continue }
            if group.first > 64, group.first * 2 > group.waiting.count {
                group.waiting.removeFirst(group.first)
                group.first = 0
            }
            group.active = next
            groups[key] = group
            return next
        }
        return nil
    }
}
