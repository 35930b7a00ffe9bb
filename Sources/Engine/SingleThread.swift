internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// One worker does it all: reads a batch, runs it and writes its rows.
///
/// A batch then stays in the caches of one core and no thread waits for another, which costs a
/// quarter less CPU time per record than handing it from thread to thread.
struct SingleThread {
    let run: PipelineRun
    let context: RunContext
    /// Brings the opened sinks once the rules are loaded; closed when they could not be opened.
    let opened: Channel<SinkBox>

    func main() {
        defer {
            run.lookups.end()
            run.committer?.close()
        }
        do {
            var worker = try Worker(run: run, index: 0).start()
            guard let sinks = opened.receive()?.sinks else { return }
            let delivery = SinkWriter(run: run, sinks: sinks)
            let aggregation = Aggregation(run.plan, worker.vm)
            if let store = run.store { aggregation.restore(store.state) }
            guard let sources = openSources() else { return }
            var loop = ReadingLoop(
                run: run, sources: sources, aggregation: aggregation, delivery: delivery)
            var failure: PipelineError?
            delivery.whole { () throws(ConnectorError) in
                do {
                    try loop.process(&worker)
                } catch let error as ConnectorError {
                    throw error
                } catch {
                    failure = PipelineError(exitCode: 1, "error: \(error)")
                }
                if let failure { run.fail(failure) }
            }
            let counts = worker.vm.counts
            let windows = aggregation.counts
            run.shared.withLock {
                $0.counts.add(counts)
                $0.windows = windows
            }
        } catch {
            let failure = PipelineError(exitCode: 2, "error: \(error)")
            run.startup.send(.failed(error as? PipelineError ?? failure))
        }
    }

    private func openSources() -> SourceSet? {
        do {
            let sources = try SourceSet(
                run.plan.definition, context, run.store, isEmpty: run.options.onlyReplays)
            run.startup.send(.ready)
            return sources
        } catch {
            run.startup.send(.failed(error))
            return nil
        }
    }
}

/// The loop of the one thread: batch after batch, and a commit now and then.
private struct ReadingLoop {
    let run: PipelineRun
    let sources: SourceSet
    let aggregation: Aggregation
    let delivery: SinkWriter
    private var pacer: CommitPacer
    private let batch = Batch()
    private let outputs: PipelineRun.Outputs
    private var isFlushed = true
    private var replayed: [UInt64] = []

    init(
        run: PipelineRun, sources: SourceSet, aggregation: Aggregation, delivery: SinkWriter
    ) {
        self.run = run
        self.sources = sources
        self.aggregation = aggregation
        self.delivery = delivery
        pacer = CommitPacer(run.plan.definition.commit, now: monotonicNanoseconds())
        outputs = run.makeOutputs()
    }

    mutating func process(_ worker: inout LoadedWorker) throws {
        // The lengths of files that are appended to must be known before the first row.
        var start = CommitDraft()
        delivery.addPositions(to: &start)
        if !start.positions.isEmpty { run.committer?.submitAndWait(start) }
        defer { run.refuseReplays() }
        while !run.stopRequested.load(ordering: .relaxed) {
            if let job = run.replays.tryReceive() { try replay(job, &worker) }
            let isOther = worker.adopt(run.versions.step)
            if worker.look() || isOther { aggregation.rebind(worker.vm, worker.looking) }
            batch.removeAll()
            let outcome: SourceOutcome
            do {
                // What was written becomes visible before we wait for more.
                let patience = !isFlushed ? 0 : pacer.pending == 0 ? run.patience : 2
                outcome = try sources.read(
                    into: batch, limit: PipelineRun.batchLimit, milliseconds: patience)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                try delivery.flush()
                return commitAndWait(&worker)
            }
            switch outcome {
            case .end:
                try close(&worker)
                return commitAndWait(&worker)
            case .nothingYet:
                if !isFlushed { try delivery.flush() }
                isFlushed = true
                // What comes meanwhile does not wait for the disk.
                if pacer.pending > 0 || delivery.outbox?.wantsCommit ?? false,
                    run.committer?.isIdle ?? true
                {
                    commit(&worker)
                }
            case .records: try take(&worker)
            }
        }
        if run.options.drain { try close(&worker) }
        commitAndWait(&worker)
    }

    /// Runs dead letters; when the answer is given, what became of them is kept.
    private mutating func replay(_ job: ReplayJob, _ worker: inout LoadedWorker) throws {
        let before = worker.vm.counts
        let sources = run.plan.definition.sources
        try job.forEachRun { letters in
            batch.fill(letters, sources: sources)
            replayed += letters.map(\.number)
            try take(&worker)
        }
        commitAndWait(&worker)
        let after = worker.vm.counts
        var result = ReplayResult()
        result.total = job.letters.count
        result.dead = after.deadLetters - before.deadLetters
        result.dropped = after.droppedTotal - before.droppedTotal
        result.delivered = result.total - result.dead - result.dropped
        job.answer.send(result)
    }

    private mutating func take(_ worker: inout LoadedWorker) throws {
        if run.plan.definition.delivery == .atMostOnce, let committer = run.committer {
            // Whatever happens from here on, these records do not come again.
            var draft = CommitDraft()
            sources.addPositions(to: &draft)
            draft.times = nil
            committer.submitAndWait(draft)
        }
        let before = worker.vm.totals.read
        let work = PipelineRun.Work(batch: batch, floor: sources.floor(batch.sourceIndex))
        try worker.run(work, into: outputs)
        if let newest = worker.vm.newestTime(ofSource: batch.sourceIndex) {
            sources.note(newest, of: batch.sourceIndex)
        }
        if !aggregation.isEmpty {
            try aggregation.run(
                [outputs.rows], watermark: worker.vm.watermark, vm: &worker.vm,
                outputs: outputs.sinks)
            worker.count()
        }
        try delivery.write(outputs.sinks)
        isFlushed = false
        guard let committer = run.committer else { return }
        pacer.note(worker.vm.totals.read - before)
        let now = monotonicNanoseconds()
        if pacer.isDue(now: now), committer.isIdle || pacer.isOverdue(now: now) {
            commit(&worker)
        } else if let outbox = delivery.outbox, outbox.isFull {
            commit(&worker)
        }
    }

    private mutating func commit(_ worker: inout LoadedWorker) {
        run.committer?.submit(draft(&worker))
        pacer.hasCommitted(now: monotonicNanoseconds())
    }

    private mutating func commitAndWait(_ worker: inout LoadedWorker) {
        guard let committer = run.committer, !run.isBroken, !run.options.onlyLooks else { return }
        committer.submitAndWait(draft(&worker))
        pacer.hasCommitted(now: monotonicNanoseconds())
    }

    private mutating func draft(_ worker: inout LoadedWorker) -> CommitDraft {
        var draft = CommitDraft()
        swap(&draft.replayed, &replayed)
        sources.addPositions(to: &draft)
        draft.times?.watermark = worker.vm.watermark
        draft.rules = worker.takeChanges()
        aggregation.addChanges(to: &draft)
        delivery.addPositions(to: &draft)
        return draft
    }

    /// The input has ended, so no window can get more.
    private func close(_ worker: inout LoadedWorker) throws {
        guard !aggregation.isEmpty || worker.vm.usesState else { return }
        try worker.vm.advance(to: Int64.max, into: outputs.sinks, rows: outputs.rows)
        try aggregation.run(
            [outputs.rows], watermark: nil, vm: &worker.vm, outputs: outputs.sinks)
        try aggregation.finish(vm: &worker.vm, outputs: outputs.sinks)
        worker.count()
        try delivery.write(outputs.sinks)
    }
}

/// Hands the sinks to the thread that writes, which alone uses them from then on.
final class SinkBox: @unchecked Sendable {  // Handed over once, before use.
    let sinks: [any Sink]
    init(_ sinks: [any Sink]) { self.sinks = sinks }
}
