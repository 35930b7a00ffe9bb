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
    private var names: RowNames

    /// - Parameter positions: how many rows have had a name in earlier runs.
    init(_ index: Int, _ plan: Plan, _ positions: [String: UInt64], _ vm: borrowing RuleVM) {
        self.index = index
        name = plan.definition.stages[index].name
        names = RowNames(name, positions)
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
    func addEntries(to draft: inout CommitDraft) { names.addEntries(to: &draft) }

    /// Lets everything in `output` go on, and empties it.
    func deliver(
        _ output: inout WindowOutput, vm: inout RuleVM, outputs: [OutputBuffer],
        injected: [RowBuffer]
    ) throws(RuleError) {
        for failure in output.failures {
            names.failed += 1
            vm.reject(
                stage: index, source: names.failedName,
                failure: RuleFailure(
                    message: failure.message, file: failure.file, line: failure.line),
                original: failure.original, position: names.failed, into: outputs, rows: injected)
        }
        if output.rowTimes.count > 0, isMainConnected {
            if let mainSinks {
                for sink in mainSinks {
                    outputs[sink].append(output.rows, rows: output.rowTimes.count)
                }
            } else {
                fill(output.rowEnds, names.name, after: names.main)
                names.main += UInt64(output.rowEnds.count)
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

    /// Lanes have given names up to these.
    func skip(main: UInt64, late: UInt64) {
        names.main = main
        names.late = late
    }

    /// Lets the rows of one lane go through the rules behind them, and takes them out of `output`;
    /// failures, and what goes straight to sinks, is left in it.
    func share(
        _ output: inout WindowOutput, _ places: RowRanking.Places, vm: inout RuleVM,
        outputs: [OutputBuffer], injected: [RowBuffer]
    ) throws(RuleError) {
        if !places.main.isEmpty {
            if isMainConnected {
                fill(output.rowEnds, names.name, places.main, places.mainOffset)
                batch.bytes.append(copyOf: output.rows)
                try vm.inject(
                    batch, stage: index, output: nil, times: output.rowTimes,
                    watermarks: output.rowWatermarks, ordinals: places.main, into: outputs,
                    rows: injected)
            }
            output.removeRows()
        }
        guard !places.late.isEmpty else { return }
        if isLateConnected {
            fill(output.lateEnds, names.lateName, places.late, places.lateOffset)
            batch.bytes.append(copyOf: output.late)
            try vm.inject(
                batch, stage: index, output: "late", times: output.lateTimes,
                watermarks: output.lateWatermarks, ordinals: places.late, into: outputs,
                rows: injected)
        }
        output.removeLate()
    }

    private func deliverLate(
        _ output: inout WindowOutput, _ vm: inout RuleVM, _ outputs: [OutputBuffer],
        _ injected: [RowBuffer]
    ) throws(RuleError) {
        if let lateSinks {
            for sink in lateSinks { outputs[sink].append(output.late, rows: output.lateCount) }
            return
        }
        fill(output.lateEnds, names.lateName, after: names.late)
        names.late += UInt64(output.lateEnds.count)
        batch.bytes.append(copyOf: output.late)
        try vm.inject(
            batch, stage: index, output: "late", times: output.lateTimes,
            watermarks: output.lateWatermarks, into: outputs, rows: injected)
    }

    /// One entry for each line that ends at `ends`, named by its place.
    private func fill(
        _ ends: [Int], _ source: String, _ ordinals: [UInt32], _ offset: UInt64
    ) {
        begin(source)
        var start = 0
        for (end, ordinal) in zip(ends, ordinals) {
            let position = offset &+ UInt64(ordinal)
            batch.entries.append(
                Batch.Entry(
                    text: start..<(end - 1), original: 0..<0, problem: 0..<0, position: position,
                    line: position, originalLength: 0))
            start = end
        }
    }

    /// One entry for each line that ends at `ends`, named by the numbers behind a position.
    private func fill(_ ends: [Int], _ source: String, after last: UInt64) {
        begin(source)
        var start = 0
        var position = last
        for end in ends {
            position += 1
            batch.entries.append(
                Batch.Entry(
                    text: start..<(end - 1), original: 0..<0, problem: 0..<0, position: position,
                    line: position, originalLength: 0))
            start = end
        }
    }

    private func begin(_ source: String) {
        batch.removeAll()
        batch.source = source
        batch.file = source
    }
}

/// The names of what one aggregate stage gives: `STAGE:N` for rows, `STAGE.late:N` for records that
/// came too late, `STAGE.failed:N` for rows that could not be computed. Each kind is counted by
/// itself, since it follows from the size of batches which of several kinds comes first.
struct RowNames {
    let name: String
    let lateName: String
    let failedName: String
    /// How many there were of each.
    var main: UInt64
    var late: UInt64
    var failed: UInt64

    /// - Parameter positions: how many there were in earlier runs, by name.
    init(_ stage: String, _ positions: [String: UInt64]) {
        name = stage
        lateName = stage + ".late"
        failedName = stage + ".failed"
        main = positions[name] ?? 0
        late = positions[lateName] ?? 0
        failed = positions[failedName] ?? 0
    }

    /// Adds how many there are by now.
    func addEntries(to draft: inout CommitDraft) {
        for (name, count) in [(name, main), (lateName, late), (failedName, failed)] where count > 0
        {
            var times = draft.times ?? CommittedTimes()
            times.positions[name] = count
            draft.times = times
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
