/// Takes a mapping apart by the specification of its section, and remembers everything that is
/// wrong with it.
///
/// Only declared keys can be read, each in the form it is declared in; whoever has read a mapping
/// and calls `finish` must have asked for all of them.
public struct SettingReader {
    private let what: String
    private let section: SectionSpecification
    private let entries: [Setting.Entry]
    private let location: Location
    private let isMapping: Bool
    private var findings: [Diagnostic] = []
    private var needed: [String] = []
    /// Which of the declared keys were asked for.
    private var asked: [Bool]

    /// Reads `setting`, which should be a mapping; `what` names it in findings, if it is not the
    /// name of the section.
    public init(_ setting: Setting, _ section: SectionSpecification, what: String? = nil) {
        self.section = section
        asked = Array(repeating: false, count: section.keys.count)
        self.what = what ?? section.name
        location = setting.location
        switch setting.content {
        case .mapping(let entries):
            self.entries = entries
            isMapping = true
        case .null:
            entries = []
            isMapping = true
        default:
            entries = []
            isMapping = false
            findings.append(
                Diagnostic(at: setting.location, "\(self.what) must be a mapping of keys"))
        }
    }

    /// All keys in the order of the file.
    public var keys: [String] { entries.map(\.key) }

    /// True when the key is there; asking does not count as reading it.
    public func isPresent(_ key: String) -> Bool { entries.contains { $0.key == key } }

    /// Where the key's value stands, or the mapping itself when it is missing.
    public func location(of key: String) -> Location {
        entries.first { $0.key == key }?.value.location ?? location
    }

    /// Where the key itself stands, or the mapping when it is missing.
    public func keyLocation(of key: String) -> Location {
        entries.first { $0.key == key }?.location ?? location
    }

    /// Reports something about a key's value.
    public mutating func report(_ key: String, _ message: String) {
        findings.append(Diagnostic(at: location(of: key), message))
    }

    /// Reports something about the key itself.
    public mutating func reportKey(_ key: String, _ message: String) {
        findings.append(Diagnostic(at: keyLocation(of: key), message))
    }

    /// Adds what was found in a part of the mapping.
    public mutating func add(_ finding: Diagnostic) { findings.append(finding) }

    /// Reports the key when it is missing, though it is not declared as required.
    public mutating func require(_ key: String) { needed.append(key) }

    /// The value of a key as it is.
    public mutating func setting(_ key: String) -> Setting? {
        _ = declared(key)
        return entries.first { $0.key == key }?.value
    }

    /// The specification of a key, which counts as read from here on.
    mutating func declared(_ key: String) -> KeySpecification {
        guard let index = section.index(of: key) else {
            preconditionFailure("\(section.name) does not declare the key \"\(key)\"")
        }
        asked[index] = true
        return section.keys[index]
    }

    /// Adds what the rules of the section say, unknown keys and missing ones; returns everything
    /// found.
    public func finish() -> [Diagnostic] {
        assert(
            asked.allSatisfy { $0 },
            "nobody reads the key \(section.keys[asked.firstIndex(of: false) ?? 0].name) of \(what)"
        )
        var all = findings + brokenRules()
        let known = section.keys.map(\.name)
        var meant: [String] = []
        for entry in entries where !known.contains(entry.key) {
            let hint = suggestion(for: entry.key, among: known)
            if let key = closest(to: entry.key, among: known) { meant.append(key) }
            all.append(
                Diagnostic(at: entry.location, "unknown key \"\(entry.key)\" in \(what)\(hint)"))
        }
        guard isMapping else { return all }
        // A misspelt key is one mistake, so the one it stands for is not missing as well.
        let required = section.keys.filter(\.isRequired).map(\.name) + needed
        for key in required where !isPresent(key) && !meant.contains(key) {
            all.append(Diagnostic(at: location, "\(what) needs the key \"\(key)\""))
        }
        return all
    }

    /// What the rules find that have words of their own; others are reported by who reads.
    private func brokenRules() -> [Diagnostic] {
        var found: [Diagnostic] = []
        func report(_ key: String, _ message: String) {
            found.append(Diagnostic(at: keyLocation(of: key), message))
        }
        for rule in section.rules {
            switch rule {
            case .atMostOne(let keys, let owner):
                let present = keys.filter(isPresent)
                if present.count > 1 {
                    report(present[1], "\(owner) has one of \(keys.joined(separator: ", "))")
                }
            case .needs(let key, let other):
                if isPresent(key), !isPresent(other) {
                    report(key, "\"\(key)\" goes with \(other)")
                }
            case .needsTrue(let key, let flag, let why):
                guard isPresent(key) else { continue }
                if case .scalar("true", quoted: false)? = value(of: flag)?.content { continue }
                report(key, "\"\(key)\" needs \"\(flag): true\": \(why)")
            case .excludes(let key, let others):
                guard isPresent(key) else { continue }
                for other in others where isPresent(other) {
                    report(other, "\"\(other)\" does not go with \(key)")
                }
            case .exactlyOne, .atLeastOne, .none, .either: continue
            }
        }
        return found
    }

    /// The value of a key, which does not count as read by this.
    private func value(of key: String) -> Setting? { entries.first { $0.key == key }?.value }
}
