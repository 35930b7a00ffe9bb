internal import Journal
internal import Queueing
internal import Threads

/// Takes the snapshots of a pipeline's store: the committer copies the state slice by slice between
/// commits, so that none waits longer than for one slice, and a thread of its own writes them down
/// and waits for the disk. Everything else is the committer's thread.
final class SnapshotKeeper {
    private typealias Snapshot = StoreSnapshot<SystemDisk>
    private typealias Entry = (kind: StoreEntry.Kind, bytes: [UInt8])

    private enum Piece: Sendable {
        case slice([Entry])
        /// All slices were handed over; without it the snapshot counts for nothing.
        case end
    }

    /// Slices on their way to the thread that writes them.
    private struct Copying {
        let pieces: Channel<Piece>
        var place: SnapshotPlace?
        /// Copied, and not yet taken by the thread.
        var piece: Piece?
        var isOver = false
    }

    private let queues: Store<SystemDisk>
    private let state: PipelineState
    private let everyNanoseconds: UInt64
    private var last: UInt64
    private var copying: Copying?
    /// Answers when the snapshot that was begun is in place, or why it is not.
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

    /// True when slices wait for being written.
    var isCopying: Bool { copying != nil }

    /// Copies one slice of what is due; false when nothing is to be done now. Throws when a
    /// snapshot could not be written: the disk has failed.
    func step() throws(QueueError) -> Bool {
        if let answer = ending?.tryReceive() { try hasEnded(answer) }
        if copying != nil { return copySlice(waits: false) }
        guard ending == nil, isDue else { return false }
        begin()
        return copying != nil
    }

    private var isDue: Bool {
        if queues.needsSnapshot(every: limit(Self.logLimit)) { return true }
        return monotonicNanoseconds() >= last + everyNanoseconds && queues.bytesSinceSnapshot > 0
    }

    /// What is kept is not written down more often than the log grows by twice its size.
    private func limit(_ byteCount: Int) -> Int { max(byteCount, 2 * state.byteCount) }

    private func begin() {
        // While a copy is made there is none; it is asked for again.
        guard let snapshot = queues.beginSnapshot() else { return }
        let pieces = Channel<Piece>(capacity: 4)
        copying = Copying(pieces: pieces, place: .beginning)
        // What is not told by absolute entries must be as it was at the snapshot's begin.
        _ = copySlice(waits: false)
        write(snapshot, pieces)
    }

    /// Copies the next slice and hands it over; false when the thread has not taken the last one,
    /// or when that was the end.
    private func copySlice(waits: Bool) -> Bool {
        guard var copying else { return false }
        let piece = copying.piece ?? copy(&copying.place)
        if case .end = piece { copying.isOver = true }
        let isTaken = waits ? copying.pieces.send(piece) : copying.pieces.trySend(piece)
        copying.piece = isTaken ? nil : piece
        // Whoever has failed to write takes no more; its answer says why.
        let isOver = isTaken && copying.isOver || copying.pieces.isFinished
        self.copying = isOver ? nil : copying
        return isTaken && !isOver
    }

    private func copy(_ place: inout SnapshotPlace?) -> Piece {
        guard let start = place else { return .end }
        var slice: [Entry] = []
        place = state.snapshotSlice(from: start) { slice.append(($0, $1)) }
        return .slice(slice)
    }

    /// Writes the slices, the messages, waits for the disk, and frees what may be freed then.
    private func write(_ snapshot: Snapshot, _ pieces: Channel<Piece>) {
        let answer = Channel<QueueError?>(capacity: 1)
        ending = answer
        let box = SnapshotBox(snapshot: snapshot)
        WorkerThread { [queues] in
            var failure: QueueError?
            do throws(QueueError) {
                if try Self.add(pieces, to: box.snapshot) {
                    try box.snapshot.finish()
                    _ = try queues.freeSegments()
                    try queues.compact()
                }
            } catch { failure = error }
            pieces.close()
            while pieces.tryReceive() != nil {}
            answer.send(failure)
        }.detach()
    }

    /// Adds all pieces; false when they broke off.
    private static func add(
        _ pieces: Channel<Piece>, to snapshot: Snapshot
    ) throws(QueueError) -> Bool {
        while let piece = pieces.receive() {
            guard case .slice(let entries) = piece else { return true }
            for entry in entries { try snapshot.add(kind: entry.kind.rawValue, entry.bytes) }
        }
        return false
    }

    private func hasEnded(_ failure: QueueError?) throws(QueueError) {
        ending = nil
        last = monotonicNanoseconds()
        if let failure { throw failure }
    }

    /// Brings one that was begun to its end, and takes another when the next start would be slow
    /// without; the run is over.
    func finish() throws(QueueError) {
        try end()
        guard queues.needsSnapshot(every: limit(Self.lastLogLimit)) else { return }
        begin()
        try end()
    }

    private func end() throws(QueueError) {
        while copying != nil { _ = copySlice(waits: true) }
        try waitForEnd()
    }

    /// Waits for the thread that has the store; what is not copied yet is given up.
    func waitForEnd() throws(QueueError) {
        copying?.pieces.close()
        copying = nil
        guard let ending, let answer = ending.receive() else { return }
        try hasEnded(answer)
    }
}

/// Hands a snapshot from one thread to another.
private struct SnapshotBox: @unchecked Sendable {  // The receiver alone uses it from then on.
    let snapshot: StoreSnapshot<SystemDisk>
}
