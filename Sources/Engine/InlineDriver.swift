internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// One thread does it all: reads a batch, runs it slice by slice and writes its rows.
///
/// A batch then stays in the caches of one core and no thread waits for another, which costs a
/// quarter less CPU time per record than handing it from thread to thread.
struct InlineDriver {
    private let run: PipelineRun
    /// What one slice may take, in nanoseconds.
    private let slice: UInt64
    private let intake: Intake
    private let lane: Lane
    private let outlet: Outlet
    private let batch = Batch()
    private var part: LanePart
    private var results: [WindowResults]
    /// The batch that is not done yet.
    private var current: Work?
    private var isFlushed = true

    /// The thread's whole life: loads the rules, takes the opened sinks, opens the sources, and
    /// runs until the end. The run hears whether that could begin.
    static func main(_ run: PipelineRun, _ context: RunContext, opened: Channel<SinkBox>) {
        defer {
            run.lookups.end()
            run.committer?.close()
        }
        do {
            let lane = try Lane.start(run, index: 0)
            let tail = try run.makeTail(front: lane.machine)
            run.startup.send(.ready)
            guard let sinks = opened.receive()?.sinks else { return }
            let intake = try Intake(run, try run.openSources(context))
            run.startup.send(.ready)
            let outlet = Outlet(run, sinks, tail: tail, front: lane.machine)
            var driver = InlineDriver(run, intake, lane, outlet)
            outlet.whole { try driver.process() }
            run.finishHandlers()
            lane.report()
        } catch {
            run.startup.send(.failed(PipelineError(starting: error)))
        }
    }

    private init(_ run: PipelineRun, _ intake: Intake, _ lane: Lane, _ outlet: Outlet) {
        self.run = run
        slice = UInt64(run.plan.definition.limits.sliceNanoseconds)
        self.intake = intake
        self.lane = lane
        self.outlet = outlet
        part = LanePart(sinks: run.makeSinkBuffers(), rows: run.makeRowBuffers())
        let places = run.plan.aggregateStages.count
        results = places > 0 ? [WindowResults(stages: places)] : []
    }

    private var isStopped: Bool { run.stopRequested.load(ordering: .relaxed) }

    private mutating func process() throws {
        // The lengths of files that are appended to must be known before the first row.
        try commit(waits: true)
        defer { run.refuseReplays() }
        while !isStopped {
            lane.prepare(step: run.versions.step)
            outlet.prepare(step: run.versions.step)
            try outlet.look()
            batch.removeAll()
            let event: Intake.Event
            do {
                event = try intake.next(into: batch, milliseconds: patience)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                try outlet.flush()
                return try commit(waits: true)
            }
            switch event {
            case .work(let work): try take(work)
            case .nothing: try rest()
            case .revoked(let partitions):
                try commit(waits: true)
                intake.released(partitions)
            case .end:
                try end()
                return try commit(waits: true)
            }
        }
        if run.options.drain { try close() }
        try commit(waits: true)
    }

    /// How long the sources may be waited for: what was written becomes visible first, and what
    /// waits for a commit does not wait for records.
    private var patience: Int { !isFlushed ? 0 : intake.pending > 0 ? 2 : run.patience }

    /// Runs a batch, slice by slice; in between, commits and those who want something have their
    /// turn.
    private mutating func take(_ given: Work) throws {
        var work = given
        repeat {
            lane.prepare(step: run.versions.step)
            work.step = run.versions.step
            work.slice.bound(
                records: intake.recordsUntilCommit,
                deadline: monotonicNanoseconds() + slice)
            try lane.run(&work, clock: intake.reading(for: work), into: &part)
            intake.note(records: part.counts.records, newest: part.newest, of: work)
            try pass(work)
            isFlushed = false
            current = work
            try outlet.look()
            if intake.isCommitDue(after: work, isWhole: work.slice.isDone) {
                try commit(waits: work.replay?.isLast ?? false)
            }
            // Dead letters that are run again are done as a whole.
        } while !work.slice.isDone && (!isStopped || work.replay != nil)
        if work.slice.isDone { current = nil }
    }

    /// Rows of a slice go into windows, and what comes out to the sinks.
    private mutating func pass(_ work: Work, watermark given: Int64? = nil) throws {
        let now = given ?? intake.reading(for: work)?.watermark ?? Int64.min
        let watermark = now == .min ? nil : now
        if !results.isEmpty {
            if work.isClosing {
                lane.task.finish([part.rows], into: &results[0])
            } else {
                try lane.task.take([part.rows], watermark: watermark, into: &results[0])
            }
        }
        try outlet.take([part], results, of: work, watermark: watermark)
        part.removeAll()
    }

    /// Nothing came: what was written becomes visible and is committed, unless the disk is busy.
    private mutating func rest() throws {
        if !isFlushed { try outlet.flush() }
        isFlushed = true
        guard let committer = run.committer, committer.isIdle else { return }
        if intake.pending > 0 || run.outboxes.wantsCommit
            || run.isCommitWanted.load(ordering: .relaxed)
        {
            try commit(waits: false)
        }
    }

    private mutating func commit(waits: Bool) throws(ConnectorError) {
        guard let committer = run.committer, !run.isBroken, !run.options.onlyLooks else { return }
        var draft = CommitDraft()
        intake.addEntries(before: current?.slice.next, to: &draft)
        lane.addEntries(to: &draft)
        try outlet.addEntries(to: &draft)
        if waits || draft.isAwaited {
            committer.submitAndWait(draft)
        } else {
            committer.submit(draft)
        }
    }

    /// The input has ended: windows close, unless they are kept for the next run or time has come
    /// to a moment only.
    private mutating func end() throws {
        guard let until = run.options.until else {
            if run.closesAtEnd { try close() }
            return
        }
        batch.removeAll()
        var work = Work(batch: batch)
        work.step = run.versions.step
        try lane.advance(to: until, into: &part)
        try pass(work, watermark: until)
    }

    /// The input has ended, so no window can get more.
    private mutating func close() throws {
        batch.removeAll()
        var work = Work(batch: batch)
        work.step = run.versions.step
        work.isClosing = true
        work.isEnding = true
        try lane.close(into: &part)
        try pass(work)
    }
}

extension PipelineError {
    /// Why a run could not begin.
    init(starting error: any Error) {
        self = error as? PipelineError ?? PipelineError(exitCode: 2, "error: \(error)")
    }
}
