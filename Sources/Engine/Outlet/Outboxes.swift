internal import Connecting
internal import Definitions
internal import Synchronization
internal import Threads

/// All outboxes of a run. Any thread.
final class Outboxes: Sendable {
    /// With so many bytes gathered a commit is due.
    static let commitBytes = 1 << 20

    private let members = Locked<[Outbox]>([])
    private let moved = Channel<Void>(capacity: 1)
    /// Bytes that the next commit will hold.
    private let gathered = Atomic<Int>(0)
    private let count = Atomic<Int>(0)

    /// True when a sink takes its rows from an outbox; known once the sinks are open.
    var isUsed: Bool { count.load(ordering: .relaxed) > 0 }

    /// True when the sink of that name has an outbox.
    func has(_ name: String) -> Bool { all.contains { $0.name == name } }

    private var all: [Outbox] { members.withLock { $0 } }

    /// Adds the outbox of an opened sink; returns what gathers its rows.
    func add(
        _ sink: any OutboxSink, name: String, left: OutboxState, _ plan: Plan
    ) -> OutboxFeed {
        let outbox = Outbox(sink, name: name, left: left, moved: moved)
        members.withLock { $0.append(outbox) }
        count.add(1, ordering: .relaxed)
        return OutboxFeed(
            outbox, self, pipeline: plan.definition.name, delivery: plan.definition.delivery,
            next: left.next)
    }

    /// Starts their threads.
    func start(_ run: PipelineRun) { for outbox in all { outbox.start(run) } }

    /// Rows were gathered, or taken out again by a commit.
    func noteGathered(_ bytes: Int) { gathered.add(bytes, ordering: .relaxed) }

    /// Rows wait for a commit, or a delivery for being noted.
    var wantsCommit: Bool {
        guard isUsed else { return false }
        return gathered.load(ordering: .relaxed) > 0 || all.contains { $0.wantsNote }
    }

    /// So many rows wait for a commit that it is due.
    var wantsCommitSoon: Bool { gathered.load(ordering: .relaxed) >= Self.commitBytes }

    /// Waits a while for room; false while so much is kept and not delivered that no more is to be
    /// read.
    func hasRoom(waitingMilliseconds: Int) -> Bool {
        guard isUsed, all.contains(where: \.isFull) else { return true }
        _ = moved.receive(milliseconds: max(1, waitingMilliseconds))
        return !all.contains(where: \.isFull)
    }

    /// No more rows will come: waits until all are delivered, each sink by itself.
    func finish(_ run: PipelineRun) {
        for outbox in all { outbox.close() }
        var left = 0
        var isWhole = true
        for outbox in all where !outbox.waitForEnd(run) {
            left += outbox.waitingCount
            outbox.giveUp()
            isWhole = false
        }
        guard !isWhole else { return }
        run.options.tell(
            "warning: a sink takes no more rows; what it was not given (\(left) rows, and those "
                + "that it is at) stays in the store and comes with the next run\n")
    }

    /// What is not delivered stays in the store.
    func giveUp() { for outbox in all { outbox.giveUp() } }
}

/// The rows of one sink until the next commit. Used by the outlet's thread.
final class OutboxFeed: OutletSink {
    private let outbox: Outbox
    private let outboxes: Outboxes
    private let pipeline: String
    private let delivery: Delivery
    private var next: UInt64
    private var rows: [UInt8] = []
    private var count = 0

    init(
        _ outbox: Outbox, _ outboxes: Outboxes, pipeline: String, delivery: Delivery, next: UInt64
    ) {
        self.outbox = outbox
        self.outboxes = outboxes
        self.pipeline = pipeline
        self.delivery = delivery
        self.next = next
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        unsafe self.rows.append(contentsOf: rows)
        self.count += count
        outboxes.noteGathered(rows.count)
    }

    func takeRefused() -> [RefusedDelivery] { outbox.takeRefused() }
    func abandon() { outbox.abandon() }

    /// Adds the rows, and how far earlier ones are delivered.
    func addEntries(to draft: inout CommitDraft) {
        if let number = outbox.takeNote() { draft.delivered.append((outbox.name, number)) }
        guard count > 0 else { return }
        var chunk = OutboxChunk(
            pipeline: pipeline, sink: outbox.name, first: next, count: count, rows: [])
        swap(&chunk.rows, &rows)
        next = chunk.end
        count = 0
        outboxes.noteGathered(-chunk.rows.count)
        if delivery == .atMostOnce {
            // Whatever happens from here on, these rows do not come again.
            draft.delivered.append((outbox.name, chunk.end))
            outbox.skipNote(before: chunk.end)
            draft.isOutboxKept = false
        }
        draft.outbox.append(chunk)
        let kept = chunk
        outbox.announce(bytes: kept.rows.count)
        draft.whenKept.append { [outbox] in outbox.hand(kept) }
    }
}
