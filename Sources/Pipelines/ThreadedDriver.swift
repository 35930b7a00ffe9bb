internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// Batches on their way between the threads of a run with several lanes.
///
/// They go round: the intake takes an empty one from the pool, lanes run it, the outlet writes its
/// rows in the order of reading and gives it back. The pool is small, so whoever is slow makes the
/// others wait, and memory does not grow.
final class Traffic: Sendable {
    /// What a lane has made of a batch.
    struct Finished: Sendable {
        var work: Work
        var part: LanePart
        /// What a lane gave when there were no more batches.
        var isClosing = false
    }

    let batches: Channel<Batch>
    let parts: Channel<LanePart>
    let finished: Channel<Finished>
    private let work: [Channel<Work>]
    private let lanesLeft: Atomic<Int>
    /// The step of the rules' versions that every batch has from here on, or a later one.
    let sentStep = Atomic<Int>(0)
    /// The sources have no more records, which a stop does not mean.
    let hasEnded = Atomic<Bool>(false)

    init(lanes: Int) {
        let inFlight = lanes * 2 + 2
        batches = Channel(capacity: inFlight)
        parts = Channel(capacity: inFlight * lanes)
        finished = Channel(capacity: inFlight * lanes)
        work = (0..<lanes).map { _ in Channel(capacity: inFlight) }
        lanesLeft = Atomic(lanes)
    }

    /// Fills the pools, once it is known how lanes share their work.
    func fill(_ run: PipelineRun) {
        let inFlight = run.laneCount * 2 + 2
        for _ in 0..<inFlight { batches.send(Batch()) }
        let isShared = run.distribution == .byPartition
        for _ in 0..<(isShared ? inFlight * run.laneCount : inFlight) {
            let part = LanePart(sinks: run.makeSinkBuffers(), rows: run.makeRowBuffers())
            if isShared { for sink in part.sinks { sink.keepMarks() } }
            parts.send(part)
        }
    }

    /// Sends work to the one lane that takes it next, or to all of them.
    func send(_ item: Work, _ distribution: Distribution) {
        sentStep.store(item.step, ordering: .releasing)
        for channel in distribution == .byPartition ? work : [work[0]] { channel.send(item) }
    }

    /// The next batch of a lane; nil when there are no more. A lane that others leave without one
    /// takes new versions all the same.
    func next(for lane: Lane, _ run: PipelineRun, index: Int) -> Work? {
        // Without state any lane may take any batch, so none waits while there is work.
        let channel = work[run.distribution == .byPartition ? index : 0]
        guard run.ring != nil else { return channel.receive() }
        while true {
            let sent = sentStep.load(ordering: .acquiring)
            if let item = channel.receive(milliseconds: run.patience) { return item }
            if channel.isFinished { return nil }
            // What was sent before that step is taken by now, so nothing older can come.
            lane.machine.adopt(sent)
        }
    }

    /// The intake sends nothing more.
    func endWork() { for channel in work { channel.close() } }

    /// A lane is done; the last one tells the outlet that nothing more will come.
    func endLane() {
        if lanesLeft.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
            finished.close()
        }
    }

    /// Stops everybody who waits.
    func close() {
        endWork()
        batches.close()
        parts.close()
        finished.close()
    }
}

/// The thread of a lane.
struct LaneThread {
    let run: PipelineRun
    let traffic: Traffic
    let index: Int

    func main() {
        var isReady = false
        do {
            let lane = try Lane.start(run, index: index)
            run.startup.send(.ready)
            isReady = true
            while let work = traffic.next(for: lane, run, index: index) {
                guard var part = traffic.parts.receive() else { break }
                try take(work, lane, &part)
            }
            try close(lane)
            lane.report()
        } catch {
            if isReady {
                run.fail(PipelineError(exitCode: 1, "error: \(error)"))
            } else {
                run.startup.send(.failed(PipelineError(starting: error)))
            }
        }
        traffic.endLane()
    }

    private func take(_ given: Work, _ lane: Lane, _ part: inout LanePart) throws(RuleError) {
        var work = given
        lane.machine.prepare(step: work.step)
        let began = monotonicNanoseconds()
        try lane.run(&work, clock: work.clock, into: &part)
        if work.mark != nil { lane.machine.addChanges(to: &part.changes) }
        run.slices.note(
            bytes: work.batch.bytes.count, records: work.slice.recordCount,
            nanoseconds: monotonicNanoseconds() - began, step: work.step)
        traffic.finished.send(Traffic.Finished(work: work, part: part))
    }

    /// The input has ended: timers of rules fire, and their rows follow all others.
    private func close(_ lane: Lane) throws(RuleError) {
        let isOver = traffic.hasEnded.load(ordering: .acquiring) || run.options.drain
        guard isOver, lane.machine.vm.usesState, var part = traffic.parts.receive() else { return }
        try lane.close(into: &part)
        lane.machine.addChanges(to: &part.changes)
        traffic.finished.send(
            Traffic.Finished(work: Work(batch: Batch()), part: part, isClosing: true))
    }
}

/// The thread of the intake: batch after batch, now and then one with which a commit ends.
struct IntakeThread {
    private let run: PipelineRun
    private let traffic: Traffic
    private let intake: Intake
    private var step = 0
    /// What the lanes have heard of those who look.
    private var looking = 0

    static func main(_ run: PipelineRun, _ context: RunContext, _ traffic: Traffic) {
        do throws(PipelineError) {
            let intake = try Intake(run, try run.openSources(context))
            run.startup.send(.ready)
            var thread = IntakeThread(run: run, traffic: traffic, intake: intake)
            thread.process()
        } catch {
            run.startup.send(.failed(error))
        }
        traffic.endWork()
    }

    private init(run: PipelineRun, traffic: Traffic, intake: Intake) {
        self.run = run
        self.traffic = traffic
        self.intake = intake
    }

    private mutating func process() {
        // Where files that are appended to begin must be known before the first row.
        if run.committer != nil { sendMark() }
        defer { run.refuseReplays() }
        while !run.stopRequested.load(ordering: .relaxed), let batch = traffic.batches.receive() {
            batch.removeAll()
            let event: Intake.Event
            do {
                event = try intake.next(
                    into: batch, milliseconds: intake.pending == 0 ? run.patience : 0)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                traffic.batches.send(batch)
                break
            }
            if case .work(let work) = event {
                take(work)
                continue
            }
            traffic.batches.send(batch)
            switch event {
            case .work: break
            case .nothing: if wantsMark { sendMark() }
            case .revoked(let partitions):
                sendMarkAndWait()
                intake.released(partitions)
            case .end:
                traffic.hasEnded.store(true, ordering: .releasing)
                return finish()
            }
        }
        finish()
    }

    private mutating func finish() { if run.committer != nil { sendMark() } }

    /// True when the lanes and the outlet have to hear something although there are no records.
    private var wantsMark: Bool {
        intake.pending > 0 || run.versions.step != step || run.looking.number != looking
            || run.outboxes.wantsCommit
    }

    private mutating func take(_ given: Work) {
        var work = given
        intake.note(records: work.batch.recordCount)
        if intake.isCommitDue(after: work, isWhole: true) { work.mark = mark() }
        send(work)
    }

    /// An empty batch with which a commit ends.
    private mutating func sendMark(whenTaken: (@Sendable () -> Void)? = nil) {
        guard let batch = traffic.batches.receive() else { return }
        batch.removeAll()
        var work = intake.makeMark(batch)
        if run.committer != nil { work.mark = mark() }
        if let whenTaken { work.mark = (work.mark ?? CommitDraft()).calling(whenTaken) }
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
        step = work.step
        looking = run.looking.number
        traffic.send(work, run.distribution)
    }
}

extension CommitDraft {
    /// The same, with something to be done once it is kept.
    fileprivate func calling(_ body: @escaping @Sendable () -> Void) -> CommitDraft {
        var draft = self
        draft.whenKept.append(body)
        return draft
    }
}

extension Batch {
    /// How many records it holds, about: blank lines count, too.
    fileprivate var recordCount: Int {
        guard entries.isEmpty else { return entries.count }
        return unsafe bytes.withUnsafeBytes { unsafe newlineCount(of: $0) }
    }
}

/// The thread of the outlet: puts batches back into the order of reading.
struct OutletThread {
    let run: PipelineRun
    let traffic: Traffic
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
        } catch {
            for sink in sinks.sinks { sink.abandon() }
            run.startup.send(.failed(PipelineError(starting: error)))
        }
    }

    private func process(_ outlet: Outlet) throws {
        let closing = try takeAll(outlet)
        if traffic.hasEnded.load(ordering: .acquiring) || run.options.drain {
            try outlet.close(closing.map(\.part))
        }
        guard let committer = run.committer, !run.isBroken else { return }
        var draft = CommitDraft()
        for item in closing { draft.rules += item.part.changes.rules }
        try outlet.addEntries(to: &draft)
        committer.submitAndWait(draft)
    }

    /// Takes all batches in order; returns what closing lanes have given.
    private func takeAll(_ outlet: Outlet) throws -> [Traffic.Finished] {
        var next: UInt64 = 0
        var waiting: [UInt64: [Traffic.Finished]] = [:]
        let expected = run.distribution == .byPartition ? run.laneCount : 1
        var closing: [Traffic.Finished] = []
        while let item = try nextItem(outlet) {
            if item.isClosing {
                closing.append(item)
                continue
            }
            waiting[item.work.sequence, default: []].append(item)
            while let items = waiting[next], items.count == expected {
                waiting[next] = nil
                try take(items, outlet, isFirst: next == 0)
                next += 1
            }
        }
        return closing
    }

    private func take(
        _ items: [Traffic.Finished], _ outlet: Outlet, isFirst: Bool
    ) throws {
        let work = items[0].work
        try outlet.take(items.map(\.part), of: work, watermark: work.scan?.endWatermark)
        if var draft = work.mark {
            draft.rules += items.flatMap(\.part.changes.rules)
            try outlet.addEntries(to: &draft)
            if let committer = run.committer {
                // Where files that are appended to begin must be known before the first row.
                if isFirst { committer.submitAndWait(draft) } else { committer.submit(draft) }
            } else {
                for tell in draft.whenKept { tell() }
            }
        }
        for item in items {
            var part = item.part
            part.removeAll()
            traffic.parts.send(part)
        }
        traffic.batches.send(work.batch)
    }

    /// When nothing more is at hand, what was written becomes visible before we wait.
    private func nextItem(_ outlet: Outlet) throws(ConnectorError) -> Traffic.Finished? {
        if let item = traffic.finished.tryReceive() { return item }
        try outlet.flush()
        return traffic.finished.receive()
    }
}
