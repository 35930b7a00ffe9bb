import Queueing

/// A queue and its dead letters as plainly as they can be written: arrays, searched from the front.
struct QueueModel {
    struct Item: Hashable {
        var number: UInt64
        var id: String
        var payload: String
        var priority: UInt8
        var state: MessageState
        /// When it is due, until when it is leased, or since when it is ready.
        var time: Int64
        var expiry: Int64
        var attempts = 0
        var receipt: Receipt?
        var reason: String?
        /// The process that has the store has it.
        var isOwned = false
        /// It came back from a process that ended.
        var keepsPlace = false
    }

    var settings: QueueSettings
    /// In the order in which they came to their state.
    var items: [Item] = []
    var dead: [Item] = []
    var known: [String: (until: Int64, number: UInt64)] = [:]
    var now: Int64 = 0
    /// Groups of messages that were under way in a process that died, in the order of their turn.
    var groups: [[UInt64]] = []
    /// How often each was alone then.
    var deaths: [UInt64: Int] = [:]
    /// Until when nothing is handed over, so that a group can be alone.
    var drainsUntil: Int64?

    var counts: [Int] {
        [MessageState.ready, .scheduled, .leased, .retrying].map { state in
            items.count { $0.state == state }
        }
    }

    mutating func advance(to time: Int64) {
        now = time
        while true {
            let due = items.indices.filter { deadline(items[$0]) <= now }
            guard let index = due.min(by: { deadline(items[$0]) < deadline(items[$1]) }) else {
                return
            }
            var item = items.remove(at: index)
            if item.state == .leased {
                fail(item, delay: nil, at: item.time)
            } else if item.expiry != 0, item.expiry <= now {
                bury(item, "expired")
            } else {
                item.state = .ready
                items.append(item)
            }
        }
    }

    // MARK: - Suspects

    private func isSuspect(_ item: Item) -> Bool { groups.contains { $0.contains(item.number) } }

    private mutating func clear(_ number: UInt64) {
        for place in groups.indices { groups[place].removeAll { $0 == number } }
        groups.removeAll(where: \.isEmpty)
        deaths[number] = nil
    }

    /// Those that the process would be given, in order.
    mutating func nextOwned(_ count: Int) -> [Item] {
        if groups.isEmpty { return next(count) }
        let isFull = items.count >= settings.maxSize
        let owned = items.filter(\.isOwned)
        func ready(_ group: [UInt64]) -> [Item] {
            items.filter { $0.state == .ready && group.contains($0.number) }
                .sorted { $0.number < $1.number }
        }
        var others = self
        others.items.removeAll { isSuspect($0) }
        if let first = owned.first(where: isSuspect) {
            let group = groups.first { $0.contains(first.number) } ?? []
            return isFull ? others.next(count) : Array(ready(group).prefix(count))
        }
        for group in groups where !ready(group).isEmpty {
            if owned.isEmpty {
                drainsUntil = nil
                return Array(ready(group).prefix(count))
            }
            if (drainsUntil ?? 0) <= now { drainsUntil = now + 10_000 }
            return isFull ? others.next(count) : []
        }
        return (drainsUntil ?? 0) > now && !isFull ? [] : others.next(count)
    }

    /// The process died: what it had stands where it stood, and is suspected.
    private mutating func die() {
        let lost = items.filter(\.isOwned).sorted { $0.number < $1.number }
        drainsUntil = nil
        guard !lost.isEmpty else { return }
        let half = (lost.count + 1) / 2
        for item in lost {
            for place in groups.indices { groups[place].removeAll { $0 == item.number } }
            let index = items.firstIndex { $0.number == item.number } ?? 0
            items[index].isOwned = false
            items[index].keepsPlace = true
            items[index].receipt = nil
            items[index].attempts -= 1
            items[index].state = .ready
            items[index].time = now
        }
        groups.append(lost.prefix(half).map(\.number))
        groups.append(lost.dropFirst(half).map(\.number))
        groups.removeAll(where: \.isEmpty)
        guard lost.count == 1, let number = lost.first?.number,
            let index = items.firstIndex(where: { $0.number == number })
        else { return }
        deaths[number, default: 0] += 1
        if deaths[number] == settings.maxDeaths {
            bury(items[index], "poison")
        } else if deaths[number] == settings.maxDeaths - 1 {
            items[index].state = .retrying
            items[index].time = now + 60_000
        }
    }

    private func deadline(_ item: Item) -> Int64 {
        let expiry = item.expiry == 0 ? Int64.max : item.expiry
        switch item.state {
        case .leased: return item.time
        case .ready: return expiry
        case .scheduled, .retrying: return min(item.time, expiry)
        }
    }

    /// Nil when it is refused; true when it is a duplicate.
    mutating func publish(_ item: Item, hasID: Bool) -> Bool? {
        if hasID, let window = settings.deduplicate {
            if let until = known[item.id]?.until, until > now { return true }
            if items.count >= settings.maxSize { return nil }
            known[item.id] = (now + window, item.number)
        } else if items.count >= settings.maxSize {
            return nil
        }
        items.append(item)
        return false
    }

    /// It is gone by order, and its id is known no more.
    mutating func cancel(_ item: Item) {
        remove(item.number)
        if known[item.id]?.number == item.number { known[item.id] = nil }
    }

    /// Those that would be received, in order.
    func next(_ count: Int) -> [Item] {
        var ready = items.filter { $0.state == .ready }
        var chosen: [Item] = []
        while chosen.count < count, let best = ready.map(\.priority).max() {
            let line = ready.filter { $0.priority == best }
            let back = line.filter { $0.attempts > 0 || $0.keepsPlace }
                .min { $0.number < $1.number }
            let first = line.first { $0.attempts == 0 && !$0.keepsPlace }
            guard let item = [back, first].compactMap({ $0 }).min(by: { $0.number < $1.number })
            else { break }
            chosen.append(item)
            ready.removeAll { $0.number == item.number }
        }
        return chosen
    }

    mutating func lease(_ number: UInt64, _ receipt: Receipt, isOwned: Bool, until: Int64) {
        guard let index = items.firstIndex(where: { $0.number == number }) else { return }
        items[index].state = .leased
        items[index].attempts += 1
        items[index].isOwned = isOwned
        items[index].time = until
        items[index].receipt = receipt
    }

    /// The message that is leased with this receipt.
    func leased(_ receipt: Receipt) -> Item? {
        items.first { $0.state == .leased && $0.receipt == receipt }
    }

    /// Takes it out, for good.
    mutating func remove(_ number: UInt64) {
        takeOut(number)
        clear(number)
    }

    private mutating func takeOut(_ number: UInt64) { items.removeAll { $0.number == number } }

    /// The delivery ended then.
    mutating func fail(_ item: Item, delay: Int64?, at end: Int64) {
        var item = item
        takeOut(item.number)
        if item.attempts >= settings.maxAttempts ?? .max { return bury(item, "max_attempts") }
        if item.isOwned { clear(item.number) }
        item.isOwned = false
        item.state = .retrying
        item.time = end + (delay ?? settings.retry.base * Int64(1 << (item.attempts - 1)))
        item.receipt = nil
        items.append(item)
    }

    mutating func bury(_ item: Item, _ reason: String) {
        remove(item.number)
        var item = item
        item.reason = reason
        item.state = .ready
        item.attempts = 0
        item.isOwned = false
        item.keepsPlace = false
        dead.append(item)
    }

    mutating func snooze(_ item: Item, delay: Int64) {
        var item = item
        takeOut(item.number)
        if item.isOwned { clear(item.number) }
        item.isOwned = false
        item.state = .scheduled
        item.attempts -= 1
        item.time = now + delay
        item.receipt = nil
        items.append(item)
    }

    mutating func redrive() -> Int {
        let fitting = dead.sorted { $0.number < $1.number }
            .prefix(max(0, settings.maxSize - items.count))
        for item in fitting {
            var item = item
            dead.removeAll { $0.number == item.number }
            item.reason = nil
            item.expiry = 0
            item.time = now
            items.append(item)
        }
        return fitting.count
    }

    /// The process dies and another one starts. The order follows from the times alone.
    mutating func restart() {
        die()
        items.sort { ($0.time, $0.number) < ($1.time, $1.number) }
    }
}
