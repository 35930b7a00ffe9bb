import Glibc
import Records
import Scripting
import Testing

/// One rule that is attacked: its first record prepares, with time enough, the second one attacks.
struct AttackedRule: ~Copyable {
    private var vm: RuleVM
    private let outputs = [OutputBuffer(), OutputBuffer()]

    init(setup: String, call: String, options: RuleVMOptions = RuleVMOptions()) throws {
        var options = options
        options.trace = false
        var vm = try RuleVM(options)
        let rule = """
            local S = {}
            function process(r)
              if r.setup then \(setup)
              elseif r.error then error("the time that reading and writing takes")
              else \(call) end
            end
            function on_timer() end
            """
        let stage = vm.addStage(
            name: "rule", schema: nil,
            script: RuleSet.File(path: "rules/a.lua", bytes: Array(rule.utf8)), native: nil,
            budgetNanoseconds: 20_000_000_000)
        vm.connect(.source, toStage: stage)
        vm.connect(.stage(stage, output: nil), toSink: 0)
        vm.connect(.deadLetters, toSink: 1)
        vm.setSinkCount(2)
        try vm.load()
        self.vm = vm
    }

    /// CPU nanoseconds of the calling thread that a record takes.
    mutating func run(_ record: String, budget: Int64) throws -> Int64 {
        _ = vm.setBudget(ofStage: 0, nanoseconds: budget)
        let batch = Batch()
        batch.bytes.append(contentsOf: Array(record.utf8))
        batch.source = "source"
        batch.file = "in.jsonl"
        for output in outputs { output.removeAll() }
        let before = Self.now()
        try vm.run(batch, into: outputs)
        return Self.now() - before
    }

    /// The dead letter of the last record.
    var letter: Record? {
        outputs[1].withUnsafeBytes { Array($0) }.split(separator: 0x0A).first.flatMap {
            try? Record(json: Array($0))
        }
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

@Suite(.serialized) struct BudgetTests {
    static let budget: Int64 = 30_000_000
    /// A sanitizer makes everything many times slower, and a busy machine some of it.
    static let allowed: Int64 = RuleHarness.isSanitized ? 600_000_000 : 20_000_000

    /// How long a record outlives the budget of its call at least, in a few tries.
    private func overshoot(_ attack: Attack, record: (String) -> String) throws -> Int64 {
        var least = Int64.max
        // On a busy machine others take the caches; a call that is too long is so each time.
        for _ in 0..<20 where least > Self.allowed {
            var rule = try AttackedRule(setup: attack.setup, call: attack.call)
            if !attack.setup.isEmpty {
                _ = try rule.run(#"{"setup":true}"#, budget: 20_000_000_000)
                #expect(rule.letter == nil, "the attack is not even prepared")
            }
            let base = try rule.run(record("error"), budget: Self.budget)
            let time = try rule.run(record("attack"), budget: Self.budget)
            least = min(least, time - base - Self.budget)
        }
        return least
    }

    @Test(arguments: Attack.all)
    func `no call outlives its budget by more than 20 ms`(attack: Attack) throws {
        let least = try overshoot(attack) { "{\"\($0)\":true}" }
        #expect(least <= Self.allowed, "\(least / 1_000_000) ms")
    }

    /// What hostile records make of a rule that reads them.
    static let records: [(name: String, member: String, call: String)] = [
        (
            "a list of millions", #""a":["# + String(repeating: "1,", count: 4_000_000) + "1]",
            "r.a[1]"
        ),
        (
            "a list of lists", #""a":{"b":["# + String(repeating: "[],", count: 4_000_000) + "1]}",
            "r.a.b"
        ),
        ("a long number", "\"a\":" + String(repeating: "9", count: 15_000_000), "r.a"),
        (
            "a long text of escapes",
            "\"a\":\"" + String(repeating: #"\u0000"#, count: 2_500_000) + "\"", "r.a"
        ),
        (
            "the same name again and again",
            (0..<1_000_000).map { _ in #""k":1"# }.joined(separator: ","), "r.zzz"
        ),
        (
            "names that differ in the middle",
            (0..<300_000).map { "\"aaaaaaaa\(100_000_000 + $0)aaaaaaaa\":1" }
                .joined(separator: ","), "r.zzz"
        ),
    ]

    @Test(arguments: records.indices)
    func `a hostile record does not help a rule to outlive its budget`(index: Int) throws {
        let (name, member, call) = Self.records[index]
        let attack = Attack(name, "", "while true do local x = \(call) end")
        let least = try overshoot(attack) { "{\"\($0)\":true,\(member)}" }
        #expect(least <= Self.allowed, "\(name): \(least / 1_000_000) ms")
    }

    @Test func `every function that a rule can call is attacked, or takes no time`() {
        let text = Attack.all.map { "\($0.name) \($0.setup) \($0.call)" }.joined(separator: " ")
        for entry in RuleAPI.entries where !Attack.harmless.contains(entry.name) {
            let method = entry.name.split(separator: ".").last ?? ""
            let isCalled = [entry.name, ":\(method)("].contains { text.contains($0) }
            #expect(isCalled, "\(entry.name) is not attacked")
        }
    }
}
