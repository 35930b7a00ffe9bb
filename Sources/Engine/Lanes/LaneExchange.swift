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
/// that reached windows are shown to every lane, each of which takes the keys of its slot. Where
/// rules behind windows keep no state, each lane runs them on the rows that its windows gave. Then
/// the outlet writes what came out, in the order of reading, and gives the batch back. The pool is
/// small, so whoever is slow makes the others wait, and memory does not grow.
final class LaneExchange: Sendable {
    /// What a lane does next.
    enum Task: Sendable {
        /// Runs records.
        case records(Work)
        /// Takes rows into its windows.
        case windows(Settled)
        /// Runs the rules behind its windows.
        case shared(Ranked)
    }

    /// What the windows of one lane have given for a batch, and where its rows stand.
    struct Ranked: Sendable {
        var work: Work
        var results: WindowResults
        var places: [RowRanking.Places]
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
        /// What rules behind windows have made of that, and how much there was of each stage; none
        /// when the outlet runs them.
        var shares: [LanePart] = []
        var shared: [RowRanking.Summary] = []
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
        /// How many batches went to the outlet, and how many there will be once that is known.
        var finished: UInt64 = 0
        var total: UInt64?
    }

    let batches: Channel<Batch>
    let parts: Channel<LanePart>
    let results: Channel<WindowResults>
    /// Parts for what rules behind windows make.
    let shares: Channel<LanePart>
    /// Nil when the outlet runs the rules behind windows.
    let ranking: RowRanking?
    let finished: Channel<Finished>
    private let tasks: WorkQueues<Task>
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
        inFlight = lanes * (hasWindows ? 4 : 2) + 2
        batches = Channel(capacity: inFlight)
        parts = Channel(capacity: inFlight * lanes)
        results = Channel(capacity: inFlight * lanes)
        shares = Channel(capacity: inFlight * lanes)
        ranking = RowRanking(plan)
        finished = Channel(capacity: inFlight)
        tasks = WorkQueues(workers: lanes)
        state = Locked(State())
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
            if ranking != nil {
                let share = LanePart(sinks: run.makeSinkBuffers(), rows: run.makeRowBuffers())
                for sink in share.sinks { sink.keepMarks() }
                shares.send(share)
            }
        }
        if !isShared { state.withLock { $0.clock = run.makeClock() } }
    }

    // MARK: Records

    /// The step of the rules' versions that every batch has from here on, or a later one.
    var sentStep: Int { newestStep.load(ordering: .acquiring) }

    /// Gives a batch to the lane that has time first, or to all of them.
    func send(_ work: Work) {
        newestStep.store(work.step, ordering: .releasing)
        guard distribution == .byPartition || work.isLast else {
            return tasks.share(.records(work))
        }
        for lane in 0..<lanes { tasks.send(.records(work), to: lane, isUrgent: false) }
    }

    /// What a lane does next; nil when there is nothing more, or nothing within the time. Batches
    /// that have begun go before others, so that they are done soon.
    func next(lane: Int, milliseconds: Int?) -> Task? {
        tasks.receive(worker: lane, milliseconds: milliseconds)
    }

    /// True when a lane will get nothing more.
    func isFinished(lane: Int) -> Bool { tasks.isFinished(worker: lane) }

    /// A lane has run its part of a batch; whatever that makes complete goes on.
    func complete(_ part: LanePart, of work: Work) {
        let isMine = state.withLock { state in
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
        for lane in 0..<lanes { tasks.send(.windows(settled), to: lane, isUrgent: true) }
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

    /// The windows of a lane have taken a batch; after the last one it goes on.
    func complete(_ results: WindowResults, _ changes: CommitDraft, of batch: Settled) {
        let whole = finishPart(of: batch.work.sequence) { finished in
            finished.results.append(results)
            finished.changes.add(changes)
        }
        guard var whole else { return }
        whole.results.sort { $0.lane < $1.lane }
        for part in batch.parts { whole.changes.add(part.changes) }
        guard let ranking else { return finish(whole) }
        let ranks = ranking.rank(whole.results)
        whole.shared = ranks.stages
        share(whole, ranks.places)
    }

    /// One lane is done with its part of a batch: notes what it gave, and returns the batch after
    /// the last one.
    private func finishPart(
        of sequence: UInt64, _ note: (inout Finished) -> Void
    ) -> Finished? {
        state.withLock { state in
            guard var entry = state.taking.removeValue(forKey: sequence) else { return nil }
            note(&entry.finished)
            entry.left -= 1
            if entry.left == 0 { return entry.finished }
            state.taking[sequence] = entry
            return nil
        }
    }

    // MARK: Rules behind windows

    /// Lets every lane whose windows gave rows run the rules behind them.
    private func share(_ item: Finished, _ places: [[RowRanking.Places]]) {
        let lanes = places.indices.filter { lane in
            places[lane].contains { !$0.main.isEmpty || !$0.late.isEmpty }
        }
        guard !lanes.isEmpty else { return finish(item) }
        state.withLock { $0.taking[item.batch.work.sequence] = (item, lanes.count) }
        for lane in lanes {
            let ranked = Ranked(
                work: item.batch.work, results: item.results[lane], places: places[lane])
            tasks.send(.shared(ranked), to: lane, isUrgent: true)
        }
    }

    /// The rules behind windows are done with the rows of a lane; after the last one the batch goes
    /// to the outlet.
    func complete(_ share: LanePart, of ranked: Ranked) {
        let whole = finishPart(of: ranked.work.sequence) { $0.shares.append(share) }
        if let whole { finish(whole) }
    }

    // MARK: The outlet

    private func finish(_ item: Finished) {
        finished.send(item)
        let isOver = state.withLock { state in
            state.finished += 1
            if item.batch.work.isLast { state.total = item.batch.work.sequence + 1 }
            return state.total == state.finished
        }
        guard isOver else { return }
        tasks.close()
        finished.close()
    }

    /// Waits until all batches but the one at hand have come back, so that all lanes are done with
    /// them; at once when the run is being ended.
    func drain() {
        var all: [Batch] = []
        while all.count < inFlight - 1, let batch = batches.receive() { all.append(batch) }
        for batch in all { batches.send(batch) }
    }

    /// The outlet is done with a batch.
    func recycle(_ item: Finished) {
        for var part in item.batch.parts {
            part.removeAll()
            parts.send(part)
        }
        for result in item.results { results.send(result) }
        for var share in item.shares {
            share.removeAll()
            shares.send(share)
        }
        batches.send(item.batch.work.batch)
    }

    // MARK: The end

    /// Stops everybody who waits, and whoever would begin to.
    func close() {
        tasks.close()
        batches.close()
        parts.close()
        results.close()
        shares.close()
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
