internal import Glibc
internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

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
    }

    /// What a thread says once it can work, or cannot.
    enum Startup: Sendable {
        case ready
        case failed(PipelineError)
    }

    struct Shared: Sendable {
        var failure: PipelineError?
        var counts = RuleCounts()
        var delivered: [Int] = []
        var threads = 0
        var windows = WindowCounts()
    }

    static let batchLimit = 256 << 10

    let plan: Plan
    let options: RunOptions
    let lookups: LookupTables
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
    let workersLeft: Atomic<Int>
    let usesState = Atomic<Bool>(false)
    /// The sources have no more records, which a stop does not mean.
    let hasEnded = Atomic<Bool>(false)
    private let done = Channel<Void>(capacity: 1)
    private let startedAt: UInt64

    /// Starts a pipeline; returns when everything is open, loaded and ready for the first record.
    public static func start(_ plan: Plan, options: RunOptions) throws(PipelineError) -> PipelineRun
    {
        let run = try PipelineRun(plan, options)
        try run.launch()
        return run
    }

    private init(_ plan: Plan, _ options: RunOptions) throws(PipelineError) {
        self.plan = plan
        self.options = options
        startedAt = monotonicNanoseconds()
        lookups = try LookupTables(plan)
        // An aggregate in Lua may let its record fail, so it has to run where the record does.
        workerCount = plan.definition.hasAggregatesInLua ? 1 : options.workers
        let inFlight = workerCount * 2 + 2
        pool = Channel(capacity: inFlight)
        outputPool = Channel(capacity: inFlight * workerCount)
        finished = Channel(capacity: inFlight * workerCount)
        work = (0..<workerCount).map { _ in Channel(capacity: inFlight) }
        workersLeft = Atomic(workerCount)
        shared.withLock { $0.delivered = plan.definition.sinks.map { _ in 0 } }
    }

    /// Asks the run to end: what was read is finished and flushed. Safe in a signal handler.
    public func requestStop() { stopRequested.store(true, ordering: .relaxed) }

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
        summary.ruleSet = plan.ruleSet.version
        summary.addUsage()
        return .success(summary)
    }

    /// The first failure counts; everybody stops.
    func fail(_ error: PipelineError) {
        shared.withLock { if $0.failure == nil { $0.failure = error } }
        stopRequested.store(true, ordering: .relaxed)
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

    // MARK: Start

    private func context() -> RunContext {
        RunContext(
            folder: plan.definition.folder, once: options.once, inputs: options.inputs,
            recordLimit: plan.definition.limits.record,
            sourceName: plan.definition.source?.name ?? "source")
    }

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
        let handOver = Channel<SinkBox>(capacity: 1)
        defer { handOver.close() }
        if workerCount == 1 {
            spawn { SingleThread(run: $0, context: context, opened: handOver).main() }
        } else {
            for index in 0..<workerCount { spawn { Worker(run: $0, index: index).main() } }
        }
        try awaitStartup(workerCount)
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

    private func openSinks(_ context: RunContext) throws(PipelineError) -> SinkBox {
        var sinks: [any Sink] = []
        do {
            for sink in plan.definition.sinks { sinks.append(try sink.open(context)) }
        } catch {
            for sink in sinks { sink.abandon() }
            let failure = PipelineError(exitCode: 1, error.description)
            fail(failure)
            throw failure
        }
        return SinkBox(sinks)
    }

    private func fillPools() {
        let inFlight = workerCount * 2 + 2
        for _ in 0..<inFlight { pool.send(Batch()) }
        for _ in 0..<(inFlight * workerCount) { outputPool.send(makeOutputs()) }
    }

    /// One empty buffer per sink, and one per aggregate stage.
    func makeOutputs() -> Outputs {
        let rows = plan.definition.stages.compactMap { stage in
            if case .aggregate = stage.work { RowBuffer() } else { nil }
        }
        return Outputs(sinks: plan.definition.sinks.map { _ in OutputBuffer() }, rows: rows)
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

func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
