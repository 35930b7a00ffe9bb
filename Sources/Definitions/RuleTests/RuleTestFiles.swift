package import Connecting
package import Scripting

/// The `*.test.yaml` files of a pipeline folder.
package enum RuleTestFiles {
    /// Those below `rules/`, sorted by path.
    package static func all(in folder: String) -> [RuleSet.File] {
        paths(below: "rules", of: folder, ending: ".test.yaml").map {
            RuleSet.File(path: $0, bytes: readFile(folder + "/" + $0) ?? [])
        }
    }

    /// A test file as values, or what is wrong with it.
    package static func read(
        _ file: RuleSet.File, for plan: Plan
    ) -> (file: RuleTestFile?, findings: [Diagnostic]) {
        if file.bytes.isEmpty, let problem = fileProblem(plan.definition.folder + "/" + file.path) {
            let start = Location(file: file.path, line: 1, column: 1)
            return (nil, [Diagnostic(at: start, "the file \(problem)")])
        }
        let rules = paths(below: "rules", of: plan.definition.folder, ending: ".lua")
        var reader = RuleTestReader(
            path: file.path, lookups: plan.definition.lookups.map(\.name),
            ruleNames: rules.map { String($0.dropFirst("rules/".count)) },
            isRule: { script($0, for: plan) != nil })
        let read = reader.read(file.bytes)
        return (read, reader.findings)
    }

    /// A rule file of the rule set, or else of the folder.
    package static func script(_ path: String, for plan: Plan) -> RuleSet.File? {
        let bytes =
            plan.ruleSet.bytes(of: path) ?? readFile(resolve(path, in: plan.definition.folder))
        return bytes.map { RuleSet.File(path: path, bytes: $0) }
    }

    /// Files below a folder of the pipeline with this ending, sorted.
    package static func paths(below start: String, of folder: String, ending: String) -> [String] {
        var found: [String] = []
        func visit(_ path: String, depth: Int) {
            for name in names(in: folder + "/" + path) {
                let inner = path + "/" + name
                if isFolder(folder + "/" + inner) {
                    if depth < 8 { visit(inner, depth: depth + 1) }
                } else if name.hasSuffix(ending) {
                    found.append(inner)
                }
            }
        }
        visit(start, depth: 0)
        return found.sorted()
    }
}
