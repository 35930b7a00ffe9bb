package import Definitions
internal import Engine
internal import Records

extension LineageGraph {
    /// The whole as a tree, or what is known about a stage or a field. Throws when there is none of
    /// that name.
    package func text(about name: String?) throws(PipelineError) -> [String] {
        guard let name else { return tree }
        let lines = try records(about: name)
        guard let node = lines.first(where: { $0["kind"] == "stage" && $0["name"]?.text == name })
        else { return table(of: lines) }
        var text = [title(of: node)]
        for line in lines where line["what"] == "edge" {
            let isIncoming = line["to"]?.text == "stage \(name)"
            let output = line["output"] == .null ? "" : " (\(line["output"]?.text ?? ""))"
            text.append(
                isIncoming
                    ? "  from \(line["from"]?.text ?? "")\(output)"
                    : "  to \(line["to"]?.text ?? "")\(output)")
        }
        return text + table(of: lines).map { "  " + $0 }
    }

    private func table(of lines: [Record]) -> [String] {
        let uses = lines.filter { $0["what"] == "use" }
        guard !uses.isEmpty else { return [] }
        let names = ["stage", "access", "field", "place"]
        return LookTables.table(
            [["STAGE", "ACCESS", "FIELD", "PLACE"]]
                + uses.map { use in names.map { use[$0]?.text ?? "" } }, right: 0..<0)
    }

    private func title(of node: Record) -> String {
        var title = node["name"]?.text ?? ""
        for (label, name) in [
            ("", "files"), ("reads", "reads"), ("writes", "writes"), ("lookups", "lookups"),
        ] {
            guard case .array(let items)? = node[name], !items.isEmpty else { continue }
            let list = items.map(\.text).joined(separator: ", ")
            title += label.isEmpty ? " (\(list))" : "; \(label) \(list)"
        }
        if node["incomplete"] == true { title += "; and fields that only the run can tell" }
        return title
    }

    // MARK: The tree

    private struct Branch {
        var text: String
        var children: [Branch]
    }

    private var tree: [String] {
        let sources = definition.sources.map(\.name).joined(separator: ", ")
        var roots = [Branch(text: "source \(sources)", children: children(of: .source, nil))]
        let letters = children(of: .deadLetters, nil)
        if !letters.isEmpty { roots.append(Branch(text: "dead letters", children: letters)) }
        for handler in definition.handlers {
            roots.append(Branch(text: "queue \(handler.queue) (\(handler.script))", children: []))
        }
        return roots.flatMap { [$0.text] + lines($0.children, indent: "") }
    }

    /// Who takes an output; named outputs of a stage follow its main one.
    private func children(of origin: Origin, _ label: String?) -> [Branch] {
        let prefix = label.map { "\($0): " } ?? ""
        var branches: [Branch] = []
        for (index, stage) in definition.stages.enumerated() where stage.from == origin {
            let record = (try? records(about: stage.name))?.first ?? Record()
            var inner = children(of: .stage(index, output: nil), nil)
            for name in outputs(of: index) {
                inner += children(of: .stage(index, output: name), name)
            }
            branches.append(Branch(text: prefix + title(of: record), children: inner))
        }
        for sink in definition.sinks where sink.from == origin {
            let what = sink.queue.map { "queue \($0)" } ?? "sink \(sink.name)"
            branches.append(Branch(text: prefix + what, children: []))
        }
        return branches
    }

    /// The named outputs of a stage that somebody takes.
    private func outputs(of stage: Int) -> [String] {
        var names: [String] = []
        for origin in definition.origins {
            if case .stage(stage, .some(let name)) = origin, !names.contains(name) {
                names.append(name)
            }
        }
        return names
    }

    private func lines(_ branches: [Branch], indent: String) -> [String] {
        branches.enumerated().flatMap { index, branch in
            let isLast = index == branches.count - 1
            return [indent + (isLast ? "└─ " : "├─ ") + branch.text]
                + lines(branch.children, indent: indent + (isLast ? "   " : "│  "))
        }
    }
}
