internal import Connecting
internal import Records

/// Reads `tests/NAME.yaml`; everything wrong is reported, and a file with findings is not run.
struct PipelineTestReader {
    private let path: String
    private let definition: Definition
    /// Reads what tests of rules have as well.
    private var common: RuleTestReader
    private var sources: [String] { definition.sources.map(\.name) }
    private var sinks: [String] { definition.sinks.map(\.name) }

    init(_ path: String, _ definition: Definition) {
        self.path = path
        self.definition = definition
        common = RuleTestReader(
            path: path, lookups: definition.lookups.map(\.name), ruleNames: [],
            isRule: { _ in false })
    }

    var findings: [Diagnostic] { common.findings }

    mutating func read(_ bytes: [UInt8]) -> PipelineTestFile? {
        guard let root = common.readRoot(bytes) else { return nil }
        var reader = SettingReader(root, .pipelineTestFile)
        let now = common.readTime(&reader, "now")
        let lookups = common.readLookups(&reader)
        let items = common.readItems(reader.setting("tests"))
        common.findings += reader.finish()
        var file = PipelineTestFile()
        for item in items { file.cases.append(readCase(item, now, lookups)) }
        return findings.isEmpty ? file : nil
    }

    private mutating func report(_ location: Location, _ message: String) {
        common.findings.append(Diagnostic(at: location, message))
    }

    private mutating func readCase(
        _ setting: Setting, _ now: Int64?, _ lookups: [String: LookupRows]
    ) -> PipelineTestCase {
        let earlier = findings.count
        var reader = SettingReader(setting, .pipelineTest)
        let name = reader.string("name") ?? "the test in line \(setting.location.line)"
        var test = PipelineTestCase(name: name, location: setting.location)
        test.now = common.readTime(&reader, "now") ?? now
        test.until = common.readTime(&reader, "until")
        test.lookups = lookups.merging(common.readLookups(&reader)) { $1 }
        if let input = reader.setting("in") { readInputs(input, into: &test) }
        if let out = reader.setting("out") { readRows(out, into: &test) }
        if let parts = reader.setting("contains") {
            for entry in bySink(parts, "contains") {
                test.parts.append(Field(entry.key, entry.value.value))
            }
        }
        if let dead = reader.setting("dead") { test.dead = readDead(dead) }
        let problems = reader.finish()
        if problems.isEmpty, findings.count == earlier, test.rows.isEmpty, test.parts.isEmpty,
            test.dead == nil, case .mapping = setting.content
        {
            report(setting.location, "the test expects nothing: give it out, contains or dead")
        }
        common.findings += problems
        return test
    }

    // MARK: What goes in

    private mutating func readInputs(_ setting: Setting, into test: inout PipelineTestCase) {
        if case .mapping(let entries) = setting.content, fileName(setting) == nil {
            for entry in entries {
                guard sources.contains(entry.key) else {
                    let hint = suggestion(for: entry.key, among: sources)
                    report(entry.location, "there is no source \"\(entry.key)\"\(hint)")
                    continue
                }
                test.inputs[entry.key] = readInput(entry.value)
            }
            return
        }
        guard let only = sources.first, sources.count == 1 else {
            let names = sources.joined(separator: ", ")
            return report(setting.location, "\"in\" must map sources to records: \(names)")
        }
        test.inputs[only] = readInput(setting)
    }

    private mutating func readInput(_ setting: Setting) -> PipelineTestInput? {
        if let name = fileName(setting) { return readFileName(name, at: setting.location) }
        guard case .sequence(let items) = setting.content else {
            return .records([common.readInput(setting)])
        }
        return .records(items.map { common.readInput($0) })
    }

    /// The name in `{file: NAME}` or in a text that is no record.
    private func fileName(_ setting: Setting) -> String? {
        switch setting.content {
        case .scalar(let text, _) where !text.hasPrefix("{"): return text
        case .mapping(let entries) where entries.count == 1 && entries[0].key == "file":
            if sources.contains("file") { return nil }
            if case .scalar(let text, _) = entries[0].value.content { return text }
            return nil
        default: return nil
        }
    }

    private mutating func readFileName(
        _ name: String, at location: Location
    ) -> PipelineTestInput? {
        let beside = path.split(separator: "/").dropLast().map { $0 + "/" }.joined() + name
        for candidate in [beside, name] {
            let full = resolve(candidate, in: definition.folder)
            guard exists(full) else { continue }
            if let problem = fileProblem(full) {
                report(location, "\(candidate): \(problem)")
                return nil
            }
            return .file(candidate)
        }
        report(location, "\(name): no such file in the folder, nor beside the test")
        return nil
    }

    // MARK: What comes out

    private mutating func readRows(_ setting: Setting, into test: inout PipelineTestCase) {
        if case .sequence = setting.content {
            let names = definition.sinks.filter { $0.from != .deadLetters }.map(\.name)
            guard names.count == 1 else {
                return report(
                    setting.location,
                    "\"out\" must map sinks to rows: \(names.joined(separator: ", "))")
            }
            test.rows.append(Field(names[0], setting.value))
            return
        }
        for entry in bySink(setting, "out") {
            if case .mapping(let inner) = entry.value.content, inner.count == 1,
                inner[0].key == "contains"
            {
                test.parts.append(Field(entry.key, inner[0].value.value))
            } else {
                test.rows.append(Field(entry.key, entry.value.value))
            }
        }
    }

    private mutating func bySink(_ setting: Setting, _ key: String) -> [Setting.Entry] {
        guard case .mapping(let entries) = setting.content else {
            report(
                setting.location,
                "\"\(key)\" must map sinks to rows: \(sinks.joined(separator: ", "))")
            return []
        }
        for entry in entries where !sinks.contains(entry.key) {
            let hint = suggestion(for: entry.key, among: sinks)
            report(entry.location, "there is no sink \"\(entry.key)\"\(hint)")
        }
        return entries
    }

    private mutating func readDead(_ setting: Setting) -> Value? {
        switch setting.value {
        case .integer(let count) where count >= 0: return .integer(count)
        case .object: return .array([setting.value])
        case .array(let items):
            for case let item in items {
                if case .object = item { continue }
                report(setting.location, "each item of \"dead\" must be a mapping of fields")
                return nil
            }
            return setting.value
        default:
            report(setting.location, "\"dead\" must be a number of letters, or a list of them")
            return nil
        }
    }
}
