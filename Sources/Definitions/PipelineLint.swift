public import Connecting
internal import Scripting

/// Everything that can be said about a pipeline folder without running it, sorted by place.
public func lintPipeline(
    folder: String, environment: [String: String], catalogue: Catalogue
) -> [Diagnostic] {
    let plan: Plan
    do {
        plan = try Plan(
            readDefinition(folder: folder, environment: environment, catalogue: catalogue))
    } catch {
        return error.findings.map { finding in
            var coded = finding
            coded.code = finding.code ?? PipelineLint.code(of: finding)
            return coded
        }
    }
    var lint = PipelineLint(plan)
    return lint.check()
}

/// Checks the rules, lookups, outputs and tests of a plan.
package struct PipelineLint {
    let plan: Plan
    private var definition: Definition { plan.definition }
    private var findings: [Diagnostic] = []
    private var checked: Set<String> = []
    private var surroundings = RuleSurroundings()

    init(_ plan: Plan) { self.plan = plan }

    /// The code of a finding about files that could not be read or understood.
    static func code(of finding: Diagnostic) -> String {
        if finding.location.file != "pipeline.yaml" { return "TW0102" }
        let isMissing = ["no such file", "cannot be read"].contains {
            finding.message.contains($0)
        }
        return isMissing ? "TW0103" : "TW0101"
    }

    /// Errors in the rule files alone: lookups and tests are not read.
    package static func ruleErrors(of plan: Plan) -> [Diagnostic] {
        var lint = PipelineLint(plan)
        for lookup in plan.definition.lookups {
            let file = LookupFile(definition: lookup, folder: plan.definition.folder)
            lint.surroundings.lookups[lookup.name] = file.columns
        }
        lint.checkRules()
        return lint.findings.filter { $0.severity == .error }.sorted(by: Diagnostic.isBefore)
    }

    mutating func check() -> [Diagnostic] {
        for lookup in definition.lookups { readLookup(lookup) }
        checkRules()
        checkOutputs()
        checkState()
        checkTests()
        return findings.sorted(by: Diagnostic.isBefore)
    }

    private mutating func checkRules() {
        surroundings.modules = plan.moduleNames
        let shapes = RecordShapes(plan)
        for (index, stage) in definition.stages.enumerated() {
            surroundings.shape = shapes.ruleInputs[index]
            switch stage.work {
            case .files(_, let rule): if let rule { checkRule(rule.path, needs: "process") }
            // They return a table of functions, so there is none that must be global.
            case .aggregate(let aggregate):
                surroundings.shape = .open
                for file in aggregate.userFiles { checkRule(file.path, needs: nil) }
            case .native: break
            }
        }
        surroundings.shape = .open
        for handler in definition.handlers { checkRule(handler.script, needs: "process") }
        for module in plan.modules { checkRule(module.path, needs: nil) }
        for name in definition.queueFunctions {
            checkRule(name.file, needs: name.function.rawValue)
        }
    }

    private mutating func warn(_ code: String, _ location: Location, _ message: String) {
        findings.append(Diagnostic(.warning, at: location, message, code: code))
    }

    // MARK: Rules and lookups

    private mutating func checkRule(_ path: String, needs function: String?) {
        guard checked.insert(path).inserted, let text = plan.ruleSet.bytes(of: path) else { return }
        var lint = RuleLint(file: path, text: text)
        surroundings.needs = function
        let found = lint.check(in: surroundings, suggest: { suggestion(for: $0, among: $1) })
        findings += found.map { finding in
            Diagnostic(
                finding.isError ? .error : .warning,
                at: Location(file: path, line: finding.line, column: finding.column),
                finding.message, code: finding.code)
        }
    }

    private mutating func readLookup(_ lookup: LookupDefinition) {
        let file = LookupFile(definition: lookup, folder: definition.folder)
        surroundings.lookups[lookup.name] = file.columns
        do throws(PipelineError) {
            _ = try file.read()
        } catch {
            findings.append(
                Diagnostic(
                    at: place(in: error.description, file: lookup.path) ?? lookup.location,
                    message(of: error.description, file: lookup.path), code: "TW0106"))
        }
    }

    /// The line that `FILE:LINE: …` names.
    private func place(in text: String, file: String) -> Location? {
        guard text.hasPrefix(file + ":"),
            let line = Int(text.dropFirst(file.count + 1).prefix { $0.isNumber })
        else { return nil }
        return Location(file: file, line: line, column: 1)
    }

    private func message(of text: String, file: String) -> String {
        guard place(in: text, file: file) != nil else { return text }
        let rest = text.dropFirst(file.count + 1).drop { $0.isNumber }
        return String(rest.drop { $0 == ":" || $0 == " " })
    }

    // MARK: Outputs and state

    /// Consumers of an output that no rule of the stage ever names.
    private mutating func checkOutputs() {
        let modules = plan.modules.map { RuleEffects(of: plan.ruleSet.bytes(of: $0.path) ?? []) }
        let consumers =
            definition.stages.map { ($0.from, $0.fromLocation) }
            + definition.sinks.map { ($0.from, $0.fromLocation) }
        for (origin, location) in consumers {
            guard case .stage(let index, .some(let output)) = origin,
                case .files(_, .some(let rule)) = definition.stages[index].work,
                let text = plan.ruleSet.bytes(of: rule.path)
            else { continue }
            let effects = RuleEffects(of: text)
            if effects.isBroken { continue }
            // A name that is put together at run time cannot be seen here, so any mention will do.
            let mentions =
                effects.namesOtherOutputs ? effects.texts.union(effects.outputs) : effects.outputs
            let isBuilt = effects.namesOtherOutputs && mentions.isDisjoint(with: [output])
            if mentions.contains(output) || isBuilt { continue }
            if modules.contains(where: { $0.texts.contains(output) }) { continue }
            let hint = suggestion(for: output, among: effects.outputs.sorted())
            warn(
                "TW0104", location,
                "nothing arrives here: \(rule.path) never routes or emits to \"\(output)\"\(hint)")
        }
    }

    private mutating func checkState() {
        guard definition.key == nil, definition.partitions > 1 else { return }
        for stage in definition.stages {
            guard case .files(_, .some(let rule)) = stage.work,
                let text = plan.ruleSet.bytes(of: rule.path), RuleEffects(of: text).usesState
            else { continue }
            warn(
                "TW0105", rule.location,
                "\(rule.path) uses state and the pipeline has no key, so all records are one "
                    + "partition; give it a key, such as key: user_id")
            return
        }
    }

    // MARK: Tests

    private mutating func checkTests() {
        let files = RuleTestFiles.all(in: definition.folder)
        var tested: Set<String> = []
        for file in files {
            let (read, problems) = RuleTestFiles.read(file, for: plan)
            findings += problems.map { problem in
                var coded = problem
                coded.code = "TW0301"
                return coded
            }
            // A broken file still tests the rule that has its name.
            tested.insert(read?.rule.path ?? file.path.replacing(".test.yaml", with: ".lua"))
        }
        for file in PipelineTestFiles.all(in: definition.folder) {
            findings += PipelineTestFiles.read(file, for: plan).findings.map { problem in
                var coded = problem
                coded.code = "TW0301"
                return coded
            }
        }
        var rules: [FileReference] = []
        for stage in definition.stages {
            switch stage.work {
            case .files(_, let rule): if let rule { rules.append(rule) }
            case .aggregate(let aggregate): rules += aggregate.userFiles
            case .native: break
            }
        }
        for rule in rules where tested.insert(rule.path).inserted {
            let name = rule.path.hasSuffix(".lua") ? String(rule.path.dropLast(4)) : rule.path
            warn(
                "TW0302", Location(file: rule.path, line: 1, column: 1),
                "the rule has no tests; write \(name).test.yaml")
        }
    }
}
