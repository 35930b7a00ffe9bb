internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// Where records enter: sources and dead letters that are run again, event time where it has to be
/// known before records part, pacing of commits, and back-pressure. Used by one thread.
final class Intake {
    /// What the next call has brought.
    enum Event {
        /// A batch to run.
        case work(Work)
        /// Nothing for now; ask again.
        case nothing
        /// The sources have no more records.
        case end
        /// What was read must be committed, then `released` be called.
        case revoked([String])
    }

    private let run: PipelineRun
    private let sources: SourceSet
    /// Finds partitions and times when several lanes share each batch.
    private let scanner: Scanner?
    /// Nil when only the outlet learns the times of records.
    private var clock: EventClock?
    private var pacer: CommitPacer
    private var replays: ReplayQueue
    private var sequence: UInt64 = 0
    /// Divides what sources give, when there are several lanes.
    private let cutter: BatchCutter?

    init(_ run: PipelineRun, _ sources: SourceSet) throws(PipelineError) {
        self.run = run
        self.sources = sources
        do {
            scanner = run.distribution == .byPartition ? try Scanner(run) : nil
        } catch {
            throw PipelineError(exitCode: 2, "error: \(error)")
        }
        clock = run.distribution == .anyLane ? nil : run.makeClock()
        pacer = CommitPacer(run.plan.definition.commit, now: monotonicNanoseconds())
        replays = ReplayQueue(run.replays)
        cutter = run.laneCount > 1 ? BatchCutter() : nil
    }

    // MARK: Records

    /// Fills an empty batch: with dead letters that somebody wants to be run again, or from the
    /// sources, for which it waits as long as given.
    func next(into batch: Batch, milliseconds: Int) throws(ConnectorError) -> Event {
        if let part = replays.next(into: batch, run.plan.definition.sources) {
            var work = makeWork(batch)
            work.replay = part
            return .work(work)
        }
        guard run.outboxes.hasRoom(waitingMilliseconds: milliseconds) else { return .nothing }
        if let cutter, !cutter.isEmpty { return .work(cut(cutter, into: batch)) }
        switch try read(into: cutter?.begin() ?? batch, milliseconds: milliseconds) {
        case .nothingYet: return .nothing
        case .end:
            run.options.inputEnded()
            return .end
        case .revoked(let partitions): return .revoked(partitions)
        case .records: break
        }
        if run.plan.definition.delivery == .atMostOnce, let committer = run.committer {
            // Whatever happens from here on, these records do not come again.
            var draft = CommitDraft()
            sources.addEntries(before: nil, to: &draft)
            committer.submitAndWait(draft)
        }
        guard let cutter else { return .work(makeWork(batch)) }
        cutter.start()
        return .work(cut(cutter, into: batch))
    }

    private func cut(_ cutter: BatchCutter, into batch: Batch) -> Work {
        let limit = run.slices.limit
        cutter.cut(into: batch, bytes: limit.bytes, records: limit.records)
        return makeWork(batch)
    }

    private func read(
        into batch: Batch, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        var pause = RetryPause()
        while true {
            do throws(ConnectorError) {
                return try sources.read(
                    into: batch, limit: ReadLimit(bytes: SlicePacer.most),
                    milliseconds: milliseconds)
            } catch {
                guard let wait = pause.next(after: error) else { throw error }
                guard run.pause(milliseconds: wait) else { return .nothingYet }
            }
        }
    }

    /// An empty batch, which tells lanes and the outlet how far everything is.
    func makeMark(_ batch: Batch) -> Work { makeWork(batch) }

    private func makeWork(_ batch: Batch) -> Work {
        let source = batch.sourceIndex
        var work = Work(batch: batch)
        work.sequence = sequence
        work.step = run.versions.step
        work.others = sources.others(than: source)
        work.clock = clock?.reading(of: source, waitingFor: work.others)
        if sources.takeSilence() {
            // Nothing more is expected of windows, and what they give is committed.
            work.isClosing = true
            pacer.note(1)
        }
        sequence += 1
        guard let scanner, let reading = work.clock else { return work }
        let scan = scanner.scan(batch, reading)
        clock?.advance(source, to: scan.newest, waitingFor: work.others)
        work.scan = scan.records
        return work
    }

    /// A slice was run by the one lane that there is: so many records, and the newest time in them.
    func note(records: Int, newest: Int64?, of work: Work) {
        pacer.note(records)
        guard scanner == nil else { return }
        clock?.advance(work.batch.sourceIndex, to: newest, waitingFor: work.others)
    }

    /// How far time has come for what is left of a batch.
    func reading(for work: Work) -> ClockReading? {
        clock?.reading(of: work.batch.sourceIndex, waitingFor: work.others)
    }

    // MARK: Commits

    /// Records that wait for a commit.
    var pending: Int { pacer.pending }

    /// How many records the next slice may hold; nil when nothing is committed.
    var recordsUntilCommit: Int? {
        run.committer == nil ? nil : max(1, run.plan.definition.commit.records - pacer.pending)
    }

    /// So many records were handed to lanes.
    func note(records: Int) { pacer.note(records) }

    /// True when a commit is to begin now. One that is due by time only does not wait for the disk:
    /// meanwhile more records come into it.
    ///
    /// - Parameter isWhole: all of the batch is, or will be, run.
    func isCommitDue(after work: Work, isWhole: Bool) -> Bool {
        guard let committer = run.committer else { return false }
        if let replay = work.replay {
            // What becomes of a letter and its end are one commit.
            guard isWhole else { return false }
            if replay.isLast { return true }
        }
        let now = monotonicNanoseconds()
        guard
            pacer.isDue(now: now) || run.outboxes.wantsCommitSoon
                || run.isCommitWanted.load(ordering: .relaxed)
        else { return false }
        return pacer.isFull || committer.isIdle
    }

    /// A commit begins: adds where the sources stand, the letters that were run again, and the time
    /// where it is known here. `next` is the first record of the last batch that is not done.
    func addEntries(before next: RecordPlace?, to draft: inout CommitDraft) {
        let isFinal = run.stopRequested.load(ordering: .relaxed)
        // Records that must not come twice were committed when they were read; only a run that is
        // being stopped gives back those that it has not begun with.
        if run.plan.definition.delivery != .atMostOnce || isFinal {
            sources.addEntries(before: next ?? cutter?.next, to: &draft)
        }
        draft.replayed += replays.takeDone()
        clock?.addEntries(to: &draft)
        pacer.hasCommitted(now: monotonicNanoseconds())
    }

    /// What was read of revoked partitions is committed.
    func released(_ partitions: [String]) { sources.released(partitions) }
}

/// Dead letters that are run again, as parts that fit into one batch.
private struct ReplayQueue {
    private let jobs: Channel<ReplayJob>
    private var job: ReplayJob?
    private var position = 0
    /// Numbers of letters that went into batches since the last commit.
    private var done: [UInt64] = []

    init(_ jobs: Channel<ReplayJob>) { self.jobs = jobs }

    mutating func next(into batch: Batch, _ sources: [SourceDefinition]) -> ReplayPart? {
        if job == nil {
            job = jobs.tryReceive()
            position = 0
        }
        guard let job else { return nil }
        let letters = job.part(from: position)
        batch.fill(letters, sources: sources)
        done += letters.map(\.number)
        position = letters.endIndex
        let isLast = position == job.letters.count
        if isLast { self.job = nil }
        return ReplayPart(job: job, isLast: isLast)
    }

    mutating func takeDone() -> [UInt64] {
        defer { done = [] }
        return done
    }
}

/// The pauses between tries of the same call.
struct RetryPause {
    private static let first = 100
    private static let longest = 30_000
    private var milliseconds = first

    /// How long to wait before the call is made again; nil when it is not.
    mutating func next(after error: ConnectorError) -> Int? {
        switch error.remedy {
        case .stop, .refuse: return nil
        case .retry(afterMilliseconds: let wanted?): return max(1, wanted)
        case .retry, .reconnect:
            defer { milliseconds = min(milliseconds * 2, Self.longest) }
            return milliseconds
        }
    }
}
