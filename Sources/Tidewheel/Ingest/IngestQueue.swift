internal import Definitions
internal import Threads

/// Records on their way from tasks of the program to the thread that reads sources.
///
/// Whoever hands records in gives a parcel of them, and goes on when the parcel may: at once while
/// there is room, when its last record was read, or when the commit that holds it is kept. No
/// thread waits for a task, and no task keeps a thread. Any thread.
final class IngestQueue: Sendable {
    /// When whoever hands a parcel in goes on.
    enum Patience: Sendable {
        /// As soon as there is room.
        case room
        /// Once its commit is kept.
        case commit
    }

    /// Records that were handed in together.
    private struct Parcel {
        let id: UInt64
        var records: ArraySlice<[UInt8]>
        let patience: Patience
        /// Whoever waits; nil when nobody does, or not any more.
        var waiting: CheckedContinuation<Void, any Error>?
    }

    private struct State {
        var parcels: [Parcel] = []
        /// Parcels before this one were taken whole.
        var first = 0
        /// Records in all parcels.
        var count = 0
        var next: UInt64 = 0
        /// Parcels whose records were read: the place behind the last one, in rising order.
        var read: [(end: UInt64, id: UInt64, waiting: CheckedContinuation<Void, any Error>)] = []
        var isClosed = false
        var failure: PipelineError?
    }

    /// Records that wait before whoever hands in more has to.
    static let capacity = 1024
    private let state = Locked(State())
    private let wake = Channel<Void>(capacity: 1)

    /// True when nothing more comes and all that came was read.
    var isFinished: Bool { state.withLock { $0.isClosed && $0.count == 0 } }

    // MARK: Those who hand in

    /// Hands records in and waits as long as they must.
    ///
    /// - Throws: `PipelineError` when the pipeline has ended, or ends before; `CancellationError`
    ///   when the task is cancelled: records that were not read by then are taken back.
    func hand(in records: [[UInt8]], _ patience: Patience) async throws {
        guard !records.isEmpty else { return }
        if patience == .room, try handAtOnce(records) { return }
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let refusal = state.withLock { state -> (any Error)? in
                    if state.isClosed { return state.failure ?? Self.isOver }
                    // The handler below has run already, and found nothing.
                    if Task.isCancelled { return CancellationError() }
                    state.parcels.append(
                        Parcel(
                            id: id, records: records[...], patience: patience,
                            waiting: continuation))
                    state.count += records.count
                    return nil
                }
                if let refusal { return continuation.resume(throwing: refusal) }
                _ = wake.trySend(())
            }
        } onCancel: {
            cancel(id)
        }
    }

    /// False when there is no room.
    private func handAtOnce(_ records: [[UInt8]]) throws -> Bool {
        let (isTaken, refusal) = state.withLock { state -> (Bool, PipelineError?) in
            if state.isClosed { return (false, state.failure ?? Self.isOver) }
            guard state.count < Self.capacity else { return (false, nil) }
            state.parcels.append(Parcel(id: 0, records: records[...], patience: .room))
            state.count += records.count
            return (true, nil)
        }
        if let refusal { throw refusal }
        if isTaken { _ = wake.trySend(()) }
        return isTaken
    }

    private func cancel(_ id: UInt64) {
        let waiting = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            let places = state.first..<state.parcels.count
            if let place = places.first(where: { state.parcels[$0].id == id }) {
                let parcel = state.parcels.remove(at: place)
                state.count -= parcel.records.count
                return parcel.waiting
            }
            guard let place = state.read.firstIndex(where: { $0.id == id }) else { return nil }
            return state.read.remove(at: place).waiting
        }
        waiting?.resume(throwing: CancellationError())
    }

    private static let isOver = PipelineError(
        exitCode: 1, "the pipeline is stopping and takes no more records")

    // MARK: The thread that reads

    /// Waits for records, at most so long.
    func wait(milliseconds: Int) {
        if state.withLock({ $0.count == 0 && !$0.isClosed }) {
            _ = wake.receive(milliseconds: milliseconds)
        }
    }

    /// Gives the records that are there to `body`, in order, until it says that it has enough.
    ///
    /// - Parameter position: the place of the first one among all that were ever read.
    /// - Parameter isKept: false when there are no commits: to have been read is all there is.
    func take(from position: UInt64, isKept: Bool, _ body: ([UInt8]) -> Bool) {
        var done: [CheckedContinuation<Void, any Error>] = []
        state.withLock { state in
            var position = position
            var hasRoom = true
            while hasRoom, state.first < state.parcels.count {
                while hasRoom, let record = state.parcels[state.first].records.popFirst() {
                    state.count -= 1
                    position += 1
                    hasRoom = body(record)
                }
                guard state.parcels[state.first].records.isEmpty else { break }
                let parcel = state.parcels[state.first]
                state.parcels[state.first].waiting = nil
                state.first += 1
                guard let waiting = parcel.waiting else { continue }
                if isKept, parcel.patience == .commit {
                    state.read.append((position, parcel.id, waiting))
                } else {
                    done.append(waiting)
                }
            }
            // Each parcel is moved up once on average, however many wait.
            if state.first * 2 >= state.parcels.count {
                state.parcels.removeFirst(state.first)
                state.first = 0
            }
        }
        for waiting in done { waiting.resume() }
    }

    /// A commit is kept that holds everything before this place.
    func kept(before position: UInt64) {
        let done = state.withLock { state in
            let count = state.read.prefix { $0.end <= position }.count
            defer { state.read.removeFirst(count) }
            return state.read.prefix(count).map(\.waiting)
        }
        for waiting in done { waiting.resume() }
    }

    // MARK: The end

    /// Nothing more is taken; what is there is still read.
    func close() {
        state.withLock { $0.isClosed = true }
        wake.close()
    }

    /// The run is over: whoever still waits hears that its records are not committed.
    func end(_ failure: PipelineError?) {
        let words = failure?.description ?? "the pipeline has ended"
        let error = PipelineError(
            exitCode: 1, "\(words)\nthe records that were handed in are not committed")
        let waiting = state.withLock { state in
            let waiting =
                state.read.map(\.waiting) + state.parcels.compactMap(\.waiting)
            state.isClosed = true
            state.failure = failure
            state.read = []
            state.parcels = []
            state.first = 0
            state.count = 0
            return waiting
        }
        wake.close()
        for continuation in waiting { continuation.resume(throwing: error) }
    }
}
