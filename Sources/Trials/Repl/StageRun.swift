internal import Definitions
internal import Engine
internal import Records
internal import Scripting
internal import Threads

/// What one stage made of one record.
struct StageResult {
    /// The rows of the main output, byte for byte.
    var main: [[UInt8]] = []
    /// The rows of named outputs.
    var outputs: [(name: String, rows: [[UInt8]])] = []
    /// Why the record was dropped.
    var dropped: [String] = []
    /// Why it failed.
    var problem: RuleProblem?
    /// The values at each line.
    var trace: [String] = []
    /// What changed in the keyed state.
    var changes: [StateChange] = []
    /// What the rule logged.
    var log: [String] = []
    /// CPU nanoseconds of the whole run.
    var nanoseconds: UInt64 = 0
    /// How often each line ran.
    var lines: [String: [Int: Int]] = [:]
}

/// Runs one stage of a plan on one record, in a VM of its own.
struct StageRun {
    let plan: Plan
    let stage: Int
    let lookups: [String: Lookup]
    /// The keyed state before the record.
    let state: [StateChange]
    /// The engine's time in milliseconds since 1970.
    let now: Int64
    var keepsTrace = true
    var countsLines = false
    /// Outputs that rules have named so far.
    var outputs: [String] = []
    /// Where the record comes from.
    var origin: ReplOrigin?

    mutating func run(_ record: [UInt8]) throws(RuleError) -> StageResult {
        while true {
            let (result, unknown) = try attempt(record)
            let fresh = unknown.filter { !outputs.contains($0) }
            if fresh.isEmpty || outputs.count > 100 { return result }
            outputs += fresh
        }
    }

    private func attempt(
        _ record: [UInt8]
    ) throws(RuleError) -> (result: StageResult, unknown: [String]) {
        let log = Locked<[String]>([])
        var vm = try plan.makeVM(only: stage, now: now) { text in log.withLock { $0.append(text) } }
        let name = plan.definition.stages[stage].name
        vm.connect(.source, toStage: 0)
        vm.connect(.stage(0, output: nil), toSink: 0)
        vm.connect(.deadLetters, toSink: 1)
        for (place, output) in outputs.enumerated() {
            vm.connect(.stage(0, output: output), toSink: 2 + place)
        }
        vm.setSinkCount(2 + outputs.count)
        for (name, table) in lookups { vm.setLookup(name, to: table) }
        try vm.load()
        for change in state where change.stage == name { try vm.restore(change) }
        if keepsTrace { vm.keepTrace() }
        // After the load, which runs lines of its own.
        if countsLines { vm.countLines() }
        let batch = Batch()
        batch.fill(record, origin)
        let sinks = (0..<(2 + outputs.count)).map { _ in OutputBuffer() }
        let start = threadNanoseconds()
        try vm.run(batch, into: sinks)
        var result = StageResult()
        result.nanoseconds = threadNanoseconds() - start
        result.trace = keepsTrace ? vm.trace : []
        result.main = lines(of: sinks[0])
        for (place, output) in outputs.enumerated() where sinks[2 + place].rows > 0 {
            result.outputs.append((output, lines(of: sinks[2 + place])))
        }
        var outcome = RuleOutcome()
        for letter in lines(of: sinks[1]) {
            var reader = JSONReader(letter)
            if let value = try? reader.readDocument() { outcome.add(value) }
        }
        result.problem = outcome.problems.first
        let unknown = outcome.take(drops: vm.counts.dropped, stage: name, known: outputs)
        result.dropped = outcome.dropped.keys.sorted()
        result.changes = vm.stateChanges()
        result.log = log.withLock { $0 }
        result.lines = countsLines ? vm.lineCounts : [:]
        return (result, unknown)
    }

    private func lines(of buffer: OutputBuffer) -> [[UInt8]] {
        unsafe buffer.withUnsafeBytes { unsafe Array($0) }.split(separator: 0x0A).map(Array.init)
    }
}

extension Plan {
    /// A VM with one stage of the plan, or with the names of all stages and no scripts.
    func makeVM(
        only stage: Int?, now: Int64?, log: @escaping @Sendable (String) -> Void
    ) throws(RuleError) -> RuleVM {
        var options = RuleVMOptions()
        options.take(definition.limits)
        options.key = definition.key
        options.partitions = 1
        options.ruleSet = ruleSet.version
        options.tracksChanges = true
        options.now = now
        options.log = { _, text in log(text) }
        var vm = try RuleVM(options)
        for module in modules {
            vm.addModule(
                name: module.name, file: module.path, text: ruleSet.bytes(of: module.path) ?? [])
        }
        for (index, definition) in definition.stages.enumerated()
        where stage.map({ $0 == index }) ?? true {
            var schema: Schema?
            var script: RuleSet.File?
            if stage != nil, case .files(let schemaFile, let rule) = definition.work {
                schema = schemaFile.flatMap { schemas[$0.path] }
                script = rule.map {
                    RuleSet.File(path: $0.path, bytes: ruleSet.bytes(of: $0.path) ?? [])
                }
            }
            _ = unsafe vm.addStage(
                name: definition.name, schema: schema, script: script, native: nil,
                budgetNanoseconds: definition.budgetNanoseconds)
        }
        return vm
    }
}
