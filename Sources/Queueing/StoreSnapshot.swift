public import Journal

/// A snapshot that is being taken, bit by bit, while transactions go on. One thread. When it goes
/// without `finish` nothing is left but a file that counts for nothing.
public final class StoreSnapshot<Place: Disk> {
    private let store: Store<Place>
    /// Replay starts behind this transaction.
    private let begin: UInt64
    /// Made with the first piece, on the thread that writes: whoever begins waits for no disk.
    private var writer: SnapshotWriter<Place.Handle>?
    private var step = Step.queues
    private var buffer: [UInt8] = []
    private var isEnded = false

    private enum Step {
        case queues
        case messages(UInt32)
        case ids(Int)
        case done
    }

    init(_ store: Store<Place>) {
        self.store = store
        begin = store.appendedSequence
    }

    deinit {
        if !isEnded { store.core.endSnapshot() }
    }

    /// Adds an entry that is not the queues': it comes back at recovery, before those of the frames
    /// after the snapshot's begin. `kind` is 64 or above. It may say what is true now.
    public func add(kind: UInt8, _ bytes: RawSpan) throws(QueueError) {
        precondition(kind >= Operation.foreignKind, "kinds below 64 are the queues' own")
        buffer.removeAll(keepingCapacity: true)
        buffer.put(UInt32(bytes.byteCount))
        buffer.put(kind)
        buffer.put(bytes)
        try flush()
    }

    /// Adds an entry from an array.
    public func add(kind: UInt8, _ bytes: [UInt8]) throws(QueueError) {
        try unsafe add(kind: kind, bytes.span.bytes)
    }

    /// Writes one slice of the queues; the lock is held for a millisecond or two. False when all
    /// of them are written.
    public func writeSlice() throws(QueueError) -> Bool {
        buffer.removeAll(keepingCapacity: true)
        store.core.begin()
        switch step {
        case .queues:
            store.core.transaction.queues.putQueues(into: &buffer)
            step = .messages(0)
        case .messages(let index):
            let next = store.core.transaction.queues.putMessages(from: index, into: &buffer)
            step = next.map { .messages($0) } ?? .ids(0)
        case .ids(let place):
            let next = store.core.transaction.queues.putIDs(from: place, into: &buffer)
            step = next.map { .ids($0) } ?? .done
        case .done: break
        }
        store.core.end()
        try flush()
        if case .done = step { return false }
        return true
    }

    /// Writes what is left, waits for the disk, and makes it the newest snapshot.
    public func finish() throws(QueueError) {
        while try writeSlice() {}
        isEnded = true
        defer { store.core.endSnapshot() }
        let journal = store.journal
        do throws(JournalError) {
            if writer == nil { writer = try journal.beginSnapshot(behind: begin) }
            guard var whole = writer else { return }
            writer = nil
            try journal.finishSnapshot(&whole)
        } catch { throw QueueError(error) }
    }

    private func flush() throws(QueueError) {
        guard !buffer.isEmpty else { return }
        var bytes: [UInt8] = []
        swap(&bytes, &buffer)
        defer { swap(&bytes, &buffer) }
        do throws(JournalError) {
            if writer == nil { writer = try store.journal.beginSnapshot(behind: begin) }
            try unsafe writer?.write(bytes.span.bytes)
        } catch { throw QueueError(error) }
    }
}

extension Store {
    /// Begins a snapshot, or nil while another one is being taken. Entries that are not the queues'
    /// must be added to it, or they are lost: only their owner may take one when there are any.
    public func beginSnapshot() -> StoreSnapshot<Place>? {
        guard core.startSnapshot() else { return nil }
        return StoreSnapshot(self)
    }

    /// Frees segments that nobody needs; returns how many. None while a copy is made or a snapshot
    /// is taken.
    public func freeSegments() throws(QueueError) -> Int {
        guard core.startSnapshot() else { return 0 }
        defer { core.endSnapshot() }
        core.begin()
        let live = Set(core.transaction.queues.use.live.keys)
        core.end()
        return try QueueError.wrap { () throws(JournalError) in
            try journal.freeSegments(live: live)
        }
    }
}

extension Core {
    func startSnapshot() -> Bool {
        begin()
        defer { end() }
        if isTakingSnapshot { return false }
        isTakingSnapshot = true
        return true
    }

    func endSnapshot() {
        begin()
        isTakingSnapshot = false
        end()
    }
}

extension QueueSet {
    private func put(_ kind: Operation.Kind, _ size: Int, into bytes: inout [UInt8]) {
        bytes.put(UInt32(size))
        bytes.put(kind.rawValue)
    }

    func putQueues(into bytes: inout [UInt8]) {
        for (number, state) in queues.enumerated() where state.isRegistered {
            var item: [UInt8] = []
            item.put(
                QueueRecord(
                    queue: UInt16(number), isPublishPaused: state.isPublishPaused,
                    isConsumePaused: state.isConsumePaused, name: state.settings.name))
            put(.queue, item.count, into: &bytes)
            bytes += item
            var totals: [UInt8] = []
            totals.put(state.totals, UInt16(number), QueueTotals.allBits)
            put(.totals, totals.count, into: &bytes)
            bytes += totals
        }
        put(.counter, 8, into: &bytes)
        bytes.put(nextNumber)
    }

    /// A slice of the messages; where to go on, or nil at the end. Messages that come later are in
    /// the frames that are replayed.
    func putMessages(from start: UInt32, into bytes: inout [UInt8]) -> UInt32? {
        let last = min(slots.end, start + 8192)
        for index in start..<last {
            guard slots[index].state != nil, slots[index].segment != Self.volatileSegment
            else { continue }
            put(.record, Record.size, into: &bytes)
            bytes.put(record(index))
            if slots[index].isSuspect, let suspect = trial.suspects[slots[index].number] {
                put(.suspects, 13, into: &bytes)
                bytes.put(SuspectRecord(number: slots[index].number, suspect: suspect))
            }
        }
        return last < slots.end ? last : nil
    }

    func putIDs(from place: Int, into bytes: inout [UInt8]) -> Int? {
        known.slice(from: place, limit: 8192) { id in
            put(.remembered, 32, into: &bytes)
            bytes.put(id)
        }
    }
}
