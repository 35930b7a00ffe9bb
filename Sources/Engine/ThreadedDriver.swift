internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// The thread of a lane.
struct LaneThread {
    let run: PipelineRun
    let exchange: LaneExchange
    let index: Int

    func main() {
        var isReady = false
        do {
            let lane = try Lane.start(run, index: index)
            run.startup.send(.ready)
            isReady = true
            while let task = next(lane) {
                switch task {
                case .records(let work): try take(work, lane)
                case .windows(let batch): try take(batch, lane)
                case .shared(let ranked): try take(ranked, lane)
                }
            }
            lane.report()
        } catch {
            if isReady {
                run.fail(PipelineError(exitCode: 1, "error: \(error)"))
            } else {
                run.startup.send(.failed(PipelineError(starting: error)))
            }
        }
    }

    /// What to do next; nil at the end. A lane that has nothing to do takes new versions all the
    /// same.
    private func next(_ lane: Lane) -> LaneExchange.Task? {
        guard run.ring != nil else { return exchange.next(lane: index, milliseconds: nil) }
        while true {
            // What was sent before that step is taken by now, so nothing older can come.
            let sent = exchange.sentStep
            if let task = exchange.next(lane: index, milliseconds: run.patience) { return task }
            if exchange.isFinished(lane: index) { return nil }
            lane.machine.adopt(sent)
        }
    }

    private func take(_ given: Work, _ lane: Lane) throws(RuleError) {
        guard var part = exchange.parts.receive() else { return }
        var work = given
        lane.prepare(step: work.step)
        let began = monotonicNanoseconds()
        try lane.run(&work, clock: work.clock, into: &part)
        if work.isEnding { try lane.close(into: &part) }
        if work.mark != nil { lane.machine.addChanges(to: &part.changes) }
        run.slices.note(
            bytes: work.batch.bytes.count, records: work.slice.recordCount,
            nanoseconds: monotonicNanoseconds() - began, step: work.step)
        exchange.complete(part, of: work)
    }

    private func take(_ batch: LaneExchange.Settled, _ lane: Lane) throws(RuleError) {
        guard var results = exchange.results.receive() else { return }
        results.lane = index
        let rows = batch.parts.map(\.rows)
        if batch.work.isClosing {
            lane.task.finish(rows, into: &results)
        } else {
            try lane.task.take(rows, watermark: batch.watermark, into: &results)
        }
        var changes = CommitDraft()
        if batch.work.mark != nil { lane.task.addEntries(to: &changes) }
        exchange.complete(results, changes, of: batch)
    }

    private func take(_ ranked: LaneExchange.Ranked, _ lane: Lane) throws(RuleError) {
        guard var share = exchange.shares.receive() else { return }
        try lane.share(ranked.results.rows, ranked.places, into: &share)
        exchange.complete(share, of: ranked)
    }
}

/// The thread of the intake: batch after batch, now and then one with which a commit ends.
struct IntakeThread {
    private let run: PipelineRun
    private let exchange: LaneExchange
    private let intake: Intake
    private var step = 0
    /// What the lanes have heard of those who look.
    private var looking = 0

    static func main(_ run: PipelineRun, _ context: RunContext, _ exchange: LaneExchange) {
        do throws(PipelineError) {
            let intake = try Intake(run, try run.openSources(context))
            run.startup.send(.ready)
            var thread = IntakeThread(run: run, exchange: exchange, intake: intake)
            thread.process()
        } catch {
            run.startup.send(.failed(error))
        }
    }

    private init(run: PipelineRun, exchange: LaneExchange, intake: Intake) {
        self.run = run
        self.exchange = exchange
        self.intake = intake
    }

    private mutating func process() {
        // Where files that are appended to begin must be known before the first row.
        if run.committer != nil { sendMark() }
        defer { run.refuseReplays() }
        while !run.stopRequested.load(ordering: .relaxed), let batch = exchange.batches.receive() {
            batch.removeAll()
            let event: Intake.Event
            do {
                event = try intake.next(
                    into: batch, milliseconds: intake.pending == 0 ? run.patience : 0)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                exchange.batches.send(batch)
                break
            }
            if case .work(let work) = event {
                take(work)
                continue
            }
            exchange.batches.send(batch)
            switch event {
            case .work: break
            case .nothing: if wantsMark { sendMark() }
            case .revoked(let partitions):
                sendMarkAndWait()
                intake.released(partitions)
            case .end: return sendLast(hasEnded: true)
            }
        }
        sendLast(hasEnded: false)
    }

    /// Nothing comes behind it; a commit ends with it.
    private mutating func sendLast(hasEnded: Bool) {
        guard var work = makeMark() else { return }
        work.isLast = true
        work.isClosing = hasEnded && run.closesAtEnd || run.options.drain
        work.isEnding = work.isClosing
        send(work)
    }

    /// True when the lanes and the outlet have to hear something although there are no records.
    private var wantsMark: Bool {
        intake.pending > 0 || run.versions.step != step || run.looking.number != looking
            || run.outboxes.wantsCommit || run.isCommitWanted.load(ordering: .relaxed)
    }

    private mutating func take(_ given: Work) {
        var work = given
        intake.note(records: work.batch.recordCount)
        if intake.isCommitDue(after: work, isWhole: true) { work.mark = mark() }
        send(work)
    }

    /// An empty batch with which a commit ends; nil when the run has failed.
    private mutating func makeMark() -> Work? {
        guard let batch = exchange.batches.receive() else { return nil }
        batch.removeAll()
        var work = intake.makeMark(batch)
        if run.committer != nil { work.mark = mark() }
        return work
    }

    private mutating func sendMark(whenKept: (@Sendable () -> Void)? = nil) {
        guard var work = makeMark() else { return }
        if let whenKept {
            var draft = work.mark ?? CommitDraft()
            draft.whenKept.append(whenKept)
            work.mark = draft
        }
        send(work)
    }

    /// The same, and waits until it is kept.
    private mutating func sendMarkAndWait() {
        let answer = Channel<Void>(capacity: 1)
        sendMark { _ = answer.trySend(()) }
        while !run.isBroken, answer.receive(milliseconds: 100) == nil {}
    }

    private func mark() -> CommitDraft {
        var draft = CommitDraft()
        intake.addEntries(before: nil, to: &draft)
        return draft
    }

    private mutating func send(_ work: Work) {
        // A lane runs the rules behind windows after it has begun with later batches, which must
        // not be of another version.
        if exchange.ranking != nil, work.step != step { exchange.drain() }
        step = work.step
        looking = run.looking.number
        exchange.send(work)
    }
}

extension Batch {
    /// How many records it holds, about: blank lines count, too.
    fileprivate var recordCount: Int {
        guard entries.isEmpty, lineCount == 0 else { return max(entries.count, lineCount) }
        return unsafe bytes.withUnsafeBytes { unsafe newlineCount(of: $0) }
    }
}

/// The thread of the outlet.
struct OutletThread {
    let run: PipelineRun
    let exchange: LaneExchange
    let sinks: SinkBox

    func main() {
        // Without this, a run whose source has ended would wait for the refreshing of lookups.
        defer {
            run.lookups.end()
            run.committer?.close()
        }
        do {
            let tail = try run.makeTail(front: nil)
            run.startup.send(.ready)
            let outlet = Outlet(run, sinks.sinks, tail: tail, front: nil)
            outlet.whole { try process(outlet) }
            run.finishHandlers()
        } catch {
            for sink in sinks.sinks { sink.abandon() }
            run.startup.send(.failed(PipelineError(starting: error)))
        }
    }

    private func process(_ outlet: Outlet) throws {
        var waiting: [UInt64: LaneExchange.Finished] = [:]
        var sequence: UInt64 = 0
        while let item = try next(outlet) {
            waiting[item.batch.work.sequence] = item
            // A batch without rows of windows is done before those that wait for theirs.
            while let item = waiting.removeValue(forKey: sequence) {
                sequence += 1
                try take(item, outlet)
            }
        }
    }

    private func take(_ item: LaneExchange.Finished, _ outlet: Outlet) throws {
        let work = item.batch.work
        try outlet.take(item)
        try outlet.look()
        if var draft = work.mark {
            draft.add(item.changes)
            try outlet.addEntries(to: &draft)
            commit(draft, waits: work.sequence == 0 || work.isLast)
        }
        exchange.recycle(item)
    }

    /// Where files that are appended to begin must be known before the first row, and the last
    /// commit be kept before sinks are finished.
    private func commit(_ draft: CommitDraft, waits: Bool) {
        guard !run.isBroken else { return }
        guard let committer = run.committer else {
            // Nothing is kept: what was written is all that there will be.
            for tell in draft.whenKept { tell() }
            return
        }
        if waits || draft.isAwaited {
            committer.submitAndWait(draft)
        } else {
            committer.submit(draft)
        }
    }

    /// When nothing more is at hand, what was written becomes visible before we wait.
    private func next(_ outlet: Outlet) throws(ConnectorError) -> LaneExchange.Finished? {
        if let item = exchange.finished.tryReceive() { return item }
        try outlet.flush()
        while true {
            try outlet.look()
            if let item = exchange.finished.receive(milliseconds: Self.lookMilliseconds) {
                return item
            }
            if exchange.finished.isFinished { return nil }
        }
    }

    /// How often sinks may look for changes from outside while no rows come.
    private static let lookMilliseconds = 100
}
