import Records
import Scripting

/// One rule in a VM that lives on between batches, and whose event time the test moves.
struct StateHarness: ~Copyable {
    var vm: RuleVM
    private let outputs = [OutputBuffer(), OutputBuffer()]
    private let batch = Batch()

    init(
        _ rules: [String], trace: Bool = true, restoring changes: [StateChange] = [],
        _ adjust: (inout RuleVMOptions) -> Void = { _ in }
    ) throws {
        var options = RuleVMOptions()
        options.now = 1_700_000_000_000
        options.key = "user"
        options.partitions = 4
        options.ruleSet = "0123456789ab"
        options.trace = trace
        options.tracksChanges = true
        adjust(&options)
        var vm = try RuleVM(options)
        var last = RuleWire.source
        for (index, rule) in rules.enumerated() {
            let stage = vm.addStage(
                name: "stage\(index)", schema: nil,
                script: RuleSet.File(path: "rules/\(index).lua", bytes: Array(rule.utf8)),
                native: nil, budgetNanoseconds: RuleHarness.usualBudget * 20)
            vm.connect(last, toStage: stage)
            last = .stage(stage, output: nil)
        }
        vm.connect(last, toSink: 0)
        vm.connect(.deadLetters, toSink: 1)
        vm.setSinkCount(2)
        try vm.load()
        for change in changes { try vm.restore(change) }
        self.vm = vm
    }

    init(_ rule: String) throws { try self.init([rule]) }

    /// What came of the records: rows and dead letters.
    struct Outcome {
        var rows: [String]
        var letters: [Record]
    }

    mutating func run(_ lines: String...) throws -> Outcome { try run(lines) }

    mutating func run(_ lines: [String]) throws -> Outcome {
        batch.bytes.removeAll()
        batch.bytes.append(contentsOf: Array(lines.joined(separator: "\n").utf8))
        batch.source = "source"
        batch.file = "in.jsonl"
        try vm.run(batch, into: outputs)
        return try outcome()
    }

    mutating func advance(to watermark: Int64) throws -> Outcome {
        try vm.advance(to: watermark, into: outputs)
        return try outcome()
    }

    private func outcome() throws -> Outcome {
        let texts = outputs.map { output in
            output.withUnsafeBytes { Array($0) }.split(separator: 0x0A)
                .map { String(decoding: $0, as: UTF8.self) }
        }
        for output in outputs { output.removeAll() }
        return Outcome(rows: texts[0], letters: try texts[1].map { try Record(json: $0) })
    }
}
