internal import Definitions
internal import Records
internal import Scripting
internal import Windowing

/// The windows of a run: takes what reached the aggregate stages, and lets their rows go on.
///
/// One thread owns it. Rows come in the order of their source, whatever the number of workers, so
/// that results depend on the data alone.
final class Aggregation {
    private var stages: [AggregationStage] = []
    /// Rows that windows give to later aggregate stages.
    private let injected: [RowBuffer]
    private let merged = MergedRows()
    private var totals = WindowCounts()
    private let stateLimit: Int
    private let definition: Definition
    private var batches = 0
    /// Counts rows while somebody looks.
    private var meter: CallMeter?

    /// Prepares the windows of a plan: aggregates in Lua run in the VM `front`, what stands behind
    /// windows in the VM `behind`.
    init(_ plan: Plan, front: borrowing RuleVM, behind: borrowing RuleVM) {
        var buffers: [RowBuffer] = []
        for (index, stage) in plan.definition.stages.enumerated() {
            guard case .aggregate(let aggregate) = stage.work else { continue }
            stages.append(
                AggregationStage(index, stage.name, aggregate, plan, front: front, behind: behind))
            buffers.append(RowBuffer())
        }
        injected = buffers
        definition = plan.definition
        stateLimit = plan.definition.limits.stateMemory
    }

    /// Goes on with what an earlier run has committed.
    func restore(_ state: PipelineState) {
        for stage in stages { stage.restore(state) }
    }

    /// Adds what has changed since the last call.
    func addChanges(to draft: inout CommitDraft) {
        for stage in stages { stage.addChanges(to: &draft) }
    }

    /// Other VMs run the rules from here on, or somebody has begun or ended to look.
    func rebind(
        front: borrowing RuleVM, behind: borrowing RuleVM, _ looking: LookingThread
    ) {
        meter = looking.meter
        for stage in stages {
            stage.rebind(
                front: front, behind: behind, definition, isTapped: looking.isTapped)
        }
    }

    /// Makes dead letters of rows that a sink has refused; stages of windows may take them.
    func refuse(
        _ rows: [RefusedDelivery], sink: String, first: UInt64, vm: inout RuleVM,
        outputs: [OutputBuffer]
    ) {
        vm.refuse(rows, sink: sink, first: first, into: outputs, rows: injected)
    }

    /// What the windows have done, and what they hold.
    var counts: WindowCounts {
        var counts = totals
        counts.keys = stages.reduce(0) { $0 + $1.windows.keyCount }
        counts.bytes = stages.reduce(0) { $0 + $1.windows.byteCount }
        return counts
    }

    /// Takes the rows of one batch, one list of buffers from each worker; then time is `watermark`.
    func run(
        _ parts: [[RowBuffer]], watermark: Int64?, vm: inout RuleVM, outputs: [OutputBuffer]
    ) throws(RuleError) {
        for (place, stage) in stages.enumerated() {
            if !stage.isPrepared {
                if parts.count > 1, !stage.isFedByWindows {
                    merged.fill(from: parts.map { $0[place].view })
                    merged.withBlock { take($0, by: stage) }
                } else {
                    let buffer = stage.isFedByWindows ? injected[place] : parts[0][place]
                    take(RowBlock(buffer.view), by: stage)
                }
            }
            if let watermark { stage.windows.advance(to: watermark, into: &stage.output) }
            try deliver(stage, vm: &vm, outputs: outputs)
            for part in parts { part[place].removeAll() }
            injected[place].removeAll()
        }
        try checkMemory()
    }

    /// Time is `watermark` also for the rules behind the windows, in a VM that runs nothing else.
    func advanceRules(
        to watermark: Int64, vm: inout RuleVM, outputs: [OutputBuffer]
    ) throws(RuleError) {
        try vm.advance(to: watermark, into: outputs, rows: injected)
    }

    /// The input has ended: every window closes.
    func finish(vm: inout RuleVM, outputs: [OutputBuffer]) throws(RuleError) {
        for (place, stage) in stages.enumerated() {
            take(RowBlock(injected[place].view), by: stage)
            injected[place].removeAll()
            stage.windows.finish(into: &stage.output)
            try deliver(stage, vm: &vm, outputs: outputs)
        }
        guard vm.usesState else { return }
        // Timers of rules behind windows; what they emit can only go into windows further behind.
        try vm.advance(to: Int64.max, into: outputs, rows: injected)
        for (place, stage) in stages.enumerated() where injected[place].view.count > 0 {
            take(RowBlock(injected[place].view), by: stage)
            injected[place].removeAll()
            stage.windows.finish(into: &stage.output)
            try deliver(stage, vm: &vm, outputs: outputs)
        }
    }

    /// Windows are part of the keyed state, which is bounded; counting takes a while.
    private func checkMemory() throws(RuleError) {
        batches += 1
        guard batches % 16 == 0 else { return }
        let bytes = stages.reduce(0) { $0 + $1.windows.byteCount }
        guard bytes > stateLimit else { return }
        throw RuleError(
            "state is full: the windows take \(bytes) bytes, and limits.state_memory is "
                + "\(stateLimit)")
    }

    private func take(_ block: RowBlock, by stage: AggregationStage) {
        guard block.count > 0, !stage.isPrepared else { return }
        totals.taken[stage.name, default: 0] += block.count
        meter?.noteRows(block.count, stage: stage.index)
        stage.windows.process(block, into: &stage.output)
    }

    private func deliver(
        _ stage: AggregationStage, vm: inout RuleVM, outputs: [OutputBuffer]
    ) throws(RuleError) {
        let prepared = stage.takePreparedCount()
        totals.taken[stage.name, default: 0] += prepared
        if prepared > 0 { meter?.noteRows(prepared, stage: stage.index) }
        let lateCount = stage.output.lateCount
        if lateCount > 0 {
            totals.late[stage.name, default: 0] += lateCount
            totals.taken[stage.name, default: 0] -= lateCount
        }
        totals.rows[stage.name, default: 0] += stage.output.rowTimes.count
        try stage.deliver(vm: &vm, outputs: outputs, injected: injected)
    }
}
