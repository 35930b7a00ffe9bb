internal import Definitions
internal import Records
internal import Scripting
internal import Windowing

/// The windows of one aggregate stage, and where their rows go.
final class AggregationStage {
    let index: Int
    let name: String
    let windows: WindowOperator
    var output = WindowOutput()
    /// Rows are added while their record is still a transaction, because Lua may let it fail.
    let isPrepared: Bool
    /// Its records are the rows of another aggregate stage.
    let isFedByWindows: Bool
    private var mainSinks: [Int]?
    private var lateSinks: [Int]?
    private var isMainConnected: Bool
    private var isLateConnected: Bool
    private let batch = Batch()
    private var position: UInt64 = 0
    private var hook: WindowHook?

    init(
        _ index: Int, _ name: String, _ aggregate: AggregateStage, _ plan: Plan,
        front: borrowing RuleVM, behind: borrowing RuleVM
    ) {
        self.index = index
        self.name = name
        isPrepared = !aggregate.userFiles.isEmpty
        isFedByWindows = plan.definition.isBehindWindows(index)
        isMainConnected = behind.isConnected(stage: index, output: nil)
        isLateConnected = behind.isConnected(stage: index, output: "late")
        mainSinks = plan.definition.onlySinks(of: .stage(index, output: nil))
        lateSinks = plan.definition.onlySinks(of: .stage(index, output: "late"))
        hook = front.windowHook(of: index)
        windows = WindowOperator(aggregate.definition, users: hook?.aggregates)
        batch.source = name
        batch.file = name
        hook?.stage = self
    }

    /// Goes on with what an earlier run has committed, and notes changes from here on.
    func restore(_ state: PipelineState) {
        windows.tracksChanges = true
        position = state.times.positions[name] ?? 0
        state.forEachWindow(of: name) { key, value in windows.restore(key: key, value: value) }
    }

    /// Other VMs run its aggregates in Lua and what stands behind it from here on.
    func rebind(
        front: borrowing RuleVM, behind: borrowing RuleVM, _ definition: Definition, isTapped: Bool
    ) {
        // With somebody looking, rows go where the VM has connected them.
        let main = Origin.stage(index, output: nil)
        let late = Origin.stage(index, output: "late")
        mainSinks = isTapped ? nil : definition.onlySinks(of: main)
        lateSinks = isTapped ? nil : definition.onlySinks(of: late)
        isMainConnected = behind.isConnected(stage: index, output: nil)
        isLateConnected = behind.isConnected(stage: index, output: "late")
        guard let old = hook, let next = front.windowHook(of: index), next !== old else { return }
        next.stage = self
        next.committed = old.committed
        hook = next
        windows.replaceUsers(next.aggregates)
    }

    /// Adds what has changed since the last call.
    func addChanges(to draft: inout CommitDraft) {
        var bytes: [UInt8] = []
        StoreEntry.add(Array(name.utf8), [], to: &bytes)
        let before = bytes.count
        windows.takeChanges { key, value in StoreEntry.add(key, value, to: &bytes) }
        if bytes.count > before { draft.windows.append(bytes) }
        if position > 0 {
            var times = draft.times ?? CommittedTimes()
            times.positions[name] = position
            draft.times = times
        }
    }

    /// How many rows were added by their records since the last call.
    func takePreparedCount() -> Int {
        guard let hook else { return 0 }
        defer { hook.committed = 0 }
        return hook.committed
    }

    /// Lets everything in `output` go on, and empties it.
    func deliver(
        vm: inout RuleVM, outputs: [OutputBuffer], injected: [RowBuffer]
    ) throws(RuleError) {
        for failure in output.failures {
            position += 1
            vm.reject(
                stage: index,
                failure: RuleFailure(
                    message: failure.message, file: failure.file, line: failure.line),
                original: failure.original, position: position, into: outputs, rows: injected)
        }
        if output.rowTimes.count > 0, isMainConnected {
            if let mainSinks {
                for sink in mainSinks {
                    outputs[sink].append(output.rows, rows: output.rowTimes.count)
                }
            } else {
                fill(output.rowEnds)
                batch.bytes.append(copyOf: output.rows)
                try vm.inject(
                    batch, stage: index, output: nil, times: output.rowTimes,
                    watermarks: output.rowWatermarks, into: outputs, rows: injected)
            }
        }
        if output.lateCount > 0, isLateConnected { try deliverLate(&vm, outputs, injected) }
        output.removeAll()
    }

    private func deliverLate(
        _ vm: inout RuleVM, _ outputs: [OutputBuffer], _ injected: [RowBuffer]
    ) throws(RuleError) {
        if let lateSinks {
            for sink in lateSinks { outputs[sink].append(output.late, rows: output.lateCount) }
            return
        }
        fill(output.lateEnds)
        batch.bytes.append(copyOf: output.late)
        try vm.inject(
            batch, stage: index, output: "late", times: output.lateTimes,
            watermarks: output.lateWatermarks, into: outputs, rows: injected)
    }

    /// One entry for each line that ends at `ends`.
    private func fill(_ ends: [Int]) {
        batch.removeAll()
        var start = 0
        for end in ends {
            position += 1
            batch.entries.append(
                Batch.Entry(
                    text: start..<(end - 1), original: 0..<0, problem: 0..<0, position: position,
                    line: position, originalLength: 0))
            start = end
        }
    }
}

extension Definition {
    /// True when there are windows.
    var hasAggregates: Bool {
        stages.contains { if case .aggregate = $0.work { true } else { false } }
    }

    /// True when a computed field is written in Lua.
    var hasAggregatesInLua: Bool {
        stages.contains {
            if case .aggregate(let aggregate) = $0.work {
                !aggregate.userFiles.isEmpty
            } else {
                false
            }
        }
    }

    /// True when the records of a stage are rows of windows.
    func isBehindWindows(_ stage: Int) -> Bool {
        guard case .stage(let parent, _) = stages[stage].from else { return false }
        if case .aggregate = stages[parent].work { return true }
        return isBehindWindows(parent)
    }

    /// The sinks that take an output, when nothing but sinks does.
    func onlySinks(of origin: Origin) -> [Int]? {
        guard !stages.contains(where: { $0.from == origin }) else { return nil }
        return sinks.indices.filter { sinks[$0].from == origin }
    }
}
