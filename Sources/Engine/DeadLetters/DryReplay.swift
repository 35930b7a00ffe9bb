public import Definitions
internal import Records
internal import Scripting

extension PipelineRun {
    /// What the current rules would make of dead letters, on a copy of the state: nothing changes.
    public func tryReplay(_ letters: [DeadLetter]) throws(PipelineError) -> ReplayResult {
        let state = committer?.encodedRules(of: allStageNames) ?? []
        do throws(RuleError) {
            var replay = try DryReplay(versions.wanted.plan, lookups.current, state)
            return try replay.run(letters)
        } catch {
            throw PipelineError(exitCode: 1, "error: \(error)")
        }
    }
}

/// Runs dead letters in a VM of its own whose rows go nowhere.
private struct DryReplay: ~Copyable {
    private let plan: Plan
    private var vm: RuleVM
    private let sinks: [OutputBuffer]
    private let rows: [RowBuffer]
    /// The aggregate stages, in the order of `rows`.
    private let windows: [String]
    private let batch = Batch()

    init(_ plan: Plan, _ lookups: [String: Lookup], _ state: [UInt8]) throws(RuleError) {
        self.plan = plan
        var purpose = MachinePurpose()
        purpose.showsLetters = true
        var vm = try plan.makeVM(for: purpose, log: nil)
        for (name, table) in lookups { vm.setLookup(name, to: table) }
        try vm.load()
        if !state.isEmpty { try vm.restore(encoded: state, worker: 0, workers: 1) }
        self.vm = vm
        sinks = (0...plan.definition.sinks.count).map { _ in OutputBuffer() }
        windows = plan.definition.stages.compactMap { stage in
            if case .aggregate = stage.work { stage.name } else { nil }
        }
        rows = windows.map { _ in RowBuffer() }
    }

    mutating func run(_ letters: [DeadLetter]) throws(RuleError) -> ReplayResult {
        var result = ReplayResult()
        result.total = letters.count
        result.isDryRun = true
        result.ruleSet = plan.ruleSet.version
        for index in letters.indices {
            batch.fill(letters[index...index], sources: plan.definition.sources)
            let before = vm.counts
            try vm.run(batch, into: sinks, rows: rows)
            note(letters[index], before, &result)
            for sink in sinks { sink.removeAll() }
            for buffer in rows { buffer.removeAll() }
        }
        result.sortGroups()
        return result
    }

    private func note(_ letter: DeadLetter, _ before: RuleCounts, _ result: inout ReplayResult) {
        let after = vm.counts
        var sample = ReplaySample(id: letter.id, before: letter.value)
        if after.deadLetters > before.deadLetters {
            let now = firstRow(of: sinks[sinks.count - 1]).flatMap { try? Record(json: $0) }
            let reason = now?["reason"]?.text ?? letter.text("reason") ?? ""
            let stage = now?["stage"]?.text ?? letter.text("stage") ?? ""
            return result.note(.dead, stage: stage, reason: reason, sample: sample)
        }
        var outcome = ReplayGroup.Outcome.delivered
        if after.droppedTotal > before.droppedTotal {
            outcome = .dropped
            sample.dropped = after.dropped.first { $0.value > before.dropped[$0.key] ?? 0 }?.key
        } else {
            addRow(to: &sample)
        }
        result.note(
            outcome, stage: letter.text("stage") ?? "", reason: letter.text("reason") ?? "",
            sample: sample)
    }

    private func addRow(to sample: inout ReplaySample) {
        for (sink, buffer) in zip(plan.definition.sinks, sinks) where sink.from != .deadLetters {
            guard let row = firstRow(of: buffer) else { continue }
            var reader = JSONReader(row)
            sample.target = sink.name
            sample.after = try? reader.readDocument()
            return
        }
        let window = zip(windows, rows).first { $0.1.view.count > 0 }?.0
        sample.target = window.map { "window of \($0)" }
    }

    private func firstRow(of buffer: OutputBuffer) -> [UInt8]? {
        unsafe buffer.withUnsafeBytes { unsafe lines(of: $0).first }
    }
}

extension DeadLetter {
    /// The record as a value; the text itself when it is no JSON.
    fileprivate var value: Value {
        var reader = JSONReader(json)
        let text = Value.string(String(decoding: original, as: UTF8.self))
        return (try? reader.readDocument()) ?? text
    }
}
