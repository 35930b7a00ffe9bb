internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// Batches on their way between the threads of a run with several lanes.
///
/// They go round: the intake takes an empty one from the pool and gives it to a lane, or to all of
/// them; once all parts of a batch and of those before it are done, time is settled, and the rows
/// that reached windows are shown to every lane, each of which takes the keys of its slot; then
/// the outlet writes what came out, in the order of reading, and gives the batch back. The pool is
/// small, so whoever is slow makes the others wait, and memory does not grow.
final class LaneExchange: Sendable {
    /// What a lane does next.
    enum Task: Sendable {
        /// Runs records.
        case records(Work)
        /// Takes rows into its windows.
        case windows(Settled)
    }

    /// A batch whose records were run, in its turn.
    struct Settled: Sendable {
        var work: Work
        var parts: [LanePart]
        /// How far time is behind it; nil without event time.
        var watermark: Int64?
    }

    /// A batch on its way to the outlet.
    struct Finished: Sendable {
        var batch: Settled
        /// What the windows of each lane have given; none without windows.
        var results: [WindowResults] = []
        /// What has changed in lanes, when a commit ends with the batch.
        var changes = CommitDraft()
    }

    private struct State {
        /// Parts of batches whose turn has not come.
        var waiting: [UInt64: Settled] = [:]
        /// The batch whose turn it is, and whether a thread is at it.
        var next: UInt64 = 0
        var isSettling = false
        /// Nil when the intake knows how far time has come.
        var clock: EventClock?
        /// Batches whose rows lanes are taking, and how many lanes are not done.
        var taking: [UInt64: (finished: Finished, left: Int)] = [:]
        /// How many batches each lane has to run.
        var load: [Int]
    }

    let batches: Channel<Batch>
    let parts: Channel<LanePart>
    let results: Channel<WindowResults>
    let finished: Channel<Finished>
    private let tasks: [Channel<Task>]
    private let newestStep = Atomic<Int>(0)
    private let state: Locked<State>
    private let distribution: Distribution
    private let hasWindows: Bool
    private let lanes: Int
    private let inFlight: Int

    init(_ plan: Plan, lanes: Int, _ distribution: Distribution) {
        self.lanes = lanes
        self.distribution = distribution
        hasWindows = plan.definition.hasAggregates
        inFlight = lanes * 2 + 2
        batches = Channel(capacity: inFlight)
        parts = Channel(capacity: inFlight * lanes)
        results = Channel(capacity: inFlight * lanes)
        finished = Channel(capacity: inFlight)
        let capacity = inFlight * 2
        tasks = (0..<lanes).map { _ in Channel(capacity: capacity) }
        state = Locked(State(load: Array(repeating: 0, count: lanes)))
    }

    /// Fills the pools, before the first batch.
    func fill(_ run: PipelineRun) {
        let isShared = distribution == .byPartition
        for _ in 0..<inFlight { batches.send(Batch()) }
        for _ in 0..<(inFlight * lanes) {
            let part = LanePart(sinks: run.makeSinkBuffers(), rows: run.makeRowBuffers())
            if isShared { for sink in part.sinks { sink.keepMarks() } }
            parts.send(part)
            if hasWindows { results.send(WindowResults(stages: run.plan.aggregateStages.count)) }
        }
        if !isShared { state.withLock { $0.clock = run.makeClock() } }
    }

    // MARK: Records

    /// The step of the rules' versions that every batch has from here on, or a later one.
    var sentStep: Int { newestStep.load(ordering: .acquiring) }

    /// Gives a batch to the lane that has least to do, or to all of them.
    func send(_ work: Work) {
        newestStep.store(work.step, ordering: .releasing)
        if distribution == .byPartition || work.isLast {
            for channel in tasks { channel.send(.records(work)) }
            return
        }
        let lane = state.withLock { state in
            let lane = state.load.indices.min { state.load[$0] < state.load[$1] } ?? 0
            state.load[lane] += 1
            return lane
        }
        tasks[lane].send(.records(work))
    }

    /// What a lane does next; nil when there is nothing more, or nothing within the time.
    func next(lane: Int, milliseconds: Int?) -> Task? {
        guard let milliseconds else { return tasks[lane].receive() }
        return tasks[lane].receive(milliseconds: milliseconds)
    }

    /// True when a lane will get nothing more.
    func isFinished(lane: Int) -> Bool { tasks[lane].isFinished }

    /// A lane has run its part of a batch; whatever that makes complete goes on.
    func complete(_ part: LanePart, of work: Work, lane: Int) {
        let expected = distribution == .byPartition || work.isLast ? lanes : 1
        let isMine = state.withLock { state in
            if expected == 1 { state.load[lane] -= 1 }
            let empty = Settled(work: work, parts: [], watermark: nil)
            state.waiting[work.sequence, default: empty].parts.append(part)
            defer { state.isSettling = true }
            return !state.isSettling
        }
        // One thread at a time settles; it goes on as long as batches are complete.
        while isMine, let batch = takeNext() { settle(batch) }
    }

    private func takeNext() -> Settled? {
        state.withLock { state in
            guard let batch = state.waiting[state.next],
                batch.parts.count
                    == (distribution == .byPartition || batch.work.isLast ? lanes : 1)
            else {
                state.isSettling = false
                return nil
            }
            state.waiting[state.next] = nil
            state.next += 1
            return batch
        }
    }

    // MARK: Windows

    /// The turn of a batch has come: it is known how far time is, and rows go to the windows.
    private func settle(_ given: Settled) {
        var batch = given
        settleTime(of: &batch)
        guard hasWindows else {
            let changes = batch.parts.reduce(into: CommitDraft()) { $0.add($1.changes) }
            finish(Finished(batch: batch, changes: changes))
            return
        }
        let settled = batch
        state.withLock { $0.taking[settled.work.sequence] = (Finished(batch: settled), lanes) }
        for channel in tasks { channel.send(.windows(settled)) }
    }

    private func settleTime(of batch: inout Settled) {
        let work = batch.work
        if let scan = work.scan {
            batch.watermark = scan.endWatermark == .min ? nil : scan.endWatermark
        }
        let source = work.batch.sourceIndex
        guard let clock = state.withLock({ $0.clock }) else { return }
        let reading = clock.reading(of: source, waitingFor: work.others)
        for rows in batch.parts.flatMap(\.rows) {
            rows.settleTime(
                watermark: reading.watermark, newest: clock.mark(of: reading.newest),
                floor: reading.floor.map { clock.mark(of: $0) })
        }
        var next = clock
        next.advance(source, to: batch.parts.compactMap(\.newest).max(), waitingFor: work.others)
        batch.watermark = next.watermark == .min ? nil : next.watermark
        if var mark = batch.work.mark {
            next.addEntries(to: &mark)
            batch.work.mark = mark
        }
        let advanced = next
        state.withLock { $0.clock = advanced }
    }

    /// The windows of a lane have taken a batch; the last one hands it to the outlet.
    func complete(_ results: WindowResults, _ changes: CommitDraft, of batch: Settled) {
        let sequence = batch.work.sequence
        let whole = state.withLock { state -> Finished? in
            guard var entry = state.taking.removeValue(forKey: sequence) else { return nil }
            entry.finished.results.append(results)
            entry.finished.changes.add(changes)
            entry.left -= 1
            if entry.left == 0 { return entry.finished }
            state.taking[sequence] = entry
            return nil
        }
        guard var whole else { return }
        for part in batch.parts { whole.changes.add(part.changes) }
        finish(whole)
    }

    private func finish(_ item: Finished) {
        finished.send(item)
        guard item.batch.work.isLast else { return }
        for channel in tasks { channel.close() }
        finished.close()
    }

    /// The outlet is done with a batch.
    func recycle(_ item: Finished) {
        for var part in item.batch.parts {
            part.removeAll()
            parts.send(part)
        }
        for result in item.results { results.send(result) }
        batches.send(item.batch.work.batch)
    }

    // MARK: The end

    /// Stops everybody who waits, and whoever would begin to.
    func close() {
        for channel in tasks { channel.close() }
        batches.close()
        parts.close()
        results.close()
        finished.close()
    }
}

extension CommitDraft {
    /// Takes in what another thread has to say.
    mutating func add(_ other: CommitDraft) {
        rules += other.rules
        windows += other.windows
    }
}
