/// The ids that were published, for as long as their queues say. One table and the order of time.
struct KnownIDs {
    private struct Entry {
        var until: Int64
        var number: UInt64
    }

    private var table: [IDHash: Entry] = [:]
    /// Ids in the order they came; some may have been published anew since.
    private var order: [IDHash] = []
    private var forgotten = 0
    /// How many were taken off the front of `order` for good.
    private var base = 0

    var count: Int { table.count }

    /// The number of the message that had the id, while it is known.
    func number(of id: IDHash, at now: Int64) -> UInt64? {
        guard let entry = table[id], entry.until > now else { return nil }
        return entry.number
    }

    mutating func remember(_ known: KnownID) {
        table[known.id] = Entry(until: known.until, number: known.number)
        order.append(known.id)
    }

    /// Forgets some of those whose time is over; a few with each call keep up with publishing.
    mutating func forget(before now: Int64) {
        var steps = 0
        while steps < 64, forgotten < order.count {
            let id = order[forgotten]
            // Ids of a queue with a longer window hold the others back; the check above is exact.
            if let entry = table[id] {
                if entry.until > now { break }
                table[id] = nil
            }
            forgotten += 1
            steps += 1
        }
        if forgotten > 4096, forgotten * 2 > order.count {
            order.removeFirst(forgotten)
            base += forgotten
            forgotten = 0
        }
    }

    /// Up to `limit` of them from a place on, for a snapshot; the place to go on from, or nil.
    func slice(from place: Int, limit: Int, _ visit: (KnownID) -> Void) -> Int? {
        let start = max(0, place - base)
        let end = min(order.count, start + limit)
        if start < end {
            for id in order[start..<end] {
                guard let entry = table[id] else { continue }
                visit(KnownID(id: id, until: entry.until, number: entry.number))
            }
        }
        return end < order.count ? base + end : nil
    }
}
