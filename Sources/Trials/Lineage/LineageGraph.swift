internal import Connecting
package import Definitions
internal import Engine
package import Records
internal import Scripting
internal import Windowing

/// What a pipeline is made of, and which stage reads and writes which fields, as the files say it.
package struct LineageGraph: Sendable {
    /// A use of a field, and where it stands.
    struct Use: Sendable, Hashable {
        var field: String
        var place: String
        var isWritten: Bool
    }

    /// A stage as far as its text tells.
    struct Node: Sendable {
        var name: String
        /// `schema`, `rule`, `windows` or `native`, or two of them.
        var work: String
        var files: [String]
        var uses: [Use]
        var lookups: [String]
        /// Other fields may be used, too.
        var isIncomplete: Bool
    }

    let definition: Definition
    let nodes: [Node]

    /// Reads the rules of a plan.
    package init(_ plan: Plan) {
        definition = plan.definition
        nodes = plan.definition.stages.map { Self.node($0, plan) }
    }

    private static func node(_ stage: StageDefinition, _ plan: Plan) -> Node {
        var node = Node(
            name: stage.name, work: "native", files: [], uses: [], lookups: stage.lookups,
            isIncomplete: false)
        switch stage.work {
        case .native: node.isIncomplete = true
        case .aggregate(let aggregate):
            node.work = "windows"
            addWindows(aggregate, stage.location, to: &node)
            for file in aggregate.userFiles { addRule(file.path, plan, to: &node) }
        case .files(let schema, let rule):
            node.work = [schema.map { _ in "schema" }, rule.map { _ in "rule" }]
                .compactMap { $0 }.joined(separator: " and ")
            if let schema { addSchema(schema.path, plan, to: &node) }
            if let rule { addRule(rule.path, plan, to: &node) }
        }
        return node
    }

    private static func addRule(_ path: String, _ plan: Plan, to node: inout Node) {
        node.files.append(path)
        let reading = RuleReading(of: plan.ruleSet.bytes(of: path) ?? [])
        node.isIncomplete = node.isIncomplete || reading.isIncomplete
        for use in reading.fields {
            node.uses.append(
                Use(
                    field: use.field, place: "\(path):\(use.line)", isWritten: use.isWritten))
        }
        for (name, _) in reading.lookups where !node.lookups.contains(name) {
            node.lookups.append(name)
        }
        // A module may look into tables, too; it knows nothing of the record's fields.
        for name in reading.modules {
            guard let module = plan.modules.first(where: { $0.name == name }) else { continue }
            let inner = RuleReading(of: plan.ruleSet.bytes(of: module.path) ?? [])
            for (name, _) in inner.lookups where !node.lookups.contains(name) {
                node.lookups.append(name)
            }
        }
    }

    private static func addSchema(_ path: String, _ plan: Plan, to node: inout Node) {
        node.files.append(path)
        let text = plan.ruleSet.bytes(of: path) ?? []
        var reader = JSONReader(text)
        guard case .object(let schema)? = try? reader.readDocument(),
            case .object(let properties)? = Record(schema)["properties"]
        else { return }
        let lines = String(decoding: text, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        for property in properties {
            let word = String(decoding: Value.string(property.name).json, as: UTF8.self)
            let line = lines.firstIndex { $0.contains(word) }.map { $0 + 1 } ?? 1
            node.uses.append(
                Use(field: property.name, place: "\(path):\(line)", isWritten: false))
        }
    }

    private static func addWindows(
        _ aggregate: AggregateStage, _ location: Location, to node: inout Node
    ) {
        let place = "\(location.file):\(location.line)"
        let definition = aggregate.definition
        for name in definition.keys + definition.columns.map(\.field) {
            let use = Use(field: name, place: place, isWritten: false)
            if !node.uses.contains(use) { node.uses.append(use) }
        }
        for (index, compute) in definition.computes.enumerated() {
            let known = aggregate.computeLocations.indices.contains(index)
            let line = known ? aggregate.computeLocations[index].line : location.line
            node.uses.append(
                Use(
                    field: compute.name, place: "\(location.file):\(line)", isWritten: true))
        }
        for name in ["window_start", "window_end"] {
            node.uses.append(Use(field: name, place: place, isWritten: true))
        }
    }

    // MARK: Lines

    /// Nodes and edges as JSON, of the whole or of a stage with its neighbours, or the uses of a
    /// field. Throws when there is neither a stage nor a field of that name.
    package func records(about name: String?) throws(PipelineError) -> [Record] {
        guard let name else { return nodeRecords + edgeRecords }
        guard let index = nodes.firstIndex(where: { $0.name == name }) else {
            let found = uses(of: name)
            guard !found.isEmpty else { throw unknown(name) }
            return found
        }
        let id = "stage \(name)"
        let edges = edgeRecords.filter { $0["from"]?.text == id || $0["to"]?.text == id }
        let near = Set(edges.flatMap { [$0["from"]?.text ?? "", $0["to"]?.text ?? ""] })
        let others = nodeRecords.filter { node in
            let known = node["id"]?.text ?? ""
            return known != id && near.contains(known)
        }
        return [record(of: nodes[index])] + useRecords(of: nodes[index]) { _ in true } + others
            + edges
    }

    private func unknown(_ name: String) -> PipelineError {
        let fields = Set(nodes.flatMap(\.uses).map(\.field)).sorted()
        let hint = suggestion(for: name, among: nodes.map(\.name) + fields)
        return PipelineError(
            exitCode: 1,
            "error: there is no stage \"\(name)\", and no rule, schema or window names such a "
                + "field\(hint)")
    }

    /// The field itself, what is in it, and what it is in.
    private func uses(of name: String) -> [Record] {
        func isMeant(_ field: String) -> Bool {
            field == name || field.hasPrefix(name + ".") || name.hasPrefix(field + ".")
        }
        var found: [Record] = []
        for (field, place) in [(definition.key, "key"), (definition.time?.field, "time")] {
            guard let field, isMeant(field) else { continue }
            found.append(Self.use("(pipeline)", field, "read", "pipeline.yaml (\(place))"))
        }
        return found + nodes.flatMap { useRecords(of: $0) { isMeant($0.field) } }
    }

    private static func use(
        _ stage: String, _ field: String, _ access: String, _ place: String
    ) -> Record {
        Record([
            Field("what", "use"), Field("stage", .string(stage)), Field("field", .string(field)),
            Field("access", .string(access)), Field("place", .string(place)),
        ])
    }

    private func useRecords(of node: Node, _ isMeant: (Use) -> Bool) -> [Record] {
        node.uses.filter(isMeant).map { use in
            Self.use(node.name, use.field, use.isWritten ? "write" : "read", use.place)
        }
    }

    private func record(of node: Node) -> Record {
        Record([
            Field("what", "node"), Field("id", .string("stage \(node.name)")),
            Field("kind", "stage"), Field("name", .string(node.name)),
            Field("work", .string(node.work)),
            Field("files", .array(node.files.map { .string($0) })),
            Field("reads", names(node, written: false)),
            Field("writes", names(node, written: true)),
            Field("lookups", .array(node.lookups.map { .string($0) })),
            Field("incomplete", .boolean(node.isIncomplete)),
        ])
    }

    private func names(_ node: Node, written: Bool) -> Value {
        var seen: Set<String> = []
        let names = node.uses.filter { $0.isWritten == written }.map(\.field)
        return .array(names.filter { seen.insert($0).inserted }.map { .string($0) })
    }

    private var nodeRecords: [Record] {
        func node(_ kind: String, _ name: String, _ more: [Field] = []) -> Record {
            Record(
                [
                    Field("what", "node"), Field("id", .string("\(kind) \(name)")),
                    Field("kind", .string(kind)), Field("name", .string(name)),
                ] + more)
        }
        return definition.sources.map { source in
            node("source", source.name, source.queue.map { [Field("queue", .string($0))] } ?? [])
        }
            + (definition.origins.contains(.deadLetters)
                ? [node("stream", "dead_letters")] : [])
            + definition.lookups.map { node("lookup", $0.name, [Field("file", .string($0.path))]) }
            + nodes.map(record)
            + definition.sinks.map { sink in
                node("sink", sink.name, sink.queue.map { [Field("queue", .string($0))] } ?? [])
            }
            + definition.handlers.map {
                node("handler", $0.queue, [Field("file", .string($0.script))])
            }
    }

    private var edgeRecords: [Record] {
        var edges: [Record] = []
        func add(_ from: Origin, _ target: String) {
            var output: String?
            var origins = definition.sources.map { "source \($0.name)" }
            switch from {
            case .source: break
            case .deadLetters: origins = ["stream dead_letters"]
            case .stage(let index, let name):
                origins = ["stage \(nodes[index].name)"]
                output = name
            }
            for origin in origins { edges.append(Self.edge(origin, target, output)) }
        }
        for (index, stage) in definition.stages.enumerated() {
            add(stage.from, "stage \(stage.name)")
            for name in nodes[index].lookups {
                edges.append(Self.edge("lookup \(name)", "stage \(stage.name)", nil))
            }
        }
        for sink in definition.sinks { add(sink.from, "sink \(sink.name)") }
        return edges
    }

    private static func edge(_ from: String, _ target: String, _ output: String?) -> Record {
        Record([
            Field("what", "edge"), Field("from", .string(from)), Field("to", .string(target)),
            Field("output", output.map { .string($0) } ?? .null),
        ])
    }
}
