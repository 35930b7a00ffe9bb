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

    /// True when the message may be delivered now; otherwise it waits for its turn, `byNumber` in
    /// front of the first later one.
    mutating func enter(_ key: UInt64, _ number: UInt64, byNumber: Bool = false) -> Bool {
        guard let active = groups[key]?.active else {
            groups[key] = Group(active: number)
            return true
        }
        if active == number { return true }
        let place = byNumber ? waiting(key).firstIndex { $0 > number } : nil
        if let place {
            groups[key]?.waiting.insert(number, at: place)
        } else {
            groups[key]?.waiting.append(number)
        }
        return false
    }

    /// The message whose turn it is.
    func active(_ key: UInt64) -> UInt64? { groups[key]?.active }

    /// Those that wait, the next one first; some may have gone.
    func waiting(_ key: UInt64) -> ArraySlice<UInt64> {
        groups[key].map { $0.waiting[$0.first...] } ?? []
    }

    /// It is this message's turn; the one whose turn it was is next.
    mutating func goBefore(_ key: UInt64, _ number: UInt64) {
        guard var group = groups[key] else { return }
        group.waiting.removeFirst(group.first)
        group.waiting.removeAll { $0 == number }
        group.waiting.insert(group.active, at: 0)
        group.first = 0
        group.active = number
        groups[key] = group
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
