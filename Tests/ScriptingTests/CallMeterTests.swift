import Records
import Scripting
import TestKit
import Testing

/// What is measured while somebody looks.
@Suite struct CallMeterTests {
    private static let rule = """
        local function busy(n)
          local sum = 0
          for i = 1, n do
            sum = sum + i % 7
          end
          return sum
        end
        function process(r)
          if r.i % 10 == 0 then return drop("ten") end
          if r.i % 10 == 1 then error("one") end
          r.sum = busy(2000)
        end
        """

    private func lines(_ count: Int) -> [UInt8] {
        Array((0..<count).map { "{\"i\":\($0)}\n" }.joined().utf8)
    }

    @Test func `percentiles are within a thirty-second of the truth`() {
        var random = SeededRandom(seed: 7)
        var times = CallTimes()
        var truth: [UInt64] = []
        for _ in 0..<20_000 {
            let scale = UInt64.random(in: 0...30, using: &random)
            let value = UInt64.random(in: 0...(1 << scale), using: &random)
            truth.append(value)
            times.note(nanoseconds: value)
        }
        truth.sort()
        for share in [0.01, 0.5, 0.9, 0.99, 0.999, 1] {
            let exact = Double(truth[max(1, Int((share * 20_000).rounded(.up))) - 1])
            let told = times.percentile(share) ?? -1
            #expect(abs(told - exact) <= exact / 32 + 0.5, "\(share): \(told), not \(exact)")
        }
        #expect(CallTimes().percentile(0.5) == nil)
        times.note(nanoseconds: .max)
        #expect((times.longest ?? 0) > 2e12)
    }

    @Test func `every record, drop and error is counted once, with the time of its call`() throws {
        var harness = RuleHarness(Self.rule, "function process(r) end")
        harness.schema = #"{"properties":{"i":{"maximum":999}}}"#
        let plain = try harness.run(lines(1100))
        let meter = CallMeter(stages: 3)
        harness.meter = meter
        let outcome = try harness.run(lines(1100))
        // Looking changes nothing.
        #expect(outcome.rows == plain.rows && outcome.letters == plain.letters)
        #expect(outcome.counts.dropped == plain.counts.dropped)
        let check = meter.counts(ofStage: 0)
        #expect(check.records == 1100 && check.errors == 100 && check.calls == 0)
        let first = meter.counts(ofStage: 1)
        #expect(first.records == 1000 && first.calls == 1000)
        #expect(first.dropped == 100 && first.errors == 100)
        #expect(first.times.buckets.reduce(0, +) == 1000 && first.nanoseconds > 0)
        // The busy loop takes longer than a bare call.
        let second = meter.counts(ofStage: 2)
        #expect(second.records == 800 && second.errors == 0)
        #expect((first.times.percentile(0.5) ?? 0) > 2 * (second.times.percentile(0.5) ?? 0))
        let mean = Double(first.nanoseconds) / 1000
        #expect((first.times.longest ?? 0) >= mean)
    }

    @Test func `profiling finds the line that runs most, and by which calls`() throws {
        var harness = RuleHarness(Self.rule)
        let meter = CallMeter(stages: 1)
        harness.meter = meter
        harness.profiles = true
        harness.budgetNanoseconds = 1_000_000_000
        let outcome = try harness.run(lines(500))
        #expect(outcome.rows.count == 400)
        let samples = meter.samples.filter { $0.samples > 0 }
        let total = samples.reduce(0) { $0 + $1.samples }
        // Eight calls of ten run about 4 instructions 2,000 times.
        #expect(total > 400 * 8000 / 499 / 2, "\(total)")
        let loop = samples.filter { ["rules/0.lua:3", "rules/0.lua:4"].contains($0.line) }
        #expect(loop.reduce(0) { $0 + $1.samples } > total * 9 / 10)
        #expect(loop.allSatisfy { $0.stack.hasPrefix("rules/0.lua:11;busy (rules/0.lua:") })
    }

    @Test func `without profiling lines are sampled by time alone`() throws {
        var harness = RuleHarness(Self.rule.replacing("busy(2000)", with: "busy(200000)"))
        let meter = CallMeter(stages: 1)
        harness.meter = meter
        harness.budgetNanoseconds = 10_000_000_000
        _ = try harness.run(lines(100))
        #expect(meter.samples.allSatisfy { $0.samples == 0 })
        #expect(meter.samples.contains { $0.line == "rules/0.lua:4" && $0.ticks > 0 })
    }

    @Test func `what is stopped by its budget is in the profile`() throws {
        var harness = RuleHarness("function process(r)\n  while r.bad do\n  end\nend")
        let meter = CallMeter(stages: 1)
        harness.meter = meter
        harness.profiles = true
        let outcome = try harness.run(Array("{\"bad\":true}\n{}\n{\"bad\":true}\n{}\n".utf8))
        #expect(outcome.rows.count == 2 && outcome.letters.count == 2)
        #expect(outcome.letters.allSatisfy { $0["kind"] == "budget" })
        #expect(meter.samples.contains { $0.line == "rules/0.lua:2" && $0.samples > 100 })
        let counts = meter.counts(ofStage: 0)
        #expect(counts.errors == 2 && counts.calls == 4)
        #expect((counts.times.longest ?? 0) > Double(RuleHarness.usualBudget) / 2)
    }

    @Test func `a tap is a wire that leaves nothing behind`() throws {
        var vm = try RuleVM(RuleVMOptions())
        let stage = vm.addStage(
            name: "s", schema: nil,
            script: RuleSet.File(
                path: "rules/s.lua",
                bytes: Array("function process(r) return route('side') end".utf8)),
            native: nil, budgetNanoseconds: 1_000_000_000)
        vm.connect(.source, toStage: stage)
        vm.setSinkCount(1)
        try vm.load()
        let output = OutputBuffer()
        let batch = Batch()
        func run() throws {
            batch.removeAll()
            batch.bytes.append(contentsOf: Array("{}\n".utf8))
            try vm.run(batch, into: [output])
        }
        try run()
        #expect(output.rows == 0 && vm.counts.dropped == ["no sink for s.side": 1])
        vm.tap([.stage(stage, output: "side")], first: 0)
        try run()
        #expect(output.rows == 1 && vm.counts.dropped == ["no sink for s.side": 1])
        vm.tap([.source], first: 0)
        try run()
        #expect(output.rows == 2 && vm.counts.dropped == ["no sink for s.side": 2])
        vm.tap([], first: 0)
        try run()
        #expect(output.rows == 2 && vm.counts.dropped == ["no sink for s.side": 3])
    }
}
