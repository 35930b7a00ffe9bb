internal import Definitions
internal import Engine
internal import Glibc
internal import Records
internal import Scripting
internal import Threads

/// Runs two versions over the same records, beside the stream and without effects. One thread.
final class ShadowRun {
    private let plan: Plan
    private var old: RuleVM
    private var new: RuleVM
    private let outputs: [OutputBuffer]
    private let rows: [RowBuffer]
    private var report = ShadowReport()

    /// What a version makes of one record.
    private struct Outcome: Equatable {
        /// The rows of every sink, then the dead letters, then what leaves each stage.
        var rows: [[UInt8]]
        var letter: String?

        var isEmpty: Bool { rows.allSatisfy(\.isEmpty) && letter == nil }
    }

    /// Loads both on the calling thread, and runs them over the last `limit` records.
    static func run(
        _ old: Plan, _ new: Plan, lookups: [String: Lookup], over chunks: [RecordRing.Chunk],
        limit: Int, until: TrialLimit
    ) throws(RuleError) -> ShadowReport {
        let shadow = try ShadowRun(old, new, lookups)
        let total = chunks.reduce(0) { $0 + $1.count }
        var skipped = max(0, total - limit)
        for chunk in chunks {
            chunk.forEachRecord { batch in
                if skipped > 0 {
                    skipped -= 1
                } else if until.reason == nil {
                    shadow.compare(batch)
                }
            }
        }
        return shadow.report
    }

    private init(_ old: Plan, _ new: Plan, _ lookups: [String: Lookup]) throws(RuleError) {
        plan = old
        var purpose = MachinePurpose()
        purpose.showsLetters = true
        purpose.showsStages = true
        // Nobody reads the values at each line, which cost more than all the rest.
        purpose.traces = false
        // What they are told is the same, so that only the rules can make a difference.
        purpose.ruleSet = old.ruleSet.version
        purpose.now = epochMilliseconds()
        var oldVM = try old.makeVM(for: purpose, log: nil)
        var newVM = try new.makeVM(for: purpose, log: nil)
        for (name, table) in lookups {
            oldVM.setLookup(name, to: table)
            newVM.setLookup(name, to: table)
        }
        try oldVM.load()
        try newVM.load()
        self.old = oldVM
        self.new = newVM
        let count = plan.definition.sinks.count + 1 + plan.definition.stages.count
        outputs = (0..<count).map { _ in OutputBuffer() }
        let aggregates = plan.definition.stages.filter {
            if case .aggregate = $0.work { true } else { false }
        }
        rows = aggregates.map { _ in RowBuffer() }
    }

    private func compare(_ batch: Batch) {
        report.records += 1
        try? old.run(batch, into: outputs, rows: rows)
        let before = takeOutcome()
        try? new.run(batch, into: outputs, rows: rows)
        let after = takeOutcome()
        if before == after {
            report.same += 1
        } else if let letter = after.letter, before.letter == nil {
            report.newErrors += 1
            note(batch, "new error: \(letter)")
        } else if before.letter != nil, after.letter == nil {
            report.mended += 1
            note(batch, "mended")
        } else if after.isEmpty {
            report.newlyDropped += 1
            note(batch, "newly dropped")
        } else if before.isEmpty {
            report.newlyKept += 1
            note(batch, "newly kept")
        } else {
            report.changed += 1
            noteFields(batch, before, after)
        }
    }

    private func takeOutcome() -> Outcome {
        var outcome = Outcome(rows: [])
        let letters = plan.definition.sinks.count
        for (index, output) in outputs.enumerated() {
            let bytes = unsafe output.withUnsafeBytes { unsafe Array($0) }
            output.removeAll()
            let isLetters =
                index == letters
                || index < letters && plan.definition.sinks[index].from == .deadLetters
            guard isLetters else {
                outcome.rows.append(bytes)
                continue
            }
            // Of a dead letter only the reason counts: its trace names lines that may have moved.
            guard index == letters, let first = bytes.split(separator: 0x0A).first,
                let letter = try? Record(json: Array(first))
            else { continue }
            outcome.letter = letter["reason"]?.text ?? ""
        }
        for buffer in rows { buffer.removeAll() }
        return outcome
    }

    private func noteFields(_ batch: Batch, _ before: Outcome, _ after: Outcome) {
        var names: Set<String> = []
        for (old, new) in zip(before.rows, after.rows) where old != new {
            guard let old = try? Record(json: old.dropLast()),
                let new = try? Record(json: new.dropLast())
            else { continue }
            for field in old.fields + new.fields where old[field.name] != new[field.name] {
                names.insert(field.name)
            }
        }
        for name in names { report.fields[".\(name)", default: 0] += 1 }
        let shown = names.isEmpty ? "other outputs" : names.sorted().joined(separator: ", ")
        note(batch, "changed: \(shown)")
    }

    private func note(_ batch: Batch, _ text: String) {
        guard report.samples.count < 5 else { return }
        let line = batch.entries.first?.line ?? batch.line
        report.samples.append("\(batch.file):\(line): \(text)")
    }
}
