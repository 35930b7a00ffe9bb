internal import Connecting
public import Definitions
internal import Glibc
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// How a pipeline is run.
public struct RunOptions: Sendable {
    /// Read to the end of the input, then stop.
    public var once = false
    /// Threads that run rules.
    public var workers = 1
    /// Close all windows also when the run is stopped, not only at the end of the input.
    public var drain = false
    /// Files that replace the source's path.
    public var inputs: [String] = []
    /// The folder of the store; nil keeps nothing, and every run begins anew.
    public var data: String?
    /// Reads no source: only what `replay` is given is run, until the run is stopped. Windows stay
    /// open.
    public var onlyReplays = false
    /// Not even that: the store is looked at, and no sink is opened.
    public var onlyLooks = false
    /// The store hears which version of the rules runs.
    public var notesVersion = true
    /// What a new version of the rules has to pass; nil: it is compiled only.
    package var trial: (any VersionTrial)?
    /// How long a stopped run waits for a sink of the outbox that does not move.
    var sinkPatienceMilliseconds = 5000

    /// Creates the default options.
    public init() {}
}

/// A pipeline at work: one thread reads, some run rules, one writes.
///
/// Batches go round: the reader takes an empty one from the pool, a worker runs it, the writer
/// writes its rows in the order of reading and gives it back. The pool is small, so whoever is
/// slow makes the others wait, and memory does not grow.
public final class PipelineRun: Sendable {
    struct Work: Sendable {
        var batch: Batch
        var scan = RecordScan()
        /// The newest time of the slowest other source, if there are others.
        var floor: Int64?
        /// The watermark behind this batch, when the reader has found it.
        var watermark: Int64?
        /// A commit ends with this batch, and this is where the sources stand then.
        var mark: CommitDraft?
        /// The step of the rules' versions that runs it.
        var step = 0
    }

    /// What a batch becomes: rows for each sink and rows for each aggregate stage.
    struct Outputs: Sendable {
        var sinks: [OutputBuffer]
        var rows: [RowBuffer]
    }

    struct Finished: Sendable {
        var batch: Batch
        var outputs: Outputs
        var watermark: Int64?
        /// What a worker gave when there were no more batches.
        var isClosing = false
        /// A commit ends with this batch.
        var mark: CommitDraft?
        var step = 0
        /// What has changed in the state of the worker's rules since the last mark.
        var rules: [[UInt8]] = []
    }

    /// What a thread says once it can work, or cannot.
    enum Startup: Sendable {
        case ready
        case failed(PipelineError)
    }

    struct Shared: Sendable {
        var failure: PipelineError?
        /// The failure stops everything at once; nothing is committed any more.
        var isBroken = false
        var counts = RuleCounts()
        var delivered: [Int] = []
        var threads = 0
        var windows = WindowCounts()
    }

    package static let batchLimit = 256 << 10

    let plan: Plan
    let options: RunOptions
    package let lookups: LookupTables
    let log = RuleLog()
    let pool: Channel<Batch>
    let outputPool: Channel<Outputs>
    let finished: Channel<Finished>
    let workerCount: Int
    let work: [Channel<Work>]
    let startup = Channel<Startup>(capacity: 64)
    let shared = Locked(Shared())
    let stopRequested = Atomic<Bool>(false)
    let readCount = Atomic<Int>(0)
    let deliveredCount = Atomic<Int>(0)
    let deadCount = Atomic<Int>(0)
    /// Handlers that work on a message just now.
    let busyHandlers = Atomic<Int>(0)
    let workersLeft: Atomic<Int>
    let usesState = Atomic<Bool>(false)
    /// The store on its way; nil when nothing is kept.
    let opening: StoreOpening?
    let resumed = Atomic<Bool>(false)
    package let committer: Committer?
    /// Rows that sinks get once their commit is kept.
    let outbox: Outbox
    /// The step of the rules' versions that every batch has from here on, or a later one.
    let sentStep = Atomic<Int>(0)
    /// The functions in Lua that queues ask.
    let scripts: QueueScripts
    /// Which version of the rules is wanted.
    package let versions: VersionBoard
    /// The last records, when a new version may have to be tried on them.
    package let ring: RecordRing?
    /// Dead letters that somebody wants to be run again.
    let replays = Channel<ReplayJob>(capacity: 4)
    /// The sources have no more records, which a stop does not mean.
    let hasEnded = Atomic<Bool>(false)
    /// Who looks at the pipeline.
    let looking = LookingBoard()
    /// What is done once all commits are made, before the store is closed.
    let endings = Locked<[@Sendable () -> Void]>([])
    private let reloaderBox = Locked<Reloader?>(nil)
    private let done = Channel<Void>(capacity: 1)
    let startedAt: UInt64

    /// Starts a pipeline; returns when everything is open, loaded and ready for the first record.
    public static func start(_ plan: Plan, options: RunOptions) throws(PipelineError) -> PipelineRun
    {
        try plan.checkOutbox(options)
        let run = try PipelineRun(plan, options)
        try run.launch()
        return run
    }

    private init(_ plan: Plan, _ options: RunOptions) throws(PipelineError) {
        self.plan = plan
        self.options = options
        startedAt = monotonicNanoseconds()
        // An aggregate in Lua may let its record fail, so it has to run where the record does.
        workerCount = plan.definition.hasAggregatesInLua ? 1 : options.workers
        scripts = QueueScripts(plan)
        opening = StoreOpening.begin(
            plan, options, scripts, feedsWorker: workerCount == 1)
        let outbox = Outbox()
        self.outbox = outbox
        committer = opening.map {
            Committer($0, outbox, checkpointNanoseconds: plan.definition.checkpointNanoseconds)
        }
        // Windows behind several workers have a VM of their own.
        let hasWriterVM = workerCount > 1 && plan.definition.hasAggregates
        let versions = VersionBoard(plan, threads: workerCount + (hasWriterVM ? 1 : 0))
        self.versions = versions
        scripts.follow { versions.wanted.plan }
        let isReloadable = plan.definition.reload != nil || !options.once
        ring = isReloadable ? RecordRing(limit: plan.definition.reload?.shadow ?? 1000) : nil
        lookups = try LookupTables(plan)
        let inFlight = workerCount * 2 + 2
        pool = Channel(capacity: inFlight)
        outputPool = Channel(capacity: inFlight * workerCount)
        finished = Channel(capacity: inFlight * workerCount)
        work = (0..<workerCount).map { _ in Channel(capacity: inFlight) }
        workersLeft = Atomic(workerCount)
        shared.withLock { $0.delivered = plan.definition.sinks.map { _ in 0 } + [0, 0] }
    }

    /// Asks the run to end: what was read is finished and flushed. Safe in a signal handler.
    public func requestStop() {
        stopRequested.store(true, ordering: .relaxed)
        committer?.giveUpWaiting()
    }

    /// Records read, rows delivered and dead letters so far.
    public var progress: (read: Int, delivered: Int, deadLetters: Int) {
        (
            readCount.load(ordering: .relaxed), deliveredCount.load(ordering: .relaxed),
            deadCount.load(ordering: .relaxed)
        )
    }

    /// Waits for the end; the summary, or why it failed.
    public func wait() -> Result<Summary, PipelineError> {
        _ = done.receive()
        log.finish()
        let end = shared.withLock { ($0.failure, $0.counts, $0.delivered, $0.windows) }
        if let failure = end.0 { return .failure(failure) }
        var summary = Summary()
        summary.name = plan.definition.name
        summary.counts = end.1
        summary.windows = end.3
        summary.read = end.1.read
        summary.delivered = zip(plan.definition.sinks, end.2).map { ($0.name, $1) }
        summary.seconds = Double(monotonicNanoseconds() - startedAt) / 1e9
        summary.ruleSet = versions.wanted.name
        summary.addUsage()
        return .success(summary)
    }

    /// Replaces the rules; nil before the start.
    var reloader: Reloader? { reloaderBox.withLock { $0 } }

    /// True when every thread has ended.
    var isOver: Bool { shared.withLock { $0.threads == 0 } }

    /// True when the threads that process records have ended.
    var isEnding: Bool { lookups.isEnded }

    /// How long a source may be waited for, in milliseconds, before somebody looks what else is up.
    var patience: Int { ring == nil ? 100 : 20 }

    /// The first failure counts; everybody stops.
    func fail(_ error: PipelineError) {
        shared.withLock {
            if $0.failure == nil { $0.failure = error }
            $0.isBroken = true
        }
        stopRequested.store(true, ordering: .relaxed)
        committer?.close()
        outbox.giveUp()
        for channel in work { channel.close() }
        pool.close()
        outputPool.close()
        finished.close()
    }

    /// The source has failed: what it gave before is still delivered, then the run ends.
    func failWhenDrained(_ error: PipelineError) {
        shared.withLock { if $0.failure == nil { $0.failure = error } }
        stopRequested.store(true, ordering: .relaxed)
    }

    /// Every worker sees every batch, and takes the records of its partitions.
    var isShared: Bool {
        usesState.load(ordering: .relaxed) && workerCount > 1 && plan.definition.key != nil
    }

    var hasFailed: Bool { shared.withLock { $0.failure != nil } }
    var isBroken: Bool { shared.withLock { $0.isBroken } }

    // MARK: Start

    private func context() -> RunContext {
        var context = RunContext(
            folder: plan.definition.folder, once: options.once, inputs: options.inputs,
            recordLimit: plan.definition.limits.record,
            sourceName: plan.definition.source?.name ?? "source")
        context.resumption.isKept = opening != nil
        context.resumption.cutsUncommitted = plan.definition.delivery == .exactlyOnce
        context.warn = { writeError($0) }
        return context
    }

    /// Runs `body` on a thread of its own, which the run waits for.
    func startThread(_ body: @escaping @Sendable (PipelineRun) -> Void) { spawn(body) }

    /// Runs `body` on a thread of its own and counts it until it ends.
    private func spawn(_ body: @escaping @Sendable (PipelineRun) -> Void) {
        shared.withLock { $0.threads += 1 }
        WorkerThread { [self] in
            body(self)
            let isLast = shared.withLock { state in
                state.threads -= 1
                return state.threads == 0
            }
            if isLast { done.close() }
        }.detach()
    }

    private func launch() throws(PipelineError) {
        // Holds the run open until every thread has been started.
        shared.withLock { $0.threads += 1 }
        defer {
            let isLast = shared.withLock { state in
                state.threads -= 1
                return state.threads == 0
            }
            if isLast { done.close() }
        }
        let context = context()
        if let committer {
            spawn { run in committer.main { run.fail($0) } }
        }
        let handOver = Channel<SinkBox>(capacity: 1)
        defer { handOver.close() }
        if workerCount == 1 {
            spawn { SingleThread(run: $0, context: context, opened: handOver).main() }
        } else {
            for index in 0..<workerCount { spawn { Worker(run: $0, index: index).main() } }
        }
        try awaitStartup(workerCount)
        let reloader = Reloader(self, store?.state.versions ?? VersionTable())
        reloaderBox.withLock { $0 = reloader }
        if options.notesVersion { reloader.noteStart() }
        if plan.definition.reload?.watch == true {
            spawn { run in RuleWatch(run).main() }
        }
        try checkFunctions()
        noteRun()
        try startSchedules()
        let sinks = try openSinks(context)
        if workerCount == 1 {
            handOver.send(sinks)
        } else {
            fillPools()
            spawn { Reader(run: $0, context: context).main() }
        }
        do {
            try awaitStartup(1)
        } catch {
            for sink in sinks.sinks { sink.abandon() }
            throw error
        }
        outbox.start(self)
        try startHandlers()
        if workerCount > 1 {
            spawn { Writer(run: $0, delivery: SinkWriter(run: $0, sinks: sinks.sinks)).main() }
        }
        if !plan.definition.lookups.isEmpty && !options.once {
            spawn { run in
                run.lookups.refresh(
                    isStopped: { run.stopRequested.load(ordering: .relaxed) },
                    warn: { writeError("warning: \($0)\n") })
            }
        }
    }

    /// Sinks behind those of the definition: for dead letters, and for somebody who looks.
    private var hiddenSinks: Int { (opening == nil ? 0 : 1) + (ring == nil ? 0 : 1) }

    private func fillPools() {
        let inFlight = workerCount * 2 + 2
        for _ in 0..<inFlight { pool.send(Batch()) }
        // A batch that every worker sees needs outputs for each of them.
        let outputs = isShared ? inFlight * workerCount : inFlight
        for _ in 0..<outputs { outputPool.send(makeOutputs()) }
    }

    /// One empty buffer per sink, and one per aggregate stage.
    func makeOutputs() -> Outputs {
        let rows = plan.definition.stages.compactMap { stage in
            if case .aggregate = stage.work { RowBuffer() } else { nil }
        }
        let count = plan.definition.sinks.count + hiddenSinks
        return Outputs(sinks: (0..<count).map { _ in OutputBuffer() }, rows: rows)
    }

    private func awaitStartup(_ count: Int) throws(PipelineError) {
        var failure: PipelineError?
        for _ in 0..<count {
            if case .failed(let error) = startup.receive() { failure = failure ?? error }
        }
        guard let failure else { return }
        fail(failure)
        throw failure
    }
}
