internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// The thread that reads the source and hands batches to the workers.
struct Reader {
    let run: PipelineRun
    let context: RunContext

    func main() {
        do throws(PipelineError) {
            let sources = try SourceSet(run.plan.definition, context, run.store)
            let scanner = try makeScanner()
            run.startup.send(.ready)
            var loop = MarkingLoop(run: run, sources: sources, scanner: scanner)
            loop.read()
        } catch {
            run.startup.send(.failed(error))
        }
        for channel in run.work { channel.close() }
    }

    /// With state and several workers, the reader decides which worker a record belongs to; the
    /// time that a record meets is decided here as well.
    private func makeScanner() throws(PipelineError) -> Scanner? {
        let isShared = run.isShared
        guard isShared || run.plan.definition.time != nil else { return nil }
        do {
            return try Scanner(run, partitions: isShared)
        } catch {
            throw PipelineError(exitCode: 2, "error: \(error)")
        }
    }
}

/// The reader's loop: batch after batch, now and then one with which a commit ends.
private struct MarkingLoop {
    let run: PipelineRun
    let sources: SourceSet
    let scanner: Scanner?
    private var sequence: UInt64 = 0
    private var pacer: CommitPacer
    private var step = 0
    /// Nil when no sink takes its rows from there.
    private let outbox: Outbox?
    /// What the workers have heard of those who look.
    private var looking = 0

    init(run: PipelineRun, sources: SourceSet, scanner: Scanner?) {
        self.run = run
        self.sources = sources
        self.scanner = scanner
        outbox = run.outbox.isUsed ? run.outbox : nil
        pacer = CommitPacer(run.plan.definition.commit, now: monotonicNanoseconds())
    }

    mutating func read() {
        // Where files that are appended to begin must be known before the first row.
        if run.committer != nil { sendMark() }
        defer { run.refuseReplays() }
        while !run.stopRequested.load(ordering: .relaxed), let batch = run.pool.receive() {
            batch.removeAll()
            if let job = run.replays.tryReceive() {
                run.pool.send(batch)
                replay(job)
                continue
            }
            let outcome: SourceOutcome
            do {
                outcome = try sources.read(
                    into: batch, limit: PipelineRun.batchLimit,
                    milliseconds: pacer.pending == 0 ? run.patience : 0)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                run.pool.send(batch)
                break
            }
            if outcome == .end {
                run.hasEnded.store(true, ordering: .releasing)
                run.pool.send(batch)
                break
            }
            if outcome == .nothingYet {
                run.pool.send(batch)
                if pacer.pending > 0 || run.versions.step != step || run.looking.number != looking
                    || outbox?.wantsCommit ?? false
                {
                    sendMark()
                }
                continue
            }
            take(batch)
        }
        if run.committer != nil { sendMark() }
    }

    private mutating func take(_ batch: Batch) {
        var work = PipelineRun.Work(batch: batch, floor: sources.floor(batch.sourceIndex))
        if let scanner { scanner.scan(&work, sources) }
        if let committer = run.committer {
            if run.plan.definition.delivery == .atMostOnce {
                // Whatever happens from here on, these records do not come again.
                committer.submitAndWait(mark(withTimes: false))
            }
            pacer.note(batch.recordCount)
            let now = monotonicNanoseconds()
            if pacer.isDue(now: now) || outbox?.isFull ?? false {
                work.mark = mark(withTimes: true)
                pacer.hasCommitted(now: now)
            }
        }
        send(work)
    }

    /// Sends dead letters through the workers again. What becomes of each is asked of the rules
    /// beforehand, because the workers count what they do together with all other records.
    private mutating func replay(_ job: ReplayJob) {
        var result = (try? run.tryReplay(job.letters)) ?? ReplayResult()
        result.isDryRun = false
        job.forEachRun { letters in
            guard let batch = run.pool.receive() else { return }
            batch.fill(letters, sources: run.plan.definition.sources)
            take(batch)
        }
        let numbers = job.letters.map(\.number)
        let answer = result
        sendMark { draft in
            draft.replayed = numbers
            draft.whenKept = { job.answer.send(answer) }
        }
    }

    /// An empty batch with which a commit ends.
    private mutating func sendMark(_ complete: (inout CommitDraft) -> Void = { _ in }) {
        guard let batch = run.pool.receive() else { return }
        batch.removeAll()
        var work = PipelineRun.Work(batch: batch, floor: sources.floor(batch.sourceIndex))
        if let scanner { scanner.scan(&work, sources) }
        if run.committer != nil {
            var draft = mark(withTimes: true)
            complete(&draft)
            work.mark = draft
        }
        pacer.hasCommitted(now: monotonicNanoseconds())
        send(work)
    }

    private func mark(withTimes: Bool) -> CommitDraft {
        var draft = CommitDraft()
        sources.addPositions(to: &draft)
        draft.times?.watermark = scanner?.watermark
        if !withTimes { draft.times = nil }
        return draft
    }

    private mutating func send(_ work: PipelineRun.Work) {
        var work = work
        step = run.versions.step
        looking = run.looking.number
        work.step = step
        run.sentStep.store(step, ordering: .releasing)
        work.batch.sequence = sequence
        sequence += 1
        // State without a key is one partition, so one worker has it all.
        for channel in run.isShared ? run.work : [run.work[0]] { channel.send(work) }
    }
}

extension Batch {
    /// How many records it holds, about: blank lines count, too.
    fileprivate var recordCount: Int {
        guard entries.isEmpty else { return entries.count }
        return unsafe bytes.withUnsafeBytes { unsafe newlineCount(of: $0) }
    }
}

/// Finds partitions and times with a VM of the reader's own.
final class Scanner {
    private var vm: RuleVM
    private let findsPartitions: Bool
    private let findsTimes: Bool

    init(_ run: PipelineRun, partitions: Bool) throws(RuleError) {
        let plan = run.plan
        vm = try plan.makeVM(log: nil)
        try run.restore(&vm, stages: [])
        findsPartitions = partitions
        findsTimes = plan.definition.time != nil
    }

    /// How far time has come; nil before the first time.
    var watermark: Int64? { vm.watermark }

    func scan(_ work: inout PipelineRun.Work, _ sources: SourceSet) {
        let index = work.batch.sourceIndex
        work.scan = vm.scan(
            work.batch, partitions: findsPartitions, times: findsTimes, floor: work.floor)
        work.watermark = vm.watermark
        if let newest = vm.newestTime(ofSource: index) { sources.note(newest, of: index) }
    }
}
