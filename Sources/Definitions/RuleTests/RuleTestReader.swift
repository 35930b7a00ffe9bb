internal import Connecting
internal import Records
internal import Scripting

/// Reads a test file; everything wrong is reported, and a file with findings is not run.
struct RuleTestReader {
    let path: String
    /// The lookups that `pipeline.yaml` declares; nil when there is no such file.
    let lookups: [String]?
    /// True when a rule file of this path, relative to the folder, can be had.
    let isRule: (String) -> Bool
    /// Names of rule files, for suggestions.
    let ruleNames: [String]
    var findings: [Diagnostic] = []

    init(
        path: String, lookups: [String]?, ruleNames: [String], isRule: @escaping (String) -> Bool
    ) {
        self.path = path
        self.lookups = lookups
        self.ruleNames = ruleNames
        self.isRule = isRule
    }

    mutating func read(_ bytes: [UInt8]) -> RuleTestFile? {
        guard let root = readRoot(bytes) else { return nil }
        var reader = SettingReader(root, .ruleTestFile)
        let rule = readRule(&reader)
        let now = readTime(&reader, "now")
        let lookups = readLookups(&reader)
        let items = readItems(reader.setting("tests"))
        findings += reader.finish()
        let cases = items.map { readCase($0, now: now, lookups: lookups) }
        guard let rule, findings.isEmpty else { return nil }
        return RuleTestFile(path: path, rule: rule, cases: cases)
    }

    /// The file as settings.
    mutating func readRoot(_ bytes: [UInt8]) -> Setting? {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let place = firstBrokenPlace(in: bytes, file: path)
            findings.append(
                Diagnostic(at: place, "the file is not valid UTF-8 from here on"))
            return nil
        }
        var yaml = YAMLReader(file: path)
        let root = yaml.read(text)
        findings += yaml.findings
        return root
    }

    private mutating func readRule(_ reader: inout SettingReader) -> FileReference? {
        guard let name = reader.string("rule") else { return nil }
        let location = reader.location(of: "rule")
        let folder = path.split(separator: "/").dropLast().map { $0 + "/" }.joined()
        for candidate in [folder + name, name] where isRule(candidate) {
            return FileReference(path: candidate, location: location)
        }
        let hint = suggestion(for: name, among: ruleNames)
        findings.append(Diagnostic(at: location, "\(folder + name): no such file\(hint)"))
        return nil
    }

    mutating func readTime(_ reader: inout SettingReader, _ key: String) -> Int64? {
        guard let text = reader.string(key) else { return nil }
        if let time = parseTime(text) { return time }
        reader.report(key, "\"\(key)\" must be a time such as 2026-11-23T15:00:00Z")
        return nil
    }

    mutating func readItems(_ setting: Setting?) -> [Setting] {
        guard let setting else { return [] }
        guard case .sequence(let items) = setting.content, !items.isEmpty else {
            findings.append(
                Diagnostic(at: setting.location, "\"tests\" must be a list of at least one test"))
            return []
        }
        return items
    }

    mutating func readLookups(_ reader: inout SettingReader) -> [String: LookupRows] {
        guard let setting = reader.setting("lookups") else { return [:] }
        guard case .mapping(let entries) = setting.content else {
            findings.append(
                Diagnostic(at: setting.location, "\"lookups\" must map names to lists of rows"))
            return [:]
        }
        var tables: [String: LookupRows] = [:]
        for entry in entries {
            if let lookups, !lookups.contains(entry.key) {
                let hint = suggestion(for: entry.key, among: lookups)
                findings.append(
                    Diagnostic(at: entry.location, "there is no lookup \"\(entry.key)\"\(hint)"))
            }
            guard case .sequence(let items) = entry.value.content else {
                findings.append(
                    Diagnostic(at: entry.value.location, "a lookup must be a list of rows"))
                continue
            }
            let rows = items.compactMap { readRow($0) }
            tables[entry.key] = LookupRows(rows: rows, location: entry.location)
        }
        return tables
    }

    private mutating func readRow(_ setting: Setting) -> Record? {
        if case .object(let fields) = setting.value { return Record(fields) }
        findings.append(Diagnostic(at: setting.location, "a row must be a mapping of fields"))
        return nil
    }

    private mutating func readCase(
        _ setting: Setting, now: Int64?, lookups: [String: LookupRows]
    ) -> RuleTestCase {
        let earlier = findings.count
        var reader = SettingReader(setting, .ruleTest)
        let name = reader.string("name") ?? "the test in line \(setting.location.line)"
        var test = RuleTestCase(name: name, location: setting.location)
        if case .mapping(let entries) = setting.content { test.entries = entries }
        test.now = readTime(&reader, "now") ?? now ?? RuleTestCase.usualTime
        test.until = readTime(&reader, "until")
        test.lookups = lookups.merging(readLookups(&reader)) { $1 }
        if let input = reader.setting("in") { test.inputs = readInputs(input) }
        test.expected = readExpectation(&reader)
        let problems = reader.finish()
        if problems.isEmpty, findings.count == earlier, test.expected.isEmpty,
            case .mapping = setting.content
        {
            let keys = "out, contains, dropped, routed, outputs, error or state"
            findings.append(
                Diagnostic(at: setting.location, "the test expects nothing: give it \(keys)"))
        }
        findings += problems
        return test
    }

    private mutating func readExpectation(_ reader: inout SettingReader) -> RuleTestExpectation {
        var expected = RuleTestExpectation()
        expected.out = reader.setting("out")?.value
        expected.contains = reader.setting("contains")?.value
        expected.dropped = reader.string("dropped")
        expected.routed = reader.string("routed")
        expected.error = reader.string("error")
        if let outputs = reader.setting("outputs") {
            expected.outputs = readFields(outputs, "\"outputs\" must map outputs to rows")
        }
        guard let state = reader.setting("state") else { return expected }
        var inner = SettingReader(state, .ruleTestState)
        let rule = "must map keys to values"
        if let before = inner.setting("before") {
            expected.stateBefore = readFields(before, "\"before\" \(rule)")
        }
        if let after = inner.setting("after") {
            expected.stateAfter = readFields(after, "\"after\" \(rule)")
        }
        findings += inner.finish()
        return expected
    }

    private mutating func readFields(_ setting: Setting, _ problem: String) -> [Field] {
        switch setting.value {
        case .object(let fields): return fields
        case .null: return []
        default:
            findings.append(Diagnostic(at: setting.location, problem))
            return []
        }
    }

    private mutating func readInputs(_ setting: Setting) -> [[UInt8]] {
        guard case .sequence(let items) = setting.content else { return [readInput(setting)] }
        return items.map { readInput($0) }
    }

    /// A record as a mapping, or its JSON text in quotes.
    mutating func readInput(_ setting: Setting) -> [UInt8] {
        switch setting.content {
        case .mapping: return setting.value.json
        case .scalar(let text, _) where text.hasPrefix("{"):
            // One line each: what stands between quotes cannot hold a line break anyway.
            return text.utf8.map { $0 == 0x0A ? 0x20 : $0 }
        default:
            findings.append(
                Diagnostic(
                    at: setting.location, "a record must be a mapping, or its JSON text in quotes"))
            return []
        }
    }
}
