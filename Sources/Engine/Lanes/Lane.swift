internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// What a lane makes of a slice, on its way to the outlet.
struct LanePart: Sendable {
    /// Rows for each sink.
    var sinks: [OutputBuffer]
    /// Rows for each aggregate stage.
    var rows: [RowBuffer]
    /// What was counted.
    var counts = SliceCounts()
    /// The newest event time among the records, where it was not known before.
    var newest: Int64?
    /// What has changed in the state of rules, when a commit ends with the batch.
    var changes = CommitDraft()

    /// Forgets what was in it and keeps the memory.
    mutating func removeAll() {
        for sink in sinks { sink.removeAll() }
        for buffer in rows { buffer.removeAll() }
        counts = SliceCounts()
        newest = nil
        changes = CommitDraft()
    }
}

/// A thread's share of a pipeline: one VM, and the partitions whose records it runs.
final class Lane {
    let machine: RuleMachine
    let task: PartitionTask
    /// What takes the rows of windows through the rules behind them; empty when the outlet does.
    private let deliveries: [WindowDelivery]
    private let run: PipelineRun
    private let index: Int
    /// Which VM the windows of the task know.
    private var generation = 0

    private init(_ run: PipelineRun, index: Int) throws(RuleError) {
        self.run = run
        self.index = index
        // Windows that lead to nothing but sinks share the VM of the only lane.
        let machine = try RuleMachine(
            run, index: index, stages: run.stageNames(behindWindows: false),
            part: (index: index, count: run.laneCount))
        self.machine = machine
        task = PartitionTask(run, index: index, machine.vm)
        let stages = run.exchange?.ranking == nil ? [] : run.plan.aggregateStages
        deliveries = stages.map { WindowDelivery($0.index, run.plan, [:], machine.vm) }
        if index == 0, let store = run.store {
            run.exchange?.ranking?.restore(store.state.times.positions)
        }
    }

    /// Loads the rules on the calling thread, which runs the lane from then on. Throws also why the
    /// store could not be opened.
    static func start(_ run: PipelineRun, index: Int) throws -> Lane {
        let lane = try Lane(run, index: index)
        try run.plan.checkAggregates(lane.machine.vm)
        if let opening = run.opening {
            let isEmpty = try opening.get().state.isEmpty
            run.resumed.store(!isEmpty, ordering: .relaxed)
        }
        run.versions.wanted.layouts = StateLayout.all(of: lane.machine.vm, in: run.plan)
        return lane
    }

    /// Brings rules, lookups and lookers up to date; between two slices only.
    func prepare(step: Int) {
        machine.prepare(step: step)
        guard machine.generation != generation else { return }
        generation = machine.generation
        task.rebind(machine.vm)
        let isTapped = machine.looking.isTapped
        for delivery in deliveries {
            delivery.rebind(machine.vm, run.plan.definition, isTapped: isTapped)
        }
    }

    /// Runs a slice of a batch, from where it stands as far as its bounds allow.
    ///
    /// - Parameter clock: how far time has come before it; nil when only the outlet knows.
    func run(
        _ work: inout Work, clock: ClockReading?, into part: inout LanePart
    ) throws(RuleError) {
        let source = work.batch.sourceIndex
        let isFirst = work.slice.recordCount == 0
        // Lanes that share every batch need it noted once.
        if isFirst, index == 0 || run.distribution != .byPartition { run.ring?.note(work.batch) }
        machine.vm.restoreTime(ofSource: source, newest: clock?.newest, watermark: clock?.watermark)
        try machine.vm.run(
            work.batch, &work.slice, into: part.sinks, rows: part.rows,
            scan: work.scan ?? RecordScan(), worker: index, workers: run.laneCount,
            floor: clock?.floor)
        if work.scan == nil { part.newest = machine.vm.newestTime(ofSource: source) }
        part.counts = machine.count()
    }

    /// Runs the rules behind windows on the rows that those of this lane have given.
    func share(
        _ rows: [WindowRows], _ places: [RowRanking.Places], into part: inout LanePart
    ) throws(RuleError) {
        for (place, delivery) in deliveries.enumerated() {
            try delivery.share(
                &rows[place].output, places[place], vm: &machine.vm, outputs: part.sinks,
                injected: part.rows)
        }
        machine.count()
    }

    /// The input has ended: timers of rules fire.
    func close(into part: inout LanePart) throws(RuleError) {
        try advance(to: Int64.max, into: &part)
    }

    /// Time has come to a moment without records.
    func advance(to time: Int64, into part: inout LanePart) throws(RuleError) {
        guard machine.vm.usesState else { return }
        try machine.vm.advance(to: time, into: part.sinks, rows: part.rows)
        part.counts = machine.count()
    }

    /// Adds what has changed in the state of rules and in windows to a commit.
    func addEntries(to draft: inout CommitDraft) {
        machine.addChanges(to: &draft)
        task.addEntries(to: &draft)
    }

    /// Adds everything that the lane has counted to the run.
    func report() {
        machine.vm.sweep()
        let counts = machine.vm.counts
        run.shared.withLock { $0.counts.add(counts) }
    }
}
