internal import Stages

/// The sections `stages` and `sinks`.
extension DefinitionReader {
    private static let kinds = ["validate", "transform", "enrich", "route"]

    mutating func readStages(_ setting: Setting?) {
        guard let setting else { return }
        guard case .sequence(let items) = setting.content else {
            findings.append(Diagnostic(at: setting.location, "\"stages\" must be a list"))
            return
        }
        for item in items { readStage(item) }
    }

    private mutating func readStage(_ setting: Setting) {
        var reader = SettingReader(setting, what: "stage")
        reader.require("name")
        let name = reader.string("name")
        if let name { checkName(name, at: reader.location(of: "name")) }
        let from = origin(of: &reader, default: definition.stages.count - 1)
        let budget = reader.nanoseconds("budget") ?? 100_000_000
        if budget > 60_000_000_000 { reader.report("budget", "\"budget\" can be 60s at most") }
        checkLookups(&reader)
        let work = readWork(&reader)
        if reader.setting("aggregate") != nil {
            reader.reportKey("aggregate", "\"aggregate\" is not in this version yet")
        }
        findings += reader.finish()
        definition.stages.append(
            StageDefinition(
                name: name ?? "?\(definition.stages.count)", work: work, from: from,
                fromLocation: reader.location(of: "from"), budgetNanoseconds: budget,
                location: setting.location))
    }

    private mutating func checkLookups(_ reader: inout SettingReader) {
        for name in reader.strings("lookups") ?? []
        where !definition.lookups.contains(where: { $0.name == name }) {
            let hint = suggestion(for: name, among: definition.lookups.map(\.name))
            reader.report("lookups", "there is no lookup \"\(name)\"\(hint)")
        }
    }

    private mutating func checkName(_ name: String, at location: Location) {
        let isWord = name.utf8.allSatisfy { byte in
            (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39)
                || byte == 0x5F || byte == 0x2D
        }
        let startsWell = name.utf8.first.map { !($0 >= 0x30 && $0 <= 0x39) && $0 != 0x2D } ?? false
        if !isWord || !startsWell {
            findings.append(
                Diagnostic(at: location, "\"\(name)\": a name has letters, digits, _ and -"))
        }
        if ["source", "dead_letters"].contains(name) {
            findings.append(Diagnostic(at: location, "\"\(name)\" is the engine's own name"))
        }
        if definition.stages.contains(where: { $0.name == name }) {
            findings.append(Diagnostic(at: location, "there is already a stage \"\(name)\""))
        }
    }

    private mutating func readWork(_ reader: inout SettingReader) -> StageWork {
        let present = Self.kinds.filter { reader.isPresent($0) }
        if present.count > 1 {
            reader.reportKey(present[1], "a stage has one of \(Self.kinds.joined(separator: ", "))")
        }
        if present.isEmpty, !reader.isPresent("aggregate") {
            let hints = reader.keys.compactMap { closest(to: $0, among: Self.kinds) }
            if hints.isEmpty {
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
            } else if let path = reader.string(kind) {
                checkFile(path, at: value.location)
                work = .files(
                    schema: nil, rule: FileReference(path: path, location: value.location))
            }
        }
        return work
    }

    private mutating func readValidate(_ setting: Setting) -> StageWork {
        var reader = SettingReader(setting, what: "validate")
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
        if !reader.isPresent("schema"), !reader.isPresent("rules") {
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
        let parts = text.split(separator: ".", maxSplits: 1).map(String.init)
        if let stage = definition.stages.firstIndex(where: { $0.name == parts[0] }) {
            return .stage(stage, output: parts.count > 1 ? parts[1] : nil)
        }
        let names = definition.stages.map(\.name) + ["source", "dead_letters"]
        reader.report(
            "from",
            "there is no stage \"\(parts[0])\" before this"
                + suggestion(for: parts[0], among: names)
        )
        return .source
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
        let kinds = catalogue.sinks.map(\.name)
        let entry = connector(setting, what: "sink", kinds: kinds, others: ["name", "from"])
        var reader = SettingReader(setting, what: "sink")
        for kind in kinds { _ = reader.setting(kind) }
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
        guard let entry, let kind = catalogue.sinks.first(where: { $0.name == entry.key }) else {
            return
        }
        checkPath(entry)
        if let open = kind.configure(entry.value, &findings) {
            definition.sinks.append(
                SinkDefinition(
                    name: name, from: from, fromLocation: reader.location(of: "from"), open: open))
        }
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
        if sinkPaths.contains(text), !text.hasPrefix("/dev/") {
            findings.append(
                Diagnostic(
                    at: path.value.location, "another sink already writes to \"\(text)\""))
        }
        sinkPaths.append(text)
    }
}
