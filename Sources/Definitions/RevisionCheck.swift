internal import Connecting

extension StageDefinition {
    /// Why the stage can have no output of this name, or nil; rules may name any.
    public func problem(ofOutput output: String) -> String? {
        guard case .aggregate = work, output != "late" else { return nil }
        return "an aggregate stage has the outputs main (from: \(name)) and late "
            + "(from: \(name).late)"
    }
}

/// Rows that are revised may only go where a newer one replaces the older.
extension DefinitionReader {
    static func isUpsert(_ options: Setting) -> Bool {
        guard case .mapping(let entries) = options.content,
            case .scalar("true", quoted: false) =
                entries.first(where: { $0.key == "upsert" })?.value.content
        else { return false }
        return true
    }

    mutating func checkRevisions() {
        for (index, stage) in definition.stages.enumerated() {
            guard case .aggregate(let aggregate) = stage.work,
                let location = aggregate.revisionLocation
            else { continue }
            let sinks = definition.sinks.filter { $0.isAppendOnly && comes($0.from, from: index) }
            if !sinks.isEmpty {
                let names = sinks.map { "\"\($0.name)\"" }.joined(separator: ", ")
                findings.append(
                    Diagnostic(
                        at: location,
                        "this makes rows that are revised later, and the sink \(names) only "
                            + "appends; rows carry revision and is_final: say upsert: true in the "
                            + "sink when its readers keep the last one, or let windows close once"))
            }
            for other in definition.stages where comes(other.from, from: index) {
                guard case .aggregate = other.work else { continue }
                findings.append(
                    Diagnostic(
                        at: other.fromLocation,
                        "\"\(stage.name)\" revises its rows, and \"\(other.name)\" would count "
                            + "each revision; let windows of \"\(stage.name)\" close once"))
            }
        }
    }

    /// True when rows of the main output of a stage get to `origin`, through whatever stages.
    private func comes(_ origin: Origin, from stage: Int) -> Bool {
        guard case .stage(let index, let output) = origin else { return false }
        if index == stage { return output == nil }
        return comes(definition.stages[index].from, from: stage)
    }
}
