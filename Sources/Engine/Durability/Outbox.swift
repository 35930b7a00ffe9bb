internal import Connecting
internal import Definitions
internal import Synchronization
internal import Threads

/// Rows on their way from kept commits to sinks that cannot take rows back.
///
/// The thread that writes rows gathers them in an `OutboxFeed` and adds them to its next commit;
/// the committer hands them over here once that commit is kept; one thread delivers them in order.
/// How far it has come goes into the commit after. Any thread may call what does not say otherwise.
final class Outbox: Sendable {
    /// A sink and how far it is.
    private struct Member: @unchecked Sendable {  // Used by one thread, but for `giveUp`.
        let receiver: any OutboxSink
        let name: String
        /// The number behind the last row that is delivered, and that a commit has noted.
        var delivered: UInt64
        var noted: UInt64
    }

    private enum Phase { case idle, running, over }

    private struct Shared {
        var members: [Member] = []
        var waiting: [OutboxChunk] = []
        var bytes = 0
        var phase = Phase.idle
        /// No more rows will come.
        var isClosed = false
        /// What waits stays in the store.
        var hasGivenUp = false
        /// Chunks that were delivered.
        var count = 0
    }

    /// More than this waits for nobody: sources are not read until it is less.
    static let byteLimit = 4 << 20
    private static let chunkLimit = 256
    /// With so many bytes gathered a commit is due.
    static let commitBytes = 1 << 20

    private let shared = Locked(Shared())
    private let arrived = Channel<Void>(capacity: 1)
    private let moved = Channel<Void>(capacity: 1)
    private let ended = Channel<Void>(capacity: 1)
    /// Bytes that the next commit will hold.
    private let gathered = Atomic<Int>(0)

    /// True when a sink takes its rows from here; known once the sinks are open.
    var isUsed: Bool { shared.withLock { !$0.members.isEmpty } }

    /// True when the sink of that name takes its rows from here.
    func has(_ name: String) -> Bool {
        shared.withLock { $0.members.contains { $0.name == name } }
    }

    /// Rows wait for a commit, or a delivery for being noted.
    var wantsCommit: Bool {
        gathered.load(ordering: .relaxed) > 0
            || shared.withLock { $0.members.contains { $0.delivered > $0.noted } }
    }

    /// So many rows wait for a commit that it is due.
    var isFull: Bool { gathered.load(ordering: .relaxed) >= Self.commitBytes }

    // MARK: The start

    /// Adds a sink before the start; what an earlier run has left goes first. Its rows are taken by
    /// the feed.
    func add(_ receiver: any OutboxSink, name: String, left: OutboxState, run: PipelineRun)
        -> OutboxFeed
    {
        let member = Member(
            receiver: receiver, name: name, delivered: left.delivered, noted: left.delivered)
        shared.withLock {
            $0.members.append(member)
            $0.waiting += left.chunks
            $0.bytes += left.chunks.reduce(0) { $0 + $1.rows.count }
        }
        return OutboxFeed(run, receiver, name: name, next: left.next)
    }

    /// Starts the thread, unless it is over already.
    func start(_ run: PipelineRun) {
        let isWanted = shared.withLock { shared in
            guard shared.phase == .idle, !shared.members.isEmpty else { return false }
            shared.phase = .running
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

    /// Takes rows whose commit is kept.
    func hand(_ chunks: [OutboxChunk]) {
        shared.withLock {
            $0.waiting += chunks
            $0.bytes += chunks.reduce(0) { $0 + $1.rows.count }
        }
        _ = arrived.trySend(())
    }

    /// Rows were gathered, or taken out again by a commit.
    func noteGathered(_ bytes: Int) { gathered.add(bytes, ordering: .relaxed) }

    /// How far a sink has come, if that is to be noted; then it counts as noted.
    func takeNote(of name: String) -> UInt64? {
        shared.withLock { shared in
            guard let index = shared.members.firstIndex(where: { $0.name == name }),
                shared.members[index].delivered > shared.members[index].noted
            else { return nil }
            shared.members[index].noted = shared.members[index].delivered
            return shared.members[index].delivered
        }
    }

    /// Everything before a number counts as noted: its delivery was noted beforehand.
    func skipNote(of name: String, before number: UInt64) {
        shared.withLock { shared in
            guard let index = shared.members.firstIndex(where: { $0.name == name }) else { return }
            shared.members[index].noted = number
        }
    }

    /// Waits while too much is kept and not delivered. A run that is stopped does not wait: what
    /// it has read is in the store with its last commit.
    func awaitRoom(_ run: PipelineRun) {
        while !run.stopRequested.load(ordering: .relaxed),
            shared.withLock({ shared in
                !shared.hasGivenUp
                    && (shared.bytes > Self.byteLimit || shared.waiting.count > Self.chunkLimit)
            })
        {
            _ = moved.receive(milliseconds: 100)
        }
    }

    // MARK: The thread

    private func deliver(_ run: PipelineRun) {
        while let (chunk, receiver) = next() {
            do throws(ConnectorError) {
                try unsafe chunk.rows.span.bytes.withUnsafeBytes { bytes throws(ConnectorError) in
                    try unsafe receiver.deliver(bytes, count: chunk.count, first: chunk.key)
                }
            } catch {
                guard giveUp() else { return }
                return run.fail(PipelineError(exitCode: 1, error.description))
            }
            shared.withLock { shared in
                shared.bytes -= chunk.rows.count
                shared.count += 1
                guard let index = shared.members.firstIndex(where: { $0.name == chunk.sink })
                else { return }
                shared.members[index].delivered = chunk.end
            }
            _ = moved.trySend(())
        }
    }

    /// The next rows and whose they are; waits for them. Nil at the end.
    private func next() -> (OutboxChunk, any OutboxSink)? {
        while true {
            var isOver = false
            let found = shared.withLock { shared -> (OutboxChunk, Member)? in
                isOver = shared.hasGivenUp || (shared.isClosed && shared.waiting.isEmpty)
                guard !isOver, !shared.waiting.isEmpty else { return nil }
                let chunk = shared.waiting.removeFirst()
                return shared.members.first { $0.name == chunk.sink }.map { (chunk, $0) }
            }
            if let found { return (found.0, found.1.receiver) }
            if isOver { return nil }
            _ = arrived.receive()
        }
    }

    private func end(_ run: PipelineRun) {
        let (members, isWhole) = shared.withLock { shared in
            shared.phase = .over
            return (shared.members, !shared.hasGivenUp)
        }
        for member in members {
            guard isWhole, !run.hasFailed else {
                member.receiver.abandon()
                continue
            }
            do throws(ConnectorError) { try member.receiver.finish() } catch {
                run.fail(PipelineError(exitCode: 1, error.description))
            }
        }
    }

    // MARK: The end

    /// No more rows will come: waits until all are delivered and the sinks have finished. A run
    /// that is being stopped waits only as long as something moves.
    func finish(_ run: PipelineRun) {
        shared.withLock { $0.isClosed = true }
        _ = arrived.trySend(())
        var seen = -1
        var silence = 0
        while !ended.isFinished {
            _ = ended.receive(milliseconds: 100)
            let (count, phase) = shared.withLock { ($0.count, $0.phase) }
            // A start that failed has never begun.
            if phase == .idle, run.isBroken { return }
            let isStopped = run.stopRequested.load(ordering: .relaxed)
            silence = isStopped && count == seen ? silence + 1 : 0
            seen = count
            if silence * 100 >= run.options.sinkPatienceMilliseconds { return leave() }
        }
    }

    private func leave() {
        giveUp()
        let count = shared.withLock { shared in
            shared.waiting.reduce(0) { $0 + $1.count }
        }
        writeError(
            "warning: a sink takes no more rows; what it was not given (\(count) rows, and those "
                + "that it is at) stays in the store and comes with the next run\n")
    }

    /// What is not delivered stays in the store. False when that was so already.
    @discardableResult
    func giveUp() -> Bool {
        let (members, isFirst) = shared.withLock { shared in
            defer { shared.hasGivenUp = true }
            return (shared.members, !shared.hasGivenUp)
        }
        _ = arrived.trySend(())
        _ = moved.trySend(())
        for member in members { member.receiver.giveUp() }
        return isFirst
    }

    /// Like `giveUp`; true when the thread has not begun, and never will.
    func abandon() -> Bool {
        giveUp()
        return shared.withLock { shared in
            defer { if shared.phase == .idle { shared.phase = .over } }
            return shared.phase == .idle
        }
    }
}

/// The rows of one sink until the next commit. Used by the one thread that writes rows.
final class OutboxFeed: Sink {
    private let run: PipelineRun
    private let receiver: any OutboxSink
    private let name: String
    private var next: UInt64
    private var rows: [UInt8] = []
    private var count = 0

    init(_ run: PipelineRun, _ receiver: any OutboxSink, name: String, next: UInt64) {
        self.run = run
        self.receiver = receiver
        self.name = name
        self.next = next
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        run.outbox.awaitRoom(run)
        unsafe self.rows.append(contentsOf: rows)
        self.count += count
        run.outbox.noteGathered(rows.count)
    }

    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) {}

    func abandon() {
        if run.outbox.abandon() { receiver.abandon() }
    }

    /// Adds the rows, and how far earlier ones are delivered.
    func addRows(to draft: inout CommitDraft) {
        if let number = run.outbox.takeNote(of: name) { draft.delivered.append((name, number)) }
        guard count > 0 else { return }
        var chunk = OutboxChunk(
            pipeline: run.plan.definition.name, sink: name, first: next, count: count, rows: [])
        swap(&chunk.rows, &rows)
        next = chunk.end
        count = 0
        run.outbox.noteGathered(-chunk.rows.count)
        if run.plan.definition.delivery == .atMostOnce {
            // Whatever happens from here on, these rows do not come again.
            draft.delivered.append((name, chunk.end))
            run.outbox.skipNote(of: name, before: chunk.end)
            draft.isOutboxKept = false
        }
        draft.outbox.append(chunk)
    }
}
