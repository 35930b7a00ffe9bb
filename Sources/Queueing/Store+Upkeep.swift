internal import Journal

extension Store {
    /// Copies the store into a new directory while it is used; returns the last transaction there.
    public func backup(to target: String, on disk: Place) throws(QueueError) -> UInt64 {
        let sequence = appendedSequence
        try waitUntilDurable(sequence)
        // No segment is freed while it is copied.
        guard core.startSnapshot() else {
            throw QueueError(.other, "a snapshot is being taken; try again in a moment")
        }
        defer { core.endSnapshot() }
        try QueueError.wrap { () throws(JournalError) in
            try StoreTool.copy(
                directory, to: target, upTo: sequence, sharesSegments: true, on: disk)
        }
        return sequence
    }

    /// True when the log has grown so much since the last snapshot that it is time for another:
    /// by `byteCount`, or twice what a snapshot takes, so that a deep queue is not written down
    /// more often than it is filled.
    public func needsSnapshot(every byteCount: Int = 128 << 20) -> Bool {
        core.begin()
        let size = core.transaction.queues.numbers.count * (Record.size + 5)
        core.end()
        return journal.bytesSinceSnapshot >= max(byteCount, byteCount > 0 ? 2 * size : 0)
    }

    /// How much of the log a start would read behind the last snapshot, in bytes.
    public var bytesSinceSnapshot: Int { journal.bytesSinceSnapshot }

    /// Takes a snapshot when one is due, moves what little is left in old segments to the end of
    /// the log, and frees what nobody needs. For an owner that has no entries of its own: with
    /// others in the log nothing happens. Returns how many segments were freed.
    @discardableResult
    public func keepUp(every byteCount: Int = 128 << 20) throws(QueueError) -> Int {
        guard !hasForeignEntries, needsSnapshot(every: byteCount) else { return 0 }
        try compact()
        guard let snapshot = beginSnapshot() else { return 0 }
        try snapshot.finish()
        return try freeSegments()
    }

    /// Writes messages anew that lie in segments of which less than a quarter is needed, so that
    /// these can be freed once two snapshots have passed. Returns how many.
    @discardableResult
    public func compact(limit: Int = 10_000) throws(QueueError) -> Int {
        let current = journal.segment
        core.begin()
        let live = core.transaction.queues.use.live
        core.end()
        let nearlyDead = Set(
            live.filter { $0.key + 1 < current && $0.value < journal.segmentSize / 4 }.keys)
        guard !nearlyDead.isEmpty else { return 0 }
        var moved = 0
        var from: UInt32 = 0
        while moved < limit {
            let start = from
            let (step, sequence) = try commit(.osCache) { (transaction) throws(QueueError) in
                try transaction.move(from: nearlyDead, start, limit: 256)
            }
            moved += step.count
            guard let next = step.next else { return moved }
            from = next
            try waitUntilWritten(sequence)
        }
        return moved
    }
}

extension Transaction {
    /// Writes messages of some segments anew. Slots from `start` on; where to go on, or nil.
    fileprivate mutating func move(
        from segments: Set<UInt32>, _ start: UInt32, limit: Int
    ) throws(QueueError) -> (count: Int, next: UInt32?) {
        var count = 0
        var index = start
        while index < queues.slots.end {
            let slot = queues.slots[index]
            index += 1
            guard slot.state != nil, !slot.isTouched else { continue }
            if segments.contains(slot.segment) {
                touch(index - 1)
                try rewrite(queues.record(index - 1))
                count += 1
            } else if slot.hasHistory, let position = queues.histories[slot.number],
                segments.contains(position.segment)
            {
                touch(index - 1)
                let history = try history(slot.number)
                var record = queues.record(index - 1)
                record.history = nil
                plan(.record(record), history: history)
                count += 1
            }
            if count >= limit { return (count, index) }
        }
        return (count, nil)
    }

    /// The whole message once more: what stands now, and its body.
    private mutating func rewrite(_ record: Record) throws(QueueError) {
        let old = record.position
        var bytes = try QueueError.wrap { () throws(JournalError) in try read(old) }
        var kept = record
        kept.position = LogPosition(segment: 0, offset: 0, length: 0)
        // A body's entry says where the history lies as well; it is read from the record's place.
        kept.history = record.history
        var head: [UInt8] = []
        head.put(kept)
        bytes.replaceSubrange(0..<Record.size, with: head)
        planMessage(kept, bytes)
    }
}
