internal import Connecting
internal import Definitions
internal import Engine
internal import Records
internal import Scripting

/// Runs one record once more, beside the stream and without effects, and tells what each stage made
/// of it. One thread.
struct Explainer {
    let plan: Plan
    /// The state of rules as it was committed.
    let state: [UInt8]
    let lookups: [String: Lookup]
    private let shown: [Origin]

    private var stages: [StageDefinition] { plan.definition.stages }

    /// What one run of the record brought.
    private struct Trial {
        var rows: [Origin: [[UInt8]]] = [:]
        var sinks: [Int] = []
        var letter: Record?
        var dropped: [String] = []
        /// Rows that went into the windows of each stage.
        var aggregated: Set<Int> = []
        var counts: [CallCounts] = []
    }

    init(_ plan: Plan, state: [UInt8], lookups: [String: Lookup]) {
        self.plan = plan
        self.state = state
        self.lookups = lookups
        var shown: [Origin] = [.source]
        for (index, stage) in plan.definition.stages.enumerated() {
            shown.append(.stage(index, output: nil))
            var names: Set<String> = []
            if case .files(_, let rule?) = stage.work, let text = plan.ruleSet.bytes(of: rule.path)
            {
                let effects = RuleEffects(of: text)
                names = effects.outputs
                // A name that is put together at run time may be any text of the rule.
                if effects.namesOtherOutputs { names.formUnion(effects.texts) }
            }
            for origin in plan.definition.origins {
                if case .stage(index, .some(let name)) = origin { names.insert(name) }
            }
            shown += names.sorted().map { .stage(index, output: $0) }
        }
        self.shown = shown
    }

    /// The lines of the explanation, as JSON.
    func explain(_ id: String, _ found: FoundRecord) throws(RuleError) -> [Record] {
        if let letter = found.letter?.record, !isFromSource(found) {
            return [head(id, found), line(ofLetter: letter), end(Trial(), letter)]
        }
        var cut: Set<Int> = []
        var trial = try run(found.batch, cutting: cut)
        let letter = trial.letter
        let failed = letter.flatMap { letter in
            stages.firstIndex { $0.name == letter["stage"]?.text }
        }
        // A record that fails leaves nothing behind, so what came before is run without that stage.
        while let name = trial.letter?["stage"]?.text,
            let index = stages.firstIndex(where: { $0.name == name }),
            cut.insert(index).inserted
        {
            trial = try run(found.batch, cutting: cut)
        }
        var lines = [head(id, found)]
        for index in stages.indices {
            let input = trial.rows[stages[index].from] ?? []
            guard !input.isEmpty else { continue }
            let isCut = cut.contains(index) && index != failed
            guard !isCut else { continue }
            var line = Record([
                Field("what", .string("stage")), Field("stage", .string(stages[index].name)),
                Field("file", stages[index].rulePath.map { .string($0) } ?? .null),
            ])
            if index == failed, let letter {
                addFailure(letter, to: &line)
            } else {
                try add(index, trial, input, found.batch, to: &line)
            }
            lines.append(line)
        }
        lines.append(end(trial, letter))
        return lines
    }

    // MARK: Lines

    /// The rows of windows, and what timers do, cannot be run once more from the first stage.
    private func isFromSource(_ found: FoundRecord) -> Bool {
        plan.definition.sources.contains { $0.name == found.batch.source }
    }

    private func line(ofLetter letter: Record) -> Record {
        var line = Record([
            Field("what", .string("stage")), Field("stage", letter["stage"] ?? .null),
            Field("file", letter["file"] ?? .null),
        ])
        addFailure(letter, to: &line)
        return line
    }

    private func head(_ id: String, _ found: FoundRecord) -> Record {
        var line = Record([
            Field("what", .string("record")), Field("id", .string(id)),
            Field("found_in", .string(found.place)), Field("source", .string(found.batch.source)),
            Field("file", .string(found.batch.file)),
            Field("line", .integer(Int64(clamping: found.line))),
            Field("rule_set", .string(plan.ruleSet.version)),
        ])
        if let value = found.value {
            line["record"] = value
        } else {
            line["original"] = .string(String(decoding: found.text, as: UTF8.self))
        }
        if let letter = found.letter {
            line["letter"] = .object(
                ["stage", "reason", "rule_set", "at"].compactMap { name in
                    letter.record[name].map { Field(name, $0) }
                })
        }
        return line
    }

    private func addFailure(_ letter: Record, to line: inout Record) {
        line["outcome"] = "dead"
        for name in ["kind", "reason", "file", "line", "field", "findings", "trace"] {
            if let value = letter[name], value != .string(""), value != .array([]) {
                line[name] = value
            }
        }
    }

    private func add(
        _ index: Int, _ trial: Trial, _ input: [[UInt8]], _ batch: Batch, to line: inout Record
    ) throws(RuleError) {
        let main = trial.rows[.stage(index, output: nil)] ?? []
        let named = shown.compactMap { origin -> (String, [[UInt8]])? in
            guard case .stage(index, .some(let name)) = origin, let rows = trial.rows[origin],
                !rows.isEmpty
            else { return nil }
            return (name, rows)
        }
        let dropped =
            trial.counts[index].dropped > 0 ? try reasons(index, trial, batch) : []
        var itself: (output: String?, row: [UInt8])?
        if trial.aggregated.contains(index) {
            line["outcome"] = "aggregated"
        } else if !dropped.isEmpty {
            line["outcome"] = "dropped"
            line["reason"] = .string(dropped.joined(separator: ", "))
        } else if let row = main.last {
            // What a rule emits comes out before the record itself.
            itself = (nil, row)
            line["outcome"] = row == input.last ? "unchanged" : "changed"
        } else if let found = nearest(named, to: input) {
            itself = found
            line["outcome"] = "routed"
            line["output"] = found.output.map { .string($0) }
        } else {
            line["outcome"] = "nothing"
        }
        // Of several records that come in, nobody can tell which one a row was.
        if input.count > 1 { itself = nil }
        if let itself { line["changes"] = changes(input[0], itself.row) }
        addRows(index, main, named, itself, under: input.count > 1 ? "rows" : "emitted", to: &line)
    }

    /// Of several outputs, the one whose last row is the record itself, as far as one can tell.
    private func nearest(
        _ named: [(String, [[UInt8]])], to input: [[UInt8]]
    ) -> (output: String?, row: [UInt8])? {
        func distance(_ row: [UInt8]) -> Int {
            guard case .array(let items) = changes(input[0], row) else { return 0 }
            return items.count
        }
        let candidates = named.compactMap { name, rows in rows.last.map { (name, $0) } }
        return candidates.min { distance($0.1) < distance($1.1) }.map { ($0.0, $0.1) }
    }

    /// What came out besides the record itself, and where everything goes.
    private func addRows(
        _ index: Int, _ main: [[UInt8]], _ named: [(String, [[UInt8]])],
        _ itself: (output: String?, row: [UInt8])?, under name: String, to line: inout Record
    ) {
        var emitted: [Value] = []
        var targets: [Value] = []
        let all: [(String?, [[UInt8]])] = [(nil, main)] + named.map { ($0.0, $0.1) }
        for (output, rows) in all where !rows.isEmpty {
            let hasItself = itself.map { $0.output == output } ?? false
            for row in hasItself ? rows.dropLast() : rows[...] {
                emitted.append(Self.emitted(row, output))
            }
            targets += consumers(of: .stage(index, output: output))
        }
        if !emitted.isEmpty { line[name] = .array(emitted) }
        if !main.isEmpty || !named.isEmpty { line["to"] = .array(targets) }
    }

    private static func emitted(_ row: [UInt8], _ output: String?) -> Value {
        var reader = JSONReader(row)
        let value = (try? reader.readDocument()) ?? .null
        return .object([
            Field("output", output.map { .string($0) } ?? .null), Field("record", value),
        ])
    }

    private func changes(_ before: [UInt8], _ after: [UInt8]) -> Value {
        var (old, new) = (JSONReader(before), JSONReader(after))
        guard let before = try? old.readDocument(), let after = try? new.readDocument() else {
            return .array([])
        }
        return .array(
            differences(from: before, to: after).map { difference in
                var fields = [Field("path", .string(difference.path))]
                if let value = difference.expected { fields.append(Field("before", value)) }
                if let value = difference.actual { fields.append(Field("after", value)) }
                return .object(fields)
            })
    }

    /// Who takes an output: `wide`, `sink wide`.
    private func consumers(of origin: Origin) -> [Value] {
        stages.filter { $0.from == origin }.map { .string($0.name) }
            + plan.definition.sinks.filter { $0.from == origin }.map { .string("sink \($0.name)") }
    }

    private func end(_ trial: Trial, _ letter: Record?) -> Record {
        let sinks = trial.sinks.map { plan.definition.sinks[$0].name }
        var line = Record([Field("what", .string("end"))])
        if let letter {
            line["outcome"] = "dead"
            line["stage"] = letter["stage"]
            line["reason"] = letter["reason"]
        } else if !trial.aggregated.isEmpty, sinks.isEmpty {
            line["outcome"] = "aggregated"
        } else {
            line["outcome"] = sinks.isEmpty ? "dropped" : "delivered"
        }
        if letter == nil { line["sinks"] = .array(sinks.map { .string($0) }) }
        return line
    }

    // MARK: Running

    /// Why a stage drops the record, when others do so as well.
    private func reasons(
        _ index: Int, _ trial: Trial, _ batch: Batch
    ) throws(RuleError) -> [String] {
        let droppers = trial.counts.indices.filter { trial.counts[$0].dropped > 0 }
        guard droppers.count > 1 else { return trial.dropped }
        var kept: Set<Int> = [index]
        var next = stages[index].from
        while case .stage(let parent, _) = next {
            kept.insert(parent)
            next = stages[parent].from
        }
        return try run(batch, cutting: Set(stages.indices).subtracting(kept)).dropped
    }

    /// Runs the record through all stages but some, in a VM of its own.
    private func run(_ batch: Batch, cutting cut: Set<Int>) throws(RuleError) -> Trial {
        var purpose = MachinePurpose()
        purpose.showsLetters = true
        purpose.shows = shown
        purpose.cuts = cut
        var vm = try plan.makeVM(for: purpose, log: nil)
        for (name, table) in lookups { vm.setLookup(name, to: table) }
        try vm.load()
        if !state.isEmpty { try vm.restore(encoded: state, worker: 0, workers: 1) }
        let meter = CallMeter(stages: stages.count)
        vm.measure(with: meter)
        let count = plan.definition.sinks.count
        let outputs = (0..<(count + 1 + shown.count)).map { _ in OutputBuffer() }
        let aggregates = stages.indices.filter {
            if case .aggregate = stages[$0].work { true } else { false }
        }
        let buffers = aggregates.map { _ in RowBuffer() }
        try vm.run(batch, into: outputs, rows: buffers)
        var trial = Trial()
        for (place, origin) in shown.enumerated() {
            trial.rows[origin] = unsafe outputs[count + 1 + place].withUnsafeBytes {
                unsafe lines(of: $0)
            }
        }
        trial.sinks = (0..<count).filter {
            outputs[$0].rows > 0 && plan.definition.sinks[$0].from != .deadLetters
        }
        let letters = unsafe outputs[count].withUnsafeBytes { unsafe lines(of: $0) }
        trial.letter = letters.first.flatMap { try? Record(json: $0) }
        trial.dropped = vm.counts.dropped.keys.filter { !$0.hasPrefix("no sink for ") }.sorted()
        for (place, index) in aggregates.enumerated() where buffers[place].view.count > 0 {
            trial.aggregated.insert(index)
        }
        trial.counts = stages.indices.map { meter.counts(ofStage: $0) }
        return trial
    }
}

extension Definition {
    /// Every output that a stage or a sink takes.
    var origins: [Origin] { stages.map(\.from) + sinks.map(\.from) }
}
