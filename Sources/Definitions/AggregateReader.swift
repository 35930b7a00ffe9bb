internal import Connecting
internal import Windowing

/// `aggregate:` of a stage.
extension DefinitionReader {
    mutating func readAggregate(_ setting: Setting) -> StageWork {
        var reader = SettingReader(setting, .aggregate)
        let keys = readKeys(&reader)
        var columns = ColumnTable()
        var stage = AggregateStage(
            definition: AggregateDefinition(
                keys: keys, window: .tumbling(size: 1), computes: [], columns: []),
            userFiles: [], location: setting.location,
            windowLocation: reader.location(of: "window"))
        let window = reader.setting("window").flatMap { readWindow($0) }
        if let window { stage.definition.window = window }
        if let compute = reader.setting("compute") {
            readComputes(compute, into: &stage, &columns)
        }
        stage.definition.columns = columns.columns
        readEmission(&reader, into: &stage, window)
        readTimeToLive(&reader, into: &stage, window)
        if reader.isPresent("window"), !hasTime {
            findings.append(
                Diagnostic(
                    at: reader.location(of: "window"),
                    "windows go by the time of records: say where it is, at the top of the file, "
                        + "such as time: {field: created_at}"))
        }
        findings += reader.finish()
        return .aggregate(stage)
    }

    private mutating func readKeys(_ reader: inout SettingReader) -> [String] {
        guard let keys = reader.strings("key"), let setting = reader.setting("key") else {
            return []
        }
        var places = [setting]
        if case .sequence(let items) = setting.content { places = items }
        var seen: Set<String> = []
        for place in places {
            guard case .scalar(let name, _) = place.content, !name.isEmpty else { continue }
            if !seen.insert(name).inserted {
                findings.append(
                    Diagnostic(at: place.location, "the key field \"\(name)\" is given twice"))
            }
            if AggregateStage.reservedNames.contains(name) {
                findings.append(
                    Diagnostic(
                        at: place.location, "rows have a field \"\(name)\" of their own"))
            }
        }
        return keys
    }

    // MARK: Computed fields

    private mutating func readComputes(
        _ setting: Setting, into stage: inout AggregateStage, _ columns: inout ColumnTable
    ) {
        let example = "such as {events: count, total: sum(price)}"
        guard case .mapping(let entries) = setting.content else {
            findings.append(
                Diagnostic(
                    at: setting.location, "\"compute\" must map names to aggregates, \(example)"))
            return
        }
        if entries.isEmpty {
            findings.append(
                Diagnostic(
                    at: setting.location, "\"compute\" must name at least one field, \(example)"))
        }
        var rest = entries[...]
        while let entry = rest.popFirst() {
            checkComputedName(entry, stage)
            if let whole = Self.takeCutOff(from: entry, &rest) {
                findings.append(
                    Diagnostic(
                        at: entry.value.location,
                        "the comma ends this value; put it in quotes: \"\(whole)\""))
            } else if let compute = readCompute(entry, &stage, &columns) {
                stage.definition.computes.append(compute)
                stage.computeLocations.append(entry.location)
            }
        }
    }

    private mutating func checkComputedName(_ entry: Setting.Entry, _ stage: AggregateStage) {
        if entry.key.isEmpty {
            findings.append(Diagnostic(at: entry.location, "a computed field needs a name"))
        } else if stage.definition.keys.contains(entry.key) {
            findings.append(
                Diagnostic(at: entry.location, "\"\(entry.key)\" is already a key field"))
        } else if AggregateStage.reservedNames.contains(entry.key) {
            findings.append(
                Diagnostic(
                    at: entry.location, "rows have a field \"\(entry.key)\" of their own"))
        }
    }

    /// What `{p: quantile(f, 0.9)}` was meant to be: YAML takes `0.9)` for a key without value.
    private static func takeCutOff(
        from entry: Setting.Entry, _ rest: inout ArraySlice<Setting.Entry>
    ) -> String? {
        guard case .scalar(var text, quoted: false) = entry.value.content, isOpen(text) else {
            return nil
        }
        var following = rest
        while isOpen(text), let next = following.popFirst(), case .null = next.value.content {
            text += ", " + next.key
        }
        if isOpen(text) { return nil }
        rest = following
        return text
    }

    /// True when a parenthesis or a quote has no end.
    private static func isOpen(_ text: String) -> Bool {
        text.count { $0 == "(" } > text.count { $0 == ")" }
            || ["'", "\"", "`"].contains { quote in text.count { $0 == quote } % 2 == 1 }
    }

    private mutating func readCompute(
        _ entry: Setting.Entry, _ stage: inout AggregateStage, _ columns: inout ColumnTable
    ) -> ComputeDefinition? {
        let value = entry.value
        switch value.content {
        case .scalar(let text, _):
            return readCompute(entry.key, text, at: value, &stage, &columns)
        case .mapping:
            var reader = SettingReader(value, .compute, what: "compute.\(entry.key)")
            var compute: ComputeDefinition?
            if let text = reader.string("aggregate"), let place = reader.setting("aggregate") {
                compute = readCompute(entry.key, text, at: place, &stage, &columns)
            }
            if let text = reader.string("where"), let place = reader.setting("where") {
                compute?.filter += readConditions(text, at: place, &columns)
            }
            findings += reader.finish()
            return compute
        case .null, .sequence:
            findings.append(
                Diagnostic(
                    at: value.location,
                    "\"\(entry.key)\" must be an aggregate, such as sum(price), or a .lua file"))
            return nil
        }
    }

    private mutating func readCompute(
        _ name: String, _ text: String, at setting: Setting, _ stage: inout AggregateStage,
        _ columns: inout ColumnTable
    ) -> ComputeDefinition? {
        if let (path, conditions) = Self.luaFile(in: text) {
            var filter: [Comparison] = []
            if let conditions {
                let before = text.unicodeScalars.count - conditions.unicodeScalars.count
                filter = readConditions(conditions, at: setting, before: before, &columns)
            }
            return ComputeDefinition(
                name, .user(userFile(path, at: setting.location, &stage)), filter: filter)
        }
        do {
            var parser = try ComputeParser(text)
            let result = try parser.compute(&columns)
            return ComputeDefinition(
                name, result.function, column: result.column, filter: result.filter)
        } catch {
            report(error, at: setting)
            return nil
        }
    }

    /// The path of `rules/x.lua` or `rules/x.lua where CONDITION`, and the condition.
    private static func luaFile(in text: String) -> (path: String, conditions: String?)? {
        if text.hasSuffix(".lua") { return (text, nil) }
        guard let end = text.firstRange(of: ".lua where ") else { return nil }
        let path = text[..<end.lowerBound] + ".lua"
        return (String(path), String(text[end.upperBound...]))
    }

    private mutating func userFile(
        _ path: String, at location: Location, _ stage: inout AggregateStage
    ) -> Int {
        if let index = stage.userFiles.firstIndex(where: { $0.path == path }) { return index }
        checkFile(path, at: location)
        stage.userFiles.append(FileReference(path: path, location: location))
        return stage.userFiles.count - 1
    }

    private mutating func readConditions(
        _ text: String, at setting: Setting, before: Int = 0, _ columns: inout ColumnTable
    ) -> [Comparison] {
        do {
            var parser = try ComputeParser(text)
            return try parser.onlyConditions(&columns)
        } catch {
            report(
                ComputeError(message: error.message, offset: error.offset + before), at: setting)
            return []
        }
    }

    /// Reports a mistake inside a text, at its own column where that is known.
    private mutating func report(_ error: ComputeError, at setting: Setting) {
        var location = setting.location
        if case .scalar(let text, let isQuoted) = setting.content {
            let before = text.unicodeScalars.prefix(error.offset)
            // Escapes and line breaks in quotes take more room in the file than here.
            let isAsWritten = !before.contains { ["\"", "'", "\\", "\n"].contains($0) }
            if isAsWritten || !isQuoted { location.column += error.offset + (isQuoted ? 1 : 0) }
        }
        findings.append(Diagnostic(at: location, error.message))
    }
}
