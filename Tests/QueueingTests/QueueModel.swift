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
    }

    var settings: QueueSettings
    /// In the order in which they came to their state.
    var items: [Item] = []
    var dead: [Item] = []
    var known: [String: Int64] = [:]
    var now: Int64 = 0

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
                fail(item, delay: nil)
            } else if item.expiry != 0, item.expiry <= now {
                bury(item, "expired")
            } else {
                item.state = .ready
                items.append(item)
            }
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
            if let until = known[item.id], until > now { return true }
            if items.count >= settings.maxSize { return nil }
            known[item.id] = now + window
        } else if items.count >= settings.maxSize {
            return nil
        }
        items.append(item)
        return false
    }

    /// Those that would be received, in order.
    func next(_ count: Int) -> [Item] {
        var ready = items.filter { $0.state == .ready }
        var chosen: [Item] = []
        while chosen.count < count, let best = ready.map(\.priority).max() {
            let line = ready.filter { $0.priority == best }
            let back = line.filter { $0.attempts > 0 }.min { $0.number < $1.number }
            let first = line.first { $0.attempts == 0 }
            guard let item = [back, first].compactMap({ $0 }).min(by: { $0.number < $1.number })
            else { break }
            chosen.append(item)
            ready.removeAll { $0.number == item.number }
        }
        return chosen
    }

    mutating func lease(_ number: UInt64, _ receipt: Receipt, until: Int64) {
        guard let index = items.firstIndex(where: { $0.number == number }) else { return }
        items[index].state = .leased
        items[index].attempts += 1
        items[index].time = until
        items[index].receipt = receipt
    }

    /// The message that is leased with this receipt.
    func leased(_ receipt: Receipt) -> Item? {
        items.first { $0.state == .leased && $0.receipt == receipt }
    }

    mutating func remove(_ number: UInt64) { items.removeAll { $0.number == number } }

    mutating func fail(_ item: Item, delay: Int64?) {
        var item = item
        remove(item.number)
        if item.attempts >= settings.maxAttempts ?? .max { return bury(item, "max_attempts") }
        item.state = .retrying
        item.time = now + (delay ?? settings.retry.base * Int64(1 << (item.attempts - 1)))
        item.receipt = nil
        items.append(item)
    }

    mutating func bury(_ item: Item, _ reason: String) {
        remove(item.number)
        var item = item
        item.reason = reason
        item.state = .ready
        item.attempts = 0
        dead.append(item)
    }

    mutating func snooze(_ item: Item, delay: Int64) {
        var item = item
        remove(item.number)
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

    /// After a restart the order follows from the times alone.
    mutating func restart() {
        items.sort { ($0.time, $0.number) < ($1.time, $1.number) }
    }
}
