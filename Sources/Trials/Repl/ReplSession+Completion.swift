internal import Definitions
internal import Engine
internal import Records
internal import Scripting

extension ReplSession {
    /// How the word that a line ends with may go on: whole words, sorted.
    package func completions(of line: String) -> [String] {
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        let word = String(words.last ?? "")
        if line.hasPrefix(":") {
            guard words.count > 1 else {
                return match(line, Self.names.map { ":" + $0 })
            }
            switch words[0] {
            case ":run", ":stage": return match(word, plan.definition.stages.map(\.name))
            case ":lookup": return match(word, plan.definition.lookups.map(\.name))
            default: return []
            }
        }
        let start = line.lastIndex { !($0.isLetter || $0.isNumber || "_.:".contains($0)) }
        let name = String(start.map { line[line.index(after: $0)...] } ?? line[...])
        guard let dot = name.lastIndex(where: { $0 == "." || $0 == ":" }) else {
            let globals = RuleAPI.entries.map(\.name).filter { !$0.contains(".") } + ["r", "meta"]
            return match(name, globals)
        }
        let owner = String(name[..<dot])
        let rest = String(name[name.index(after: dot)...])
        let members =
            owner == "r" || owner.hasPrefix("r.")
            ? fields(of: owner)
            : RuleAPI.entries.map(\.name).filter { $0.hasPrefix(owner + ".") }
                .map { String($0.dropFirst(owner.count + 1)) }
        return match(rest, members).map { String(name[...dot]) + $0 }
    }

    private func match(_ start: String, _ words: [String]) -> [String] {
        Set(words.filter { $0.hasPrefix(start) }).sorted()
    }

    /// The fields that the schema knows and those that the current record has.
    private func fields(of path: String) -> [String] {
        let names = path.split(separator: ".").dropFirst().map(String.init)
        var value = current?.value
        let shapes = RecordShapes(plan).ruleInputs
        var shape = shapes.indices.contains(stage) ? shapes[stage] : .open
        for name in names {
            if case .object(let fields)? = value {
                value = Record(fields)[name]
            } else {
                value = .none
            }
            shape = shape.fields[name] ?? .open
        }
        var found = Array(shape.fields.keys)
        if case .object(let fields)? = value { found += fields.map(\.name) }
        return found
    }
}
