internal import Connecting

/// The sections `stages` and `sinks`.
extension DefinitionReader {
    private static let kinds = SectionSpecification.stage.alternatives

    mutating func readStages(_ setting: Setting?) {
        guard let setting else { return }
        guard case .sequence(let items) = setting.content else {
            findings.append(Diagnostic(at: setting.location, "\"stages\" must be a list"))
            return
        }
        // A record goes through a chain of stages in one call, for which the stack has room.
        guard items.count <= 1000 else {
            let message = "\(items.count) stages; a pipeline can have 1,000 at most"
            findings.append(Diagnostic(at: setting.location, message))
            return
        }
        stageNames = items.compactMap(Self.name)
        for item in items { readStage(item) }
    }

    private static func name(of stage: Setting) -> String? {
        guard case .mapping(let entries) = stage.content,
            case .scalar(let name, _) = entries.first(where: { $0.key == "name" })?.value.content
        else { return nil }
        return name
    }

    private mutating func readStage(_ setting: Setting) {
        guard case .mapping = setting.content else {
            let example = "{name: shape, transform: rules/shape.lua}"
            findings.append(
                Diagnostic(at: setting.location, "a stage must be a mapping, such as \(example)"))
            return
        }
        var reader = SettingReader(setting, .stage)
        let name = reader.string("name")
        if let name { checkStageName(name, at: reader.location(of: "name")) }
        let from = origin(of: &reader, default: definition.stages.count - 1)
        let budget = reader.nanoseconds("budget") ?? StageDefinition.usualBudgetNanoseconds
        let lookups = readLookupNames(&reader)
        let work = readWork(&reader)
        findings += reader.finish()
        definition.stages.append(
            StageDefinition(
                name: name ?? "?\(definition.stages.count)", work: work, from: from,
                fromLocation: reader.location(of: "from"), budgetNanoseconds: budget,
                lookups: lookups, location: setting.location))
    }

    private mutating func readLookupNames(_ reader: inout SettingReader) -> [String] {
        guard let names = reader.strings("lookups"), let setting = reader.setting("lookups")
        else { return [] }
        var places = [setting]
        if case .sequence(let items) = setting.content { places = items }
        for place in places {
            guard case .scalar(let name, _) = place.content, !name.isEmpty,
                !declaredLookups.contains(name)
            else { continue }
            let hint = suggestion(for: name, among: declaredLookups)
            findings.append(
                Diagnostic(at: place.location, "there is no lookup \"\(name)\"\(hint)"))
        }
        return names
    }

    private mutating func checkStageName(_ name: String, at location: Location) {
        checkName(name, at: location)
        if definition.stages.contains(where: { $0.name == name }) {
            findings.append(Diagnostic(at: location, "there is already a stage \"\(name)\""))
        }
        if sourceNames.contains(name) {
            findings.append(Diagnostic(at: location, "there is already a source \"\(name)\""))
        }
    }

    private mutating func readWork(_ reader: inout SettingReader) -> StageWork {
        let present = Self.kinds.filter { reader.isPresent($0) }
        if present.count > 1 {
            reader.reportKey(present[1], "a stage has one of \(Self.kinds.joined(separator: ", "))")
        }
        if present.isEmpty {
            // An unknown key is reported by itself, and most probably was meant to be the work.
            let known = SectionSpecification.stage.keys.map(\.name)
            if reader.keys.allSatisfy(known.contains) {
                findings.append(
                    Diagnostic(
                        at: reader.location(of: "name"),
                        "the stage does nothing: it needs \(Self.kinds.joined(separator: ", "))"))
            }
        }
        var work = StageWork.files(schema: nil, rule: nil)
        for kind in Self.kinds {
            guard let value = reader.setting(kind) else { continue }
            if kind == "validate" {
                work = readValidate(value)
            } else if kind == "aggregate" {
                work = readAggregate(value)
            } else if let path = reader.string(kind) {
                checkFile(path, at: value.location)
                work = .files(
                    schema: nil, rule: FileReference(path: path, location: value.location))
            }
        }
        return work
    }

    private mutating func readValidate(_ setting: Setting) -> StageWork {
        var reader = SettingReader(setting, .validate)
        var schema: FileReference?
        var rule: FileReference?
        if let path = reader.string("schema") {
            schema = FileReference(path: path, location: reader.location(of: "schema"))
            checkFile(path, at: reader.location(of: "schema"))
        }
        if let path = reader.string("rules") {
            rule = FileReference(path: path, location: reader.location(of: "rules"))
            checkFile(path, at: reader.location(of: "rules"))
        }
        if reader.keys.isEmpty, reader.finish().isEmpty {
            findings.append(
                Diagnostic(at: setting.location, "validate needs a schema, rules, or both"))
        }
        findings += reader.finish()
        return .files(schema: schema, rule: rule)
    }

    /// Reads `from`; without it the stage written before is meant, or the source.
    private mutating func origin(of reader: inout SettingReader, default index: Int) -> Origin {
        guard let text = reader.string("from") else {
            return index < 0 ? .source : .stage(index, output: nil)
        }
        if text == "source" { return .source }
        if text == "dead_letters" { return .deadLetters }
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            .map(String.init)
        if parts.count > 1, !isName(parts[1]) {
            reader.report("from", "\"\(text)\" must be STAGE or STAGE.OUTPUT")
            return .source
        }
        if let stage = definition.stages.firstIndex(where: { $0.name == parts[0] }) {
            let output = parts.count > 1 ? parts[1] : nil
            if let output, let problem = definition.stages[stage].problem(ofOutput: output) {
                reader.report("from", problem)
            }
            return .stage(stage, output: output)
        }
        reader.report("from", unknownOrigin(parts[0]))
        return .source
    }

    private func unknownOrigin(_ name: String) -> String {
        if Definition.reservedNames.contains(name) { return "\"\(name)\" has no named outputs" }
        let problem = "there is no stage \"\(name)\" before this"
        if stageNames.contains(name) { return problem + "; stages run in the order written" }
        let names = definition.stages.map(\.name) + Definition.reservedNames
        return problem + suggestion(for: name, among: names)
    }

    mutating func readSinks(_ setting: Setting?, in root: inout SettingReader) {
        guard let setting else {
            root.require("sinks")
            return
        }
        guard case .sequence(let items) = setting.content, !items.isEmpty else {
            findings.append(
                Diagnostic(at: setting.location, "\"sinks\" must be a list of at least one sink"))
            return
        }
        for item in items { readSink(item) }
    }

    private mutating func readSink(_ setting: Setting) {
        let entry = connector(setting, sinkSection)
        var reader = SettingReader(setting, sinkSection)
        for kind in sinkSection.alternatives { _ = reader.setting(kind) }
        let from = origin(of: &reader, default: lastMainStage())
        let name = reader.string("name") ?? reader.string("from") ?? describe(from)
        let isNamed = reader.isPresent("name")
        if definition.sinks.contains(where: { $0.name == name }) {
            reader.report(
                isNamed ? "name" : "from",
                "there is already a sink \"\(name)\"; give this one a name of its own")
        }
        // Unknown keys were reported by `connector`, so only the rest counts here.
        findings += reader.finish().filter { !$0.message.hasPrefix("unknown key") }
        if let entry, entry.key == "queue", let queue = queueName(entry, isSink: true) {
            var sink = SinkDefinition(
                name: name, from: from, fromLocation: reader.location(of: "from"),
                open: { (_: RunContext) throws(ConnectorError) -> OpenedSink in
                    throw ConnectorError.queueNeedsStore
                })
            sink.queue = queue
            definition.sinks.append(sink)
        }
        guard let entry, let kind = catalogue.sinks.first(where: { $0.name == entry.key }) else {
            return
        }
        checkPath(entry)
        if let open = kind.open(entry.value, &findings) {
            var sink = SinkDefinition(
                name: name, from: from, fromLocation: reader.location(of: "from"),
                isAppendOnly: kind.isAppendOnly && !Self.isUpsert(entry.value), open: open)
            sink.outbox = kind.outbox(entry.value)
            definition.sinks.append(sink)
        }
    }

    /// The queue that a source or sink names.
    mutating func queueName(_ entry: Setting.Entry, isSink: Bool) -> String? {
        if case .scalar(let text, _) = entry.value.content, isName(text, others: [0x2D, 0x2E]) {
            namedQueues.append((text, entry.value.location, isSink))
            return text
        }
        findings.append(
            Diagnostic(at: entry.value.location, "\"queue\" must be the name of a queue"))
        return nil
    }

    /// The last stage that does not work on dead letters.
    private func lastMainStage() -> Int {
        var index = definition.stages.count - 1
        while index >= 0, startsAtDeadLetters(index) { index -= 1 }
        return index
    }

    private func startsAtDeadLetters(_ index: Int) -> Bool {
        switch definition.stages[index].from {
        case .source: false
        case .deadLetters: true
        case .stage(let parent, _): startsAtDeadLetters(parent)
        }
    }

    private func describe(_ origin: Origin) -> String {
        switch origin {
        case .source: "source"
        case .deadLetters: "dead_letters"
        case .stage(let index, let output):
            definition.stages[index].name + (output.map { "." + $0 } ?? "")
        }
    }

    private mutating func checkPath(_ entry: Setting.Entry) {
        guard entry.key == "file", case .mapping(let options) = entry.value.content,
            let path = options.first(where: { $0.key == "path" }),
            case .scalar(let text, _) = path.value.content
        else { return }
        let steps = text.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
        let isNew = sinkPaths.insert(text.hasPrefix("/") ? "/" + steps : steps).inserted
        if !isNew, !text.hasPrefix("/dev/") {
            findings.append(
                Diagnostic(
                    at: path.value.location, "another sink already writes to \"\(text)\""))
        }
    }
}
