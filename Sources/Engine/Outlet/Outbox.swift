internal import Connecting
internal import Definitions
internal import Synchronization
internal import Threads

/// Rows of one sink on their way from kept commits to the other side, which cannot take them back.
///
/// The outlet gathers rows in an `OutboxFeed` and adds them to its next commit. Once that is kept
/// they are handed over here, and a thread of the outbox's own delivers them in order, as often as
/// the sink asks for another try. How far it has come goes into the commit after. Any thread may
/// call what does not say otherwise.
final class Outbox: Sendable {
    private enum Phase { case idle, running, over }

    private struct State {
        var waiting: [OutboxChunk] = []
        /// Bytes in commits that are under way, in those that wait, and in the one that is being
        /// delivered.
        var bytes = 0
        /// The number behind the last row that is delivered, and that a commit has noted.
        var delivered: UInt64
        var noted: UInt64
        /// Up to where refused rows were taken, so that a commit which notes that holds them.
        var settled: UInt64
        /// Refused rows that no commit holds yet.
        var refused: [RefusedDelivery] = []
        var phase = Phase.idle
        /// No more rows will come.
        var isClosed = false
        /// What waits stays in the store.
        var hasGivenUp = false
        /// Chunks that were delivered, and tries that failed.
        var progress = 0
    }

    /// More than this waits for nobody: sources are not read until it is less.
    static let byteLimit = 4 << 20
    private static let chunkLimit = 256

    let name: String
    private let receiver: Receiver
    private let state: Locked<State>
    private let arrived = Channel<Void>(capacity: 1)
    private let ended = Channel<Void>(capacity: 1)
    /// Told whenever something was delivered.
    private let moved: Channel<Void>

    /// The sink, which only the outbox's thread uses, but for `giveUp`.
    private struct Receiver: @unchecked Sendable {  // Protected by that rule.
        let sink: any OutboxSink
    }

    /// Takes an opened sink; what an earlier run has left goes first.
    init(_ sink: any OutboxSink, name: String, left: OutboxState, moved: Channel<Void>) {
        receiver = Receiver(sink: sink)
        self.name = name
        self.moved = moved
        var state = State(
            delivered: left.delivered, noted: left.delivered, settled: left.delivered)
        state.waiting = left.chunks
        state.bytes = left.chunks.reduce(0) { $0 + $1.rows.count }
        self.state = Locked(state)
    }

    /// Starts the thread, unless it is over already.
    func start(_ run: PipelineRun) {
        let isWanted = state.withLock { state in
            guard state.phase == .idle else { return false }
            state.phase = .running
            return true
        }
        guard isWanted else { return }
        // The run does not count it: one that hangs at the other side must not hold the run open.
        WorkerThread { [self] in
            deliver(run)
            end(run)
            ended.close()
        }.detach()
    }

    // MARK: Commits

    /// A commit that is to be kept holds so many bytes of rows.
    func announce(bytes count: Int) { state.withLock { $0.bytes += count } }

    /// Takes rows that were announced, now that their commit is kept.
    func hand(_ chunk: OutboxChunk) {
        state.withLock { $0.waiting.append(chunk) }
        _ = arrived.trySend(())
    }

    /// True when a commit is to note something.
    var wantsNote: Bool { state.withLock { $0.delivered > $0.noted || !$0.refused.isEmpty } }

    /// How far the sink has come, if that is to be noted; then it counts as noted.
    func takeNote() -> UInt64? {
        state.withLock { state in
            guard state.settled > state.noted else { return nil }
            state.noted = state.settled
            return state.settled
        }
    }

    /// Rows that the other side has refused, each once; they belong into the commit that notes how
    /// far it has come by now.
    func takeRefused() -> [RefusedDelivery] {
        state.withLock { state in
            state.settled = state.delivered
            defer { state.refused = [] }
            return state.refused
        }
    }

    /// Everything before a number counts as noted: its delivery was noted beforehand.
    func skipNote(before number: UInt64) { state.withLock { $0.noted = number } }

    /// True when so much is kept and not delivered that no more is to be read.
    var isFull: Bool {
        state.withLock {
            !$0.hasGivenUp && ($0.bytes > Self.byteLimit || $0.waiting.count > Self.chunkLimit)
        }
    }

    // MARK: The thread

    private func deliver(_ run: PipelineRun) {
        while let chunk = next() {
            do throws(ConnectorError) {
                let refused = try deliver(chunk, run)
                state.withLock { state in
                    state.bytes -= chunk.rows.count
                    state.progress += 1
                    state.refused += refused
                    state.delivered = chunk.end
                }
            } catch {
                guard giveUp() else { return }
                return run.fail(PipelineError(exitCode: 1, error.description))
            }
            _ = moved.trySend(())
        }
    }

    /// Delivers until the other side has the rows; returns those that it refuses.
    private func deliver(
        _ chunk: OutboxChunk, _ run: PipelineRun
    ) throws(ConnectorError) -> [RefusedDelivery] {
        var pause = RetryPause()
        while true {
            do throws(ConnectorError) {
                try unsafe chunk.rows.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
                    try unsafe receiver.sink.deliver(bytes, count: chunk.count, first: chunk.key)
                }
                return []
            } catch {
                if case .refuse(let refused) = error.remedy {
                    return unsafe chunk.rows.span.bytes.withUnsafeBytes {
                        unsafe RefusedDelivery.list(refused, of: $0)
                    }
                }
                guard let wait = pause.next(after: error), rest(milliseconds: wait) else {
                    throw error
                }
                if error.remedy == .reconnect { try? receiver.sink.reconnect() }
            }
        }
    }

    /// Waits before another try; false when nobody waits any longer.
    private func rest(milliseconds: Int) -> Bool {
        let until = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        while !state.withLock({ $0.hasGivenUp }) {
            let now = monotonicNanoseconds()
            if now >= until { return true }
            // Rows that arrive meanwhile wake it up early, which does no harm.
            _ = arrived.receive(milliseconds: Int((until - now) / 1_000_000) + 1)
        }
        return false
    }

    /// The next rows; waits for them. Nil at the end.
    private func next() -> OutboxChunk? {
        while true {
            var isOver = false
            let chunk = state.withLock { state -> OutboxChunk? in
                isOver = state.hasGivenUp || (state.isClosed && state.waiting.isEmpty)
                guard !isOver, !state.waiting.isEmpty else { return nil }
                return state.waiting.removeFirst()
            }
            if let chunk { return chunk }
            if isOver { return nil }
            _ = arrived.receive()
        }
    }

    private func end(_ run: PipelineRun) {
        let isWhole = state.withLock { state in
            state.phase = .over
            return !state.hasGivenUp
        }
        guard isWhole, !run.hasFailed else { return receiver.sink.abandon() }
        do throws(ConnectorError) { try receiver.sink.finish() } catch {
            run.fail(PipelineError(exitCode: 1, error.description))
        }
    }

    // MARK: The end

    /// No more rows will come.
    func close() {
        state.withLock { $0.isClosed = true }
        _ = arrived.trySend(())
    }

    /// Waits until all rows are delivered and the sink has finished. A run that is being stopped
    /// waits only as long as something moves; false when it waits no longer.
    func waitForEnd(_ run: PipelineRun) -> Bool {
        var seen = -1
        var silence = 0
        while !ended.isFinished {
            _ = ended.receive(milliseconds: 100)
            let (progress, phase) = state.withLock { ($0.progress, $0.phase) }
            // A start that failed has never begun.
            if phase == .idle, run.isBroken { return true }
            let isStopped = run.stopRequested.load(ordering: .relaxed)
            silence = isStopped && progress == seen ? silence + 1 : 0
            seen = progress
            if silence * 100 >= run.options.sinkPatienceMilliseconds { return false }
        }
        return true
    }

    /// Rows that wait, but for those that are being delivered.
    var waitingCount: Int { state.withLock { $0.waiting.reduce(0) { $0 + $1.count } } }

    /// What is not delivered stays in the store. False when that was so already.
    @discardableResult
    func giveUp() -> Bool {
        let isFirst = state.withLock { state in
            defer { state.hasGivenUp = true }
            return !state.hasGivenUp
        }
        _ = arrived.trySend(())
        _ = moved.trySend(())
        receiver.sink.giveUp()
        return isFirst
    }

    /// Like `giveUp`; when the thread has not begun, and never will, the sink is abandoned as well.
    func abandon() {
        giveUp()
        let isMine = state.withLock { state in
            defer { if state.phase == .idle { state.phase = .over } }
            return state.phase == .idle
        }
        if isMine { receiver.sink.abandon() }
    }
}
