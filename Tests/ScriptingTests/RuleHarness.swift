import Glibc
import Records
import Scripting

/// Runs rules over JSON lines without a pipeline around them.
struct RuleHarness {
    var rules: [String]
    var schema: String?
    var options = RuleVMOptions()
    var modules: [String: String] = [:]
    var budgetNanoseconds = Self.usualBudget
    /// Measures the calls.
    var meter: CallMeter?
    var profiles = false

    /// Under a sanitizer everything takes many times longer.
    static let isSanitized = getenv("TIDEWHEEL_SANITIZER") != nil
    static let usualBudget: Int64 = isSanitized ? 600_000_000 : 30_000_000

    init(_ rules: String..., schema: String? = nil) {
        self.rules = rules
        self.schema = schema
        options.now = 1_700_000_000_000
        options.ruleSet = "0123456789ab"
    }

    struct Outcome {
        var rows: [String]
        var side: [String]
        var letters: [Record]
        var counts: RuleCounts
    }

    /// The rows of the last stage, of its output "side", and the dead letters.
    func run(_ lines: String...) throws -> Outcome {
        try run(Array(lines.joined(separator: "\n").utf8))
    }

    func run(_ bytes: [UInt8]) throws -> Outcome {
        var vm = try RuleVM(options)
        for (name, text) in modules {
            vm.addModule(name: name, file: "rules/lib/\(name).lua", text: Array(text.utf8))
        }
        var last = RuleWire.source
        if let schema {
            let compiled = try Schema(file: "schemas/x.json", text: Array(schema.utf8))
            let stage = vm.addStage(
                name: "check", schema: compiled, script: nil, native: nil,
                budgetNanoseconds: 100_000_000)
            vm.connect(last, toStage: stage)
            last = .stage(stage, output: nil)
        }
        for (index, rule) in rules.enumerated() {
            let stage = vm.addStage(
                name: "stage\(index)", schema: nil,
                script: RuleSet.File(path: "rules/\(index).lua", bytes: Array(rule.utf8)),
                native: nil, budgetNanoseconds: budgetNanoseconds)
            vm.connect(last, toStage: stage)
            vm.connect(.stage(stage, output: "side"), toSink: 1)
            last = .stage(stage, output: nil)
        }
        vm.connect(last, toSink: 0)
        vm.connect(.deadLetters, toSink: 2)
        vm.setSinkCount(3)
        try vm.load()
        if let meter { vm.measure(with: meter, profiles: profiles) }
        let batch = Batch()
        batch.bytes.append(contentsOf: bytes)
        batch.source = "source"
        batch.file = "in.jsonl"
        let outputs = [OutputBuffer(), OutputBuffer(), OutputBuffer()]
        try vm.run(batch, into: outputs)
        func lines(_ index: Int) -> [String] {
            outputs[index].withUnsafeBytes { Array($0) }.split(separator: 0x0A)
                .map { String(decoding: $0, as: UTF8.self) }
        }
        return Outcome(
            rows: lines(0), side: lines(1), letters: try lines(2).map { try Record(json: $0) },
            counts: vm.counts)
    }
}
