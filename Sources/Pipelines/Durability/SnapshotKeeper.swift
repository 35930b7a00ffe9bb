internal import Journal
internal import Queueing

/// Takes the snapshots of a pipeline's store: slice by slice between commits, so that none waits
/// longer than for one slice, and the wait for the disk on a thread of its own. Everything else is
/// the committer's thread.
final class SnapshotKeeper {
    private typealias Snapshot = StoreSnapshot<SystemDisk>

    private let queues: Store<SystemDisk>
    private let state: PipelineState
    private let everyNanoseconds: UInt64
    private var last: UInt64
    private var current: (snapshot: Snapshot, place: SnapshotPlace)?
    /// Answers when the snapshot whose slices are all written is in place.
    private var ending: Channel<QueueError?>?
    /// How much of the log makes another snapshot due, in bytes.
    private static let logLimit = 128 << 20
    /// The same at the end of a run, for a quick start of the next one.
    private static let lastLogLimit = 16 << 20

    init(_ queues: Store<SystemDisk>, _ state: PipelineState, every nanoseconds: Int64) {
        self.queues = queues
        self.state = state
        everyNanoseconds = UInt64(max(0, nanoseconds))
        last = monotonicNanoseconds()
    }

    /// Does one slice of what is due; false when nothing is to be done now. Throws when a snapshot
    /// could not be written: the disk has failed.
    func step() throws(QueueError) -> Bool {
        try noteEnd()
        if current != nil {
            try writeSlice()
            return true
        }
        guard ending == nil, isDue else { return false }
        try begin()
        return current != nil
    }

    private var isDue: Bool {
        if queues.needsSnapshot(every: limit(Self.logLimit)) { return true }
        return monotonicNanoseconds() >= last + everyNanoseconds && queues.bytesSinceSnapshot > 0
    }

    /// What is kept is not written down more often than the log grows by twice its size.
    private func limit(_ byteCount: Int) -> Int { max(byteCount, 2 * state.byteCount) }

    private func begin() throws(QueueError) {
        // While a copy is made there is none; it is asked for again.
        guard let snapshot = try queues.beginSnapshot() else { return }
        current = (snapshot, .beginning)
        // What is not told by absolute entries must be as it was at the snapshot's begin.
        try writeSlice()
    }

    private func writeSlice() throws(QueueError) {
        guard let (snapshot, place) = current else { return }
        var failure: QueueError?
        let next = state.snapshotSlice(from: place) { kind, bytes in
            do throws(QueueError) {
                try snapshot.add(kind: kind.rawValue, bytes)
            } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
        if let next {
            current = (snapshot, next)
        } else {
            current = nil
            end(snapshot)
        }
    }

    /// The messages, the wait for the disk and what may be freed then: nobody has to wait for it.
    private func end(_ snapshot: Snapshot) {
        let answer = Channel<QueueError?>(capacity: 1)
        ending = answer
        let box = SnapshotBox(snapshot: snapshot)
        WorkerThread { [queues] in
            var failure: QueueError?
            do throws(QueueError) {
                try box.snapshot.finish()
                _ = try queues.freeSegments()
                try queues.compact()
            } catch { failure = error }
            answer.send(failure)
        }.detach()
    }

    private func noteEnd() throws(QueueError) {
        if let answer = ending?.tryReceive() { try hasEnded(answer) }
    }

    private func hasEnded(_ failure: QueueError?) throws(QueueError) {
        ending = nil
        last = monotonicNanoseconds()
        if let failure { throw failure }
    }

    /// Brings one that was begun to its end, and takes another when the next start would be slow
    /// without; the run is over.
    func finish() throws(QueueError) {
        try waitForEnd()
        if current == nil, queues.needsSnapshot(every: limit(Self.lastLogLimit)) { try begin() }
        while current != nil { try writeSlice() }
        try waitForEnd()
    }

    /// Waits for the thread that has the store.
    func waitForEnd() throws(QueueError) {
        guard let ending, let answer = ending.receive() else { return }
        try hasEnded(answer)
    }
}

/// Hands a snapshot from one thread to another.
private struct SnapshotBox: @unchecked Sendable {  // The receiver alone uses it from then on.
    let snapshot: StoreSnapshot<SystemDisk>
}
