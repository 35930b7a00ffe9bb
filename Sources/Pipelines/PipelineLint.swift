internal import Scripting
public import Stages

/// Everything that can be said about a pipeline folder without running it.
public func lintPipeline(
    folder: String, environment: [String: String], catalogue: Catalogue
) -> [Diagnostic] {
    let definition: Definition
    do {
        definition = try readDefinition(
            folder: folder, environment: environment, catalogue: catalogue)
    } catch {
        return error.findings
    }
    let plan: Plan
    do {
        plan = try Plan(definition)
    } catch {
        return error.findings
    }
    var findings: [Diagnostic] = []
    var checked: Set<String> = []
    func check(_ path: String, needs function: String?) {
        guard checked.insert(path).inserted,
            let text = plan.ruleSet.bytes(of: path) ?? readFile(resolve(path, in: folder))
        else { return }
        let lint = RuleLint(file: path, text: text)
        for finding in lint.check(
            needs: function, suggest: { suggestion(for: $0, among: $1) })
        {
            findings.append(
                Diagnostic(
                    finding.isError ? .error : .warning,
                    at: Location(file: path, line: finding.line, column: finding.column),
                    finding.message))
        }
    }
    for stage in definition.stages {
        switch stage.work {
        case .files(_, let rule): if let rule { check(rule.path, needs: "process") }
        // They return a table of functions, so there is none that must be global.
        case .aggregate(let aggregate):
            for file in aggregate.userFiles { check(file.path, needs: nil) }
        case .native: break
        }
    }
    for module in plan.modules { check(module.path, needs: nil) }
    findings += unreachable(definition, plan)
    return findings
}

/// Consumers of an output that no rule of the stage ever names.
private func unreachable(_ definition: Definition, _ plan: Plan) -> [Diagnostic] {
    var findings: [Diagnostic] = []
    func check(_ origin: Origin, _ location: Location) {
        guard case .stage(let index, .some(let output)) = origin,
            case .files(_, .some(let rule)) = definition.stages[index].work,
            let text = plan.ruleSet.bytes(of: rule.path)
        else { return }
        let source = String(decoding: text, as: UTF8.self)
        // A name that is put together at run time cannot be seen here, so any mention will do.
        if source.contains("\"\(output)\"") || source.contains("'\(output)'") { return }
        if source.contains("route(") && !source.contains("route(\"") && !source.contains("route('")
        {
            return
        }
        findings.append(
            Diagnostic(
                .warning, at: location,
                "nothing arrives here: \(rule.path) never routes or emits to \"\(output)\""))
    }
    for stage in definition.stages { check(stage.from, stage.fromLocation) }
    for sink in definition.sinks { check(sink.from, sink.fromLocation) }
    return findings
}
