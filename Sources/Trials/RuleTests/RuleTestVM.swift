internal import Definitions
internal import Engine
internal import Records
internal import Scripting
internal import Threads

/// Runs the tests of one rule file, each in a VM of its own, so that none depends on another.
struct RuleTestVM {
    private let plan: Plan
    private let script: RuleSet.File
    private let stage: StageDefinition?
    private let countsLines: Bool
    /// Outputs that rules have named so far; a VM must know them to keep their rows.
    private(set) var outputs: [String]

    init(plan: Plan, script: RuleSet.File, outputs: [String], countsLines: Bool) {
        self.plan = plan
        self.script = script
        self.outputs = outputs
        self.countsLines = countsLines
        stage = plan.definition.stages.first { stage in
            guard case .files(_, .some(let rule)) = stage.work else { return false }
            return rule.path == script.path
        }
    }

    private var stageName: String { stage?.name ?? script.name }

    /// What the rule makes of a test's records; throws when the file cannot be loaded.
    mutating func run(
        _ test: RuleTestCase, lookups: [String: Lookup]
    ) throws(RuleError) -> RuleOutcome {
        // A rule may name an output that nobody knew; then the same is run with a place for it.
        while true {
            let (outcome, unknown) = try attempt(test, lookups)
            let fresh = unknown.filter { !outputs.contains($0) }
            if fresh.isEmpty || outputs.count > 100 { return outcome }
            outputs += fresh
        }
    }

    private func options(_ test: RuleTestCase, _ log: Locked<[String]>) -> RuleVMOptions {
        var options = RuleVMOptions()
        options.take(plan.definition.limits)
        options.key = plan.definition.key
        options.partitions = 1
        options.ruleSet = plan.ruleSet.version
        options.now = test.now
        options.tracksChanges = true
        // Most tests show a few fields; only where all have a time, rules live by it.
        if let time = plan.definition.time, test.inputs.allSatisfy({ Self.has(time.field, $0) }) {
            options.time = time.ruleTime
            options.time?.maxFutureSkew = nil
        }
        options.log = { _, text in log.withLock { $0.append(text) } }
        return options
    }

    private static func has(_ field: String, _ text: [UInt8]) -> Bool {
        guard let record = try? Record(json: text) else { return false }
        return record[field] != nil
    }

    private func attempt(
        _ test: RuleTestCase, _ lookups: [String: Lookup]
    ) throws(RuleError) -> (outcome: RuleOutcome, unknown: [String]) {
        let log = Locked<[String]>([])
        var vm = try RuleVM(options(test, log))
        if countsLines { vm.countLines() }
        for module in plan.modules {
            vm.addModule(
                name: module.name, file: module.path,
                text: plan.ruleSet.bytes(of: module.path) ?? [])
        }
        let index = unsafe vm.addStage(
            name: stageName, schema: nil, script: script, native: nil,
            budgetNanoseconds: stage?.budgetNanoseconds ?? 100_000_000)
        vm.connect(.source, toStage: index)
        vm.connect(.stage(index, output: nil), toSink: 0)
        vm.connect(.deadLetters, toSink: 1)
        for (place, output) in outputs.enumerated() {
            vm.connect(.stage(index, output: output), toSink: 2 + place)
        }
        vm.setSinkCount(2 + outputs.count)
        for (name, table) in lookups { vm.setLookup(name, to: table) }
        try vm.load()
        for field in test.expected.stateBefore {
            try vm.restore(
                StateChange(stage: stageName, key: field.name, storing: field.value))
        }
        let sinks = (0..<(2 + outputs.count)).map { _ in OutputBuffer() }
        try vm.run(batch(of: test), into: sinks)
        if let until = test.until { try vm.advance(to: until, into: sinks) }
        var outcome = RuleOutcome()
        outcome.main = rows(of: sinks[0])
        for (place, output) in outputs.enumerated() where sinks[2 + place].rows > 0 {
            outcome.outputs[output] = rows(of: sinks[2 + place])
        }
        for letter in rows(of: sinks[1]) { outcome.add(letter) }
        outcome.state = state(before: test.expected.stateBefore, vm.stateChanges())
        outcome.log = log.withLock { $0 }
        outcome.lines = countsLines ? vm.lineCounts : [:]
        let unknown = outcome.take(drops: vm.counts.dropped, stage: stageName, known: outputs)
        return (outcome, unknown)
    }

    private func batch(of test: RuleTestCase) -> Batch {
        let batch = Batch()
        batch.source = "test"
        batch.file = script.path
        for input in test.inputs {
            unsafe input.withUnsafeBytes { unsafe batch.bytes.append($0) }
            batch.bytes.append(0x0A)
        }
        return batch
    }

    private func rows(of buffer: OutputBuffer) -> [Value] {
        let bytes = unsafe buffer.withUnsafeBytes { unsafe Array($0) }
        return bytes.split(separator: 0x0A).compactMap { line in
            var reader = JSONReader(Array(line))
            return try? reader.readDocument()
        }
    }

    private func state(before: [Field], _ changes: [StateChange]) -> [Field] {
        var state = Record(before)
        for change in changes where change.kind == .value {
            state[String(decoding: change.key, as: UTF8.self)] = change.storedValue
        }
        return state.fields
    }
}

extension RuleOutcome {
    /// Takes a dead letter.
    mutating func add(_ letter: Value) {
        guard case .object(let fields) = letter else { return }
        let record = Record(fields)
        let reason = record["reason"]?.text ?? ""
        var trace: [String] = []
        if case .array(let lines)? = record["trace"] { trace = lines.map(\.text) }
        var line = 0
        if case .integer(let number)? = record["line"] { line = Int(clamping: number) }
        var message = record["error"]?.text ?? reason
        if record["kind"]?.text == "rejected" { message = "rejected: \(reason)" }
        problems.append(
            RuleProblem(
                message: message, file: record["file"]?.text ?? "", line: line, trace: trace))
        errorTexts.append([message, reason, problems[problems.count - 1].text])
    }

    /// Takes the counts of dropped records; returns outputs that had no place for their rows.
    mutating func take(
        drops: [String: Int], stage: String, known: [String]
    ) -> [String] {
        let prefix = "no sink for \(stage)."
        var unknown: [String] = []
        for (reason, count) in drops {
            let output = String(reason.dropFirst(prefix.count))
            if reason.hasPrefix(prefix), !known.contains(output) {
                unknown.append(output)
            } else {
                dropped[reason] = count
            }
        }
        return unknown
    }
}

extension RuleSet.File {
    /// `shape` for `rules/shape.lua`.
    var name: String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        return last.hasSuffix(".lua") ? String(last.dropLast(4)) : last
    }
}
