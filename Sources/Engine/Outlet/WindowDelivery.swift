internal import Definitions
internal import Records
internal import Scripting
internal import Windowing

/// Where the rows of one aggregate stage go: straight to sinks, or on through the rules behind it.
final class WindowDelivery {
    let index: Int
    let name: String
    private var mainSinks: [Int]?
    private var lateSinks: [Int]?
    private var isMainConnected = true
    private var isLateConnected = true
    private let batch = Batch()
    /// How many rows and letters of the stage have had a name.
    private var position: UInt64

    /// - Parameter position: how many have had a name in earlier runs.
    init(_ index: Int, _ plan: Plan, position: UInt64, _ vm: borrowing RuleVM) {
        self.index = index
        self.position = position
        name = plan.definition.stages[index].name
        batch.source = name
        batch.file = name
        rebind(vm, plan.definition, isTapped: false)
    }

    /// Another VM runs what stands behind it from here on, or somebody has begun or ended to look.
    func rebind(_ vm: borrowing RuleVM, _ definition: Definition, isTapped: Bool) {
        // With somebody looking, rows go where the VM has connected them.
        let main = Origin.stage(index, output: nil)
        let late = Origin.stage(index, output: "late")
        mainSinks = isTapped ? nil : definition.onlySinks(of: main)
        lateSinks = isTapped ? nil : definition.onlySinks(of: late)
        isMainConnected = vm.isConnected(stage: index, output: nil)
        isLateConnected = vm.isConnected(stage: index, output: "late")
    }

    /// Adds how many rows have had a name.
    func addEntries(to draft: inout CommitDraft) {
        guard position > 0 else { return }
        var times = draft.times ?? CommittedTimes()
        times.positions[name] = position
        draft.times = times
    }

    /// Lets everything in `output` go on, and empties it.
    func deliver(
        _ output: inout WindowOutput, vm: inout RuleVM, outputs: [OutputBuffer],
        injected: [RowBuffer]
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
        if output.lateCount > 0, isLateConnected {
            try deliverLate(&output, &vm, outputs, injected)
        }
        output.removeAll()
    }

    private func deliverLate(
        _ output: inout WindowOutput, _ vm: inout RuleVM, _ outputs: [OutputBuffer],
        _ injected: [RowBuffer]
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

    /// True when the records of a stage are dead letters, or come of them.
    func isBehindLetters(_ stage: Int) -> Bool {
        switch stages[stage].from {
        case .source: false
        case .deadLetters: true
        case .stage(let parent, _): isBehindLetters(parent)
        }
    }

    /// The sinks that take an output, when nothing but sinks does.
    func onlySinks(of origin: Origin) -> [Int]? {
        guard !stages.contains(where: { $0.from == origin }) else { return nil }
        return sinks.indices.filter { sinks[$0].from == origin }
    }
}
