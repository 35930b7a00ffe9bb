internal import Definitions
internal import Engine
internal import Records
internal import Scripting
internal import Threads

/// Runs the tests of a file that returns `{init, add, merge, result}`: `in` is added up, `out` is
/// the result.
struct AggregateTest {
    let plan: Plan
    let script: RuleSet.File
    let countsLines: Bool

    func run(_ test: RuleTestCase, lookups: [String: Lookup]) throws(RuleError) -> RuleOutcome {
        var options = RuleVMOptions()
        options.take(plan.definition.limits)
        options.ruleSet = plan.ruleSet.version
        options.now = test.now
        let log = Locked<[String]>([])
        options.log = { _, text in log.withLock { $0.append(text) } }
        var vm = try RuleVM(options)
        if countsLines { vm.countLines() }
        for module in plan.modules {
            vm.addModule(
                name: module.name, file: module.path,
                text: plan.ruleSet.bytes(of: module.path) ?? [])
        }
        let stage = unsafe vm.addStage(
            name: script.name, schema: nil, script: nil, native: nil,
            budgetNanoseconds: plan.definition.budget(ofAggregate: script.path))
        let index = vm.addUserAggregate(stage: stage, file: script)
        for (name, table) in lookups { vm.setLookup(name, to: table) }
        try vm.load()
        var outcome = RuleOutcome()
        do throws(RuleFailure) {
            outcome.main = try results(test.inputs, vm.aggregateCaller, index)
        } catch {
            let problem = RuleProblem(
                message: error.message, file: error.file, line: error.line)
            outcome.problems = [problem]
            outcome.errorTexts = [[problem.message, problem.text]]
        }
        outcome.log = log.withLock { $0 }
        outcome.lines = countsLines ? vm.lineCounts : [:]
        return outcome
    }

    /// The result of adding everything, and those of merging two parts that differ from it.
    private func results(
        _ inputs: [[UInt8]], _ caller: AggregateCaller, _ index: Int
    ) throws(RuleFailure) -> [Value] {
        let whole = try result(of: try sum(inputs[...], caller, index), caller, index)
        guard caller.has(.merge, index: index) else { return [whole] }
        for split in 1..<max(1, min(inputs.count, 20)) {
            let merged = try caller.merge(
                index: index, try sum(inputs[..<split], caller, index),
                try sum(inputs[split...], caller, index))
            let other = try result(of: merged, caller, index)
            if Plan.isSame(whole, other) { continue }
            throw RuleFailure(
                message: "merging the first \(split) with the rest gives \(other.text), adding all "
                    + "gives \(whole.text)", file: script.path, line: 1)
        }
        return [whole]
    }

    private func sum(
        _ inputs: ArraySlice<[UInt8]>, _ caller: AggregateCaller, _ index: Int
    ) throws(RuleFailure) -> [UInt8] {
        var accumulator = try unsafe caller.call(.create, index: index)
        for input in inputs { accumulator = try caller.add(index: index, accumulator, input) }
        return accumulator
    }

    private func result(
        of accumulator: [UInt8], _ caller: AggregateCaller, _ index: Int
    ) throws(RuleFailure) -> Value {
        var reader = JSONReader(
            try unsafe caller.call(.result, index: index, accumulator, start: 0, end: 60_000))
        do {
            return try reader.readDocument()
        } catch {
            throw RuleFailure(message: "\(error)", file: script.path)
        }
    }
}

extension RuleTestExpectation {
    /// Why the result of an aggregate is not as expected; nil when it is.
    func aggregateFailure(of outcome: RuleOutcome) -> RuleTestFailure? {
        guard error == nil, outcome.problems.isEmpty, let result = outcome.main.first else {
            return failure(of: outcome)
        }
        var comparison = ValueComparison()
        if let out { comparison.same(out, result, at: "out") }
        if let contains { comparison.part(contains, result, at: "contains") }
        for key in [dropped == nil ? nil : "dropped", routed == nil ? nil : "routed"] {
            if let key { comparison.note(key, "an aggregate has no such outcome") }
        }
        if comparison.differences.isEmpty { return nil }
        return RuleTestFailure(differences: comparison.differences)
    }
}

extension Definition {
    /// What one call of an aggregate in Lua may take, in nanoseconds: the budget of its stage.
    func budget(ofAggregate path: String) -> Int64 {
        let stage = stages.first { stage in
            guard case .aggregate(let aggregate) = stage.work else { return false }
            return aggregate.userFiles.contains { $0.path == path }
        }
        return stage?.budgetNanoseconds ?? 100_000_000
    }
}
