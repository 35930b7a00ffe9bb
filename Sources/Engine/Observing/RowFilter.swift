internal import Connecting
public import Definitions
internal import Records
internal import Scripting

/// A condition in Lua on the rows that a looker sees, with the sandbox and the budget of a rule.
/// One thread, which is none of the run's: what it costs does not slow the stream.
public final class RowFilter {
    private static let name = "--where"
    private static let prefix = "local function where(r) return ("
    private static let suffix = """

        ) end
        function process(r)
          local found = where(r)
          if found and found ~= null then return end
          return drop("other")
        end
        """

    private var vm: RuleVM
    private let batch = Batch()
    private let outputs = [OutputBuffer(), OutputBuffer()]
    /// Rows for which it failed.
    public private(set) var failures = 0
    /// Why, the first time.
    public private(set) var problem: String?

    /// Compiles a condition for the rows of a stage; throws, with exit code 2, when it is none.
    public init(_ expression: String, stage: String, of run: PipelineRun) throws(PipelineError) {
        let index = try run.index(ofStage: stage)
        let plan = run.versions.wanted.plan
        let script = Array((Self.prefix + expression + Self.suffix).utf8)
        try Self.check(script, plan)
        do throws(RuleError) {
            var options = plan.vmOptions(MachinePurpose(), log: nil)
            // A row may have lost the time and the key that its record had.
            options.time = nil
            options.key = nil
            vm = try RuleVM(options)
            for module in plan.modules {
                vm.addModule(
                    name: module.name, file: module.path,
                    text: plan.ruleSet.bytes(of: module.path) ?? [])
            }
            _ = unsafe vm.addStage(
                name: "where", schema: nil,
                script: RuleSet.File(path: Self.name, bytes: script), native: nil,
                budgetNanoseconds: plan.definition.stages[index].budgetNanoseconds)
            vm.connect(.source, toStage: 0)
            vm.connect(.stage(0, output: nil), toSink: 0)
            vm.connect(.deadLetters, toSink: 1)
            vm.setSinkCount(2)
            for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
            try vm.load()
        } catch {
            throw PipelineError(exitCode: 2, "error: \(error)")
        }
    }

    private static func check(_ script: [UInt8], _ plan: Plan) throws(PipelineError) {
        var surroundings = RuleSurroundings()
        surroundings.modules = plan.moduleNames
        for lookup in plan.definition.lookups {
            surroundings.lookups[lookup.name] =
                LookupFile(definition: lookup, folder: plan.definition.folder).columns
        }
        var lint = RuleLint(file: name, text: script)
        let findings = lint.check(in: surroundings) { suggestion(for: $0, among: $1) }
        guard let first = findings.first(where: \.isError) else { return }
        var place = name
        if first.line == 1, first.column > prefix.count {
            place += ":1:\(first.column - prefix.count)"
        }
        throw PipelineError(
            exitCode: 2,
            "error: \(place): \(first.message)\n  = help: give an expression on the record r, such "
                + "as --where 'r.amount > 100'")
    }

    /// True when the row is one that is looked for.
    public func matches(_ row: [UInt8]) -> Bool {
        batch.removeAll()
        batch.source = Self.name
        batch.file = Self.name
        unsafe row.withUnsafeBytes { unsafe batch.bytes.append($0) }
        do throws(RuleError) {
            try vm.run(batch, into: outputs)
        } catch {
            note(error.description)
            return false
        }
        defer { for output in outputs { output.removeAll() } }
        if outputs[1].rows > 0 {
            let letter = unsafe outputs[1].withUnsafeBytes {
                unsafe try? Record(json: Array($0.dropLast()))
            }
            note(letter?["error"]?.text ?? letter?["reason"]?.text ?? "it failed")
        }
        return outputs[0].rows > 0
    }

    private func note(_ text: String) {
        failures += 1
        problem = problem ?? text
    }
}
