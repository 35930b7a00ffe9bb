internal import Definitions
internal import Records
internal import Scripting
internal import Windowing

/// What happens to the rows of windows: those of all lanes come together here in the order of a
/// single one, and go to sinks or on through the rules, and the windows, behind them. Belongs to
/// the outlet's thread.
final class Tail {
    /// One aggregate stage.
    private struct Stage {
        let delivery: WindowDelivery
        /// Its windows, when its records are rows of other windows or letters; else lanes have
        /// them.
        let windows: StageWindows?
        /// Its records are dead letters, or come of them.
        let takesLetters: Bool
    }

    let machine: RuleMachine
    /// The VM is the only lane's.
    private let isShared: Bool
    private let definition: Definition
    private let stages: [Stage]
    /// Rows that windows give to later aggregate stages.
    private let injected: [RowBuffer]
    private let outputs: [OutputBuffer]
    private let merged = WindowRows()
    private let rowsInOrder = MergedRows()
    private var totals = WindowCounts()
    private var generation = 0

    init(_ run: PipelineRun, _ machine: RuleMachine, isShared: Bool) {
        self.machine = machine
        self.isShared = isShared
        definition = run.plan.definition
        let state = run.store?.state
        stages = run.plan.aggregateStages.enumerated().map { place, stage in
            let delivery = WindowDelivery(
                stage.index, run.plan, state?.times.positions ?? [:], machine.vm)
            guard stage.isInTail else {
                return Stage(delivery: delivery, windows: nil, takesLetters: false)
            }
            let windows = StageWindows(
                stage.index, place: place, run.plan, slot: .whole, stage.aggregate, machine.vm)
            if let state { windows.restore(state) }
            return Stage(
                delivery: delivery, windows: windows,
                takesLetters: run.plan.definition.isBehindLetters(stage.index))
        }
        injected = run.makeRowBuffers()
        outputs = run.makeSinkBuffers()
    }

    /// Brings rules, lookups and lookers up to date; between two slices only.
    func prepare(step: Int) {
        machine.prepare(step: step)
        guard machine.generation != generation else { return }
        generation = machine.generation
        let isTapped = machine.looking.isTapped
        for stage in stages {
            stage.windows?.rebind(machine.vm)
            stage.delivery.rebind(machine.vm, definition, isTapped: isTapped)
        }
    }

    /// Takes what the windows of all lanes have given for one batch, by the place of the stage;
    /// then
    /// time is `watermark`. What comes out waits in the result to be written.
    ///
    /// - Parameter taken: how many records have reached each stage.
    /// - Parameter letters: rows of the stages whose windows are here, from each part of the batch.
    func take(
        _ results: [[WindowRows]], taken: [Int], letters: [[RowBuffer]], watermark: Int64?
    ) throws(RuleError) -> [OutputBuffer] {
        try deliver(results, taken) { windows in
            if let watermark { windows.advance(to: watermark) }
        }
        if let watermark, !isShared, machine.vm.usesState {
            try machine.vm.advance(to: watermark, into: outputs, rows: injected)
        }
        try takeLetters(letters) { windows in
            if let watermark { windows.advance(to: watermark) }
        }
        machine.count()
        return outputs
    }

    /// The input has ended: takes the last rows, and every window behind windows closes.
    ///
    /// - Parameter isEnding: timers of rules fire as well.
    func finish(
        _ results: [[WindowRows]], taken: [Int], letters: [[RowBuffer]], isEnding: Bool
    ) throws(RuleError) -> [OutputBuffer] {
        try deliver(results, taken) { $0.finish() }
        if isEnding, !isShared, machine.vm.usesState {
            // Timers of rules behind windows; what they emit can only go into windows further
            // behind.
            try machine.vm.advance(to: Int64.max, into: outputs, rows: injected)
            let nothing = stages.map { _ in [WindowRows]() }
            try deliver(nothing, stages.map { _ in 0 }) { $0.finish() }
        }
        try takeLetters(letters) { $0.finish() }
        machine.count()
        return outputs
    }

    private func deliver(
        _ results: [[WindowRows]], _ taken: [Int], then move: (StageWindows) -> Void
    ) throws(RuleError) {
        for (place, stage) in stages.enumerated() where !stage.takesLetters {
            if let windows = stage.windows {
                let count = windows.take(RowBlock(injected[place].view))
                injected[place].removeAll()
                move(windows)
                note(count, stage)
                try deliver(&windows.output, by: stage)
            } else {
                note(taken[place], stage)
                let parts = results[place]
                if let only = parts.first, parts.count == 1 {
                    try deliver(&only.output, by: stage)
                } else if !parts.isEmpty {
                    merged.output.merge(parts)
                    try deliver(&merged.output, by: stage)
                }
            }
        }
    }

    /// Windows over dead letters take those of lanes and those of rows behind windows together, in
    /// the order of time, so that it does not matter how much a batch holds.
    private func takeLetters(
        _ parts: [[RowBuffer]], then move: (StageWindows) -> Void
    ) throws(RuleError) {
        for (place, stage) in stages.enumerated() where stage.takesLetters {
            guard let windows = stage.windows else { continue }
            let filled = (parts.map { $0[place] } + [injected[place]]).map(\.view)
                .filter { $0.count > 0 }
            if filled.count > 1 {
                rowsInOrder.fill(from: filled, byTime: true)
                note(rowsInOrder.withBlock { windows.take($0) }, stage)
            } else if let only = filled.first {
                note(windows.take(RowBlock(only)), stage)
            }
            injected[place].removeAll()
            move(windows)
            try deliver(&windows.output, by: stage)
        }
    }

    private func note(_ count: Int, _ stage: Stage) {
        guard count > 0 else { return }
        totals.taken[stage.delivery.name, default: 0] += count
        machine.looking.meter?.noteRows(count, stage: stage.delivery.index)
    }

    /// Takes what is left of a batch whose rows lanes have run through the rules behind windows.
    func take(
        _ results: [[WindowRows]], taken: [Int], shared: [RowRanking.Summary]
    ) throws(RuleError) -> [OutputBuffer] {
        for (place, stage) in stages.enumerated() {
            note(taken[place], stage)
            note(
                rows: shared[place].rows, late: shared[place].late,
                afterClose: shared[place].lateAfterClose, stage)
            merged.output.merge(results[place])
            try stage.delivery.deliver(
                &merged.output, vm: &machine.vm, outputs: outputs, injected: injected)
            stage.delivery.skip(main: shared[place].mainPosition, late: shared[place].latePosition)
        }
        machine.count()
        return outputs
    }

    private func note(rows: Int, late: Int, afterClose: Int, _ stage: Stage) {
        let name = stage.delivery.name
        totals.lateAfterClose += afterClose
        if late > 0 {
            if late > afterClose { totals.late[name, default: 0] += late - afterClose }
            totals.taken[name, default: 0] -= late
        }
        if rows > 0 { totals.rows[name, default: 0] += rows }
    }

    private func deliver(
        _ output: inout WindowOutput, by stage: Stage
    ) throws(RuleError) {
        note(
            rows: output.rowTimes.count, late: output.lateCount,
            afterClose: output.lateAfterClose, stage)
        try stage.delivery.deliver(
            &output, vm: &machine.vm, outputs: outputs, injected: injected)
    }

    /// Makes dead letters of rows that a sink has refused.
    func refuse(_ rows: [RefusedDelivery], sink: String, first: UInt64) -> [OutputBuffer] {
        machine.vm.refuse(rows, sink: sink, first: first, into: outputs, rows: injected)
        machine.count()
        return outputs
    }

    /// Adds what has changed in windows behind windows, and in the rules there.
    func addEntries(to draft: inout CommitDraft) {
        for stage in stages {
            stage.windows?.addChanges(to: &draft)
            stage.delivery.addEntries(to: &draft)
        }
        if !isShared { machine.addChanges(to: &draft) }
    }

    /// What all windows have done, and what those behind windows hold.
    var counts: WindowCounts {
        var counts = totals
        counts.keys = stages.reduce(0) { $0 + ($1.windows?.windows.keyCount ?? 0) }
        counts.bytes = stages.reduce(0) { $0 + ($1.windows?.windows.byteCount ?? 0) }
        return counts
    }
}

extension WindowOutput {
    /// Takes what the windows of several slots have given, in the order of a single one.
    mutating func merge(_ parts: [WindowRows]) {
        removeAll()
        var rows = parts.map { _ in 0 }
        while let part = Self.first(of: parts, rows, { $0.rowOrder($1) }) {
            append(row: rows[part], of: parts[part].output)
            rows[part] += 1
        }
        var late = parts.map { _ in 0 }
        while let part = Self.first(of: parts, late, { $0.lateOrder($1) }) {
            append(late: late[part], of: parts[part].output)
            late[part] += 1
        }
        for part in parts {
            lateCount += part.output.lateCount
            lateAfterClose += part.output.lateAfterClose
            failures += part.output.failures
            part.output.removeAll()
        }
    }
    /// The part whose next row comes first.
    static func first(
        of parts: [WindowRows], _ next: [Int], _ orders: (WindowRows, Int) -> RowOrder?
    ) -> Int? {
        var best: (part: Int, order: RowOrder)?
        for part in parts.indices {
            guard let order = orders(parts[part], next[part]) else { continue }
            if let known = best, !(order < known.order) { continue }
            best = (part, order)
        }
        return best?.part
    }
}

extension WindowRows {
    /// Where a row stands among those of other slots; nil behind the last one.
    func rowOrder(_ index: Int) -> RowOrder? {
        index < output.rowOrders.count ? output.rowOrders[index] : nil
    }

    /// The same for a record that came too late.
    func lateOrder(_ index: Int) -> RowOrder? {
        index < output.lateOrders.count ? output.lateOrders[index] : nil
    }
}
