internal import Connecting
public import Definitions
internal import Glibc
internal import Records
package import Scripting
internal import Synchronization
internal import Threads

/// How a pipeline is run.
public struct RunOptions: Sendable {
    /// Read to the end of the input, then stop.
    public var once = false
    /// Threads that run rules.
    public var workers = 1
    /// Load the rules on disk also when they were refused or rolled back before.
    public var loadsDisk = false
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
    /// Files that hold what no earlier run has written are written over.
    public var overwrites = false
    /// The store hears which version of the rules runs.
    public var notesVersion = true
    /// A clock that stands, in milliseconds since 1970; nil: the real one.
    package var now: Int64?
    /// At the end of the input time comes to this moment, and windows that end later stay open;
    /// nil: they close. For one worker.
    package var until: Int64?
    /// Tables in place of files, by the names of lookups.
    package var lookups: [String: Lookup] = [:]
    /// What a new version of the rules has to pass; nil: it is compiled only.
    package var trial: (any VersionTrial)?
    /// Takes what a person is to hear, each time whole lines with their line breaks; on any thread.
    package var tell: @Sendable (String) -> Void = { writeError($0) }
    /// Called once the sources have given all that there is; on a thread of the run.
    package var inputEnded: @Sendable () -> Void = {}
    /// Called when the store is open, before the first record; on the thread that starts the run.
    package var prepare: @Sendable (PipelineRun) -> Void = { _ in }
    /// Compares `pipeline.yaml` with what the run was started with, for a reload; nil when it is
    /// not to be compared.
    package var change: (@Sendable (Definition) throws(DiagnosticList) -> DefinitionChange?)?
    /// How long a stopped run waits for a sink of the outbox that does not move.
    var sinkPatienceMilliseconds = 5000

    /// Creates the default options.
    public init() {}
}

/// A pipeline at work: records go from the intake through lanes to the outlet.
///
/// With one lane a single thread moves them (`InlineDriver`), with several each part has threads of
/// its own (`ThreadedDriver.swift`); the parts are the same.
public final class PipelineRun: Sendable {
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
        /// Files of sources, by the name of the source.
        var files: [String: FileCounts] = [:]
    }

    let plan: Plan
    let options: RunOptions
    package let lookups: LookupTables
    let log: RuleLog
    /// What may happen very often, such as a handler that fails.
    let notices: NoticeDesk
    let laneCount: Int
    /// How the lanes share the records.
    let distribution: Distribution
    /// How much is read at once.
    let slices: SliceSizes
    /// What windows hold.
    let windowSizes: WindowSizes
    /// Batches between the threads of several lanes; nil when there is one.
    let exchange: LaneExchange?
    let startup = Channel<Startup>(capacity: 64)
    let shared = Locked(Shared())
    let stopRequested = Atomic<Bool>(false)
    let readCount = Atomic<Int>(0)
    let deliveredCount = Atomic<Int>(0)
    let deadCount = Atomic<Int>(0)
    /// A sink has seen that somebody has changed its files, and goes on with the next commit.
    let isCommitWanted = Atomic<Bool>(false)
    /// Handlers that work on a message just now.
    let busyHandlers = Atomic<Int>(0)
    /// The store on its way; nil when nothing is kept.
    let opening: StoreOpening?
    let resumed = Atomic<Bool>(false)
    package let committer: Committer?
    /// Rows that sinks get once their commit is kept.
    let outboxes = Outboxes()
    /// The functions in Lua that queues ask.
    let scripts: QueueScripts
    /// Which version of the rules is wanted.
    package let versions: VersionBoard
    /// The last records, when a new version may have to be tried on them.
    package let ring: RecordRing?
    /// Dead letters that somebody wants to be run again.
    let replays = Channel<ReplayJob>(capacity: 4)
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

    private init(_ given: Plan, _ options: RunOptions) throws(PipelineError) {
        self.options = options
        startedAt = monotonicNanoseconds()
        log = RuleLog(output: options.tell)
        notices = NoticeDesk(tell: options.tell)
        slices = SliceSizes(given.definition.limits)
        let tell = options.tell
        scripts = QueueScripts(given) { tell($0 + "\n") }
        opening = StoreOpening.begin(
            given, options, scripts,
            feedsWorker: given.distribution(lanes: options.workers).0 == 1
                && !given.isHeld(options) && !given.definition.hasStagesBehindWindows)
        let plan = try given.asHeld(by: opening, options)
        self.plan = plan
        (laneCount, distribution) = plan.distribution(lanes: options.workers)
        windowSizes = WindowSizes(tasks: laneCount)
        exchange = laneCount > 1 ? LaneExchange(plan, lanes: laneCount, distribution) : nil
        committer = opening.map { opening in
            Committer(checkpointNanoseconds: plan.definition.checkpointNanoseconds) {
                () throws(PipelineError) in try opening.get()
            }
        }
        let versions = VersionBoard(plan, threads: Self.threads(of: plan, lanes: laneCount))
        self.versions = versions
        scripts.follow { versions.wanted.plan }
        let isReloadable = plan.definition.reload != nil || !options.once
        ring = isReloadable ? RecordRing(limit: plan.definition.reload?.shadow ?? 1000) : nil
        lookups = try LookupTables(plan, replacing: options.lookups)
        shared.withLock { $0.delivered = plan.definition.sinks.map { _ in 0 } }
    }

    /// How many threads run rules: lanes, and what stands behind windows by itself.
    private static func threads(of plan: Plan, lanes: Int) -> Int {
        let definition = plan.definition
        guard definition.hasAggregates else { return lanes }
        return lanes == 1 && !definition.hasStagesBehindWindows ? 1 : lanes + 1
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
        notices.finish()
        if let failure = shared.withLock({ $0.failure }) { return .failure(failure) }
        let summary = summary
        tellOfClosed(summary.windows.lateAfterClose)
        return .success(summary)
    }

    /// What the run has done, also when it has failed; whole once it is over.
    package var summary: Summary {
        let end = shared.withLock { ($0.failure, $0.counts, $0.delivered, $0.windows) }
        var summary = Summary()
        summary.error = end.0?.description
        summary.name = plan.definition.name
        summary.counts = end.1
        summary.windows = end.3
        let held = windowSizes.total
        summary.windows.keys += held.keys
        summary.windows.bytes += held.bytes
        summary.read = end.1.read
        summary.files = fileCounts
        summary.delivered = zip(plan.definition.sinks, end.2).map { ($0.name, $1) }
        summary.seconds = Double(monotonicNanoseconds() - startedAt) / 1e9
        summary.ruleSet = versions.wanted.name
        summary.addUsage()
        return summary
    }

    /// Replaces the rules; nil before the start.
    var reloader: Reloader? { reloaderBox.withLock { $0 } }

    /// True when every thread has ended.
    var isOver: Bool { shared.withLock { $0.threads == 0 } }

    /// True when the threads that process records have ended.
    var isEnding: Bool { lookups.isEnded }

    /// How long a source may be waited for, in milliseconds. A run whose rules may change looks
    /// for a new version in between.
    var patience: Int { ring == nil ? 100 : 20 }

    /// Waits before something is tried again; false when the run is being stopped.
    func pause(milliseconds: Int) -> Bool {
        let until = monotonicNanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
        let pause = Channel<Void>(capacity: 1)
        while !stopRequested.load(ordering: .relaxed) {
            let now = monotonicNanoseconds()
            if now >= until { return true }
            _ = pause.receive(milliseconds: Int(min(20, (until - now) / 1_000_000 + 1)))
        }
        return false
    }

    /// The first failure counts; everybody stops.
    func fail(_ error: PipelineError) {
        shared.withLock {
            if $0.failure == nil { $0.failure = error }
            $0.isBroken = true
        }
        stopRequested.store(true, ordering: .relaxed)
        committer?.close()
        outboxes.giveUp()
        exchange?.close()
    }

    /// The source has failed: what it gave before is still delivered, then the run ends.
    func failWhenDrained(_ error: PipelineError) {
        shared.withLock { if $0.failure == nil { $0.failure = error } }
        stopRequested.store(true, ordering: .relaxed)
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
        context.resumption.overwrites = options.overwrites
        context.warn = options.tell
        if let time = plan.definition.time {
            let plan = plan
            context.makeRowClock = { VMRowClock(plan, patience: time.outOfOrdernessMilliseconds) }
        }
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
        if let exchange {
            for index in 0..<laneCount {
                spawn { LaneThread(run: $0, exchange: exchange, index: index).main() }
            }
        } else {
            spawn { InlineDriver.main($0, context, opened: handOver) }
        }
        try awaitStartup(laneCount)
        let reloader = Reloader(self, store?.state.versions ?? VersionTable())
        reloaderBox.withLock { $0 = reloader }
        if options.notesVersion { reloader.noteStart() }
        if plan.definition.reload?.watch == true {
            spawn { run in RuleWatch(run).main() }
        }
        try checkFunctions()
        noteRun()
        try startSchedules()
        options.prepare(self)
        let sinks = try openSinks(context)
        if let exchange {
            exchange.fill(self)
            spawn { IntakeThread.main($0, context, exchange) }
        } else {
            handOver.send(sinks)
        }
        do {
            try awaitStartup(1)
        } catch {
            for sink in sinks.sinks { sink.abandon() }
            throw error
        }
        outboxes.start(self)
        if let exchange {
            spawn { OutletThread(run: $0, exchange: exchange, sinks: sinks).main() }
            try awaitStartup(1)
        }
        startQueueWatch()
        try startHandlers()
        refreshLookups()
    }

    private func refreshLookups() {
        guard !plan.definition.lookups.isEmpty, !options.once else { return }
        spawn { run in
            run.lookups.refresh(
                isStopped: { run.stopRequested.load(ordering: .relaxed) },
                warn: { run.options.tell("warning: \($0)\n") })
        }
    }

    /// Sinks behind those of the definition: for dead letters, and for somebody who looks.
    private var hiddenSinks: Int { (opening == nil ? 0 : 1) + (ring == nil ? 0 : Tap.most) }

    /// One empty buffer per sink, those of the store and of lookers included.
    func makeSinkBuffers() -> [OutputBuffer] {
        let count = plan.definition.sinks.count + hiddenSinks
        return (0..<count).map { _ in OutputBuffer() }
    }

    /// One empty buffer per aggregate stage.
    func makeRowBuffers() -> [RowBuffer] {
        plan.definition.stages.compactMap { stage in
            if case .aggregate = stage.work { RowBuffer() } else { nil }
        }
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
