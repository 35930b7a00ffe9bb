/// Takes a mapping apart, key by key, and remembers everything that is wrong with it.
public struct SettingReader {
    private let what: String
    private let entries: [Setting.Entry]
    private let location: Location
    private let isMapping: Bool
    private var known: [String] = []
    private var missing: [String] = []
    private var findings: [Diagnostic] = []

    /// Reads `setting`, which should be a mapping; `what` names it in messages.
    public init(_ setting: Setting, what: String) {
        self.what = what
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
            findings.append(Diagnostic(at: setting.location, "\(what) must be a mapping of keys"))
        }
    }

    /// All keys in the order of the file.
    public var keys: [String] { entries.map(\.key) }

    /// True when the key is there; does not make it known.
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

    /// Reports the key when it is missing from a mapping.
    public mutating func require(_ key: String) {
        if !known.contains(key) { known.append(key) }
        if isMapping, !isPresent(key) { missing.append(key) }
    }

    /// The value of a key as it is.
    public mutating func setting(_ key: String) -> Setting? {
        if !known.contains(key) { known.append(key) }
        return entries.first { $0.key == key }?.value
    }

    /// A text, or a plain scalar taken as one.
    public mutating func string(_ key: String) -> String? {
        guard let value = setting(key) else { return nil }
        guard case .scalar(let text, _) = value.content, !text.isEmpty else {
            report(key, "\"\(key)\" must be a text that is not empty")
            return nil
        }
        return text
    }

    /// A text or a list of texts.
    public mutating func strings(_ key: String) -> [String]? {
        guard let value = setting(key) else { return nil }
        if case .sequence(let items) = value.content {
            var texts: [String] = []
            for item in items {
                if case .scalar(let text, _) = item.content, !text.isEmpty {
                    texts.append(text)
                } else {
                    findings.append(Diagnostic(at: item.location, "must be a text"))
                }
            }
            if items.isEmpty { report(key, "\"\(key)\" must not be an empty list") }
            return texts
        }
        return string(key).map { [$0] }
    }

    /// `true` or `false`.
    public mutating func bool(_ key: String) -> Bool? {
        guard let value = setting(key) else { return nil }
        if case .scalar(let text, quoted: false) = value.content {
            if text == "true" { return true }
            if text == "false" { return false }
        }
        report(key, "\"\(key)\" must be true or false")
        return nil
    }

    /// A whole number within bounds.
    public mutating func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = setting(key) else { return nil }
        if case .scalar(let text, quoted: false) = value.content, let number = Int(text),
            range.contains(number)
        {
            return number
        }
        let upper = range.upperBound == Int.max ? "" : " to \(range.upperBound)"
        report(key, "\"\(key)\" must be a whole number from \(range.lowerBound)\(upper)")
        return nil
    }

    /// A duration above zero, or of zero where that means something, in nanoseconds.
    public mutating func nanoseconds(_ key: String, allowsZero: Bool = false) -> Int64? {
        let wanted = allowsZero ? "a duration" : "a duration above zero"
        return quantity(key, "\(wanted), such as 500ms, 2s or 10m", allowsZero, parseDuration)
    }

    /// A duration in whole milliseconds, as event time has it.
    public mutating func milliseconds(_ key: String, allowsZero: Bool = false) -> Int64? {
        guard let nanoseconds = nanoseconds(key, allowsZero: allowsZero) else { return nil }
        if nanoseconds % 1_000_000 == 0 { return nanoseconds / 1_000_000 }
        report(key, "\"\(key)\" must be whole milliseconds, such as 500ms, 2s or 10m")
        return nil
    }

    /// A size above zero, in bytes.
    public mutating func bytes(_ key: String) -> Int? {
        quantity(key, "a size above zero, such as 64KiB or 16MiB", false, parseByteSize).map(
            Int.init)
    }

    private mutating func quantity(
        _ key: String, _ wanted: String, _ allowsZero: Bool, _ parse: (String) -> Int64?
    ) -> Int64? {
        guard let value = setting(key) else { return nil }
        var hint = ""
        if case .scalar(let text, _) = value.content {
            if let amount = parse(text), amount > 0 || allowsZero { return amount }
            if Int64(text) != nil { hint = "; \(text) needs a unit" }
        }
        report(key, "\"\(key)\" must be \(wanted)\(hint)")
        return nil
    }

    /// One of several words.
    public mutating func choice(_ key: String, of words: [String]) -> String? {
        guard let text = string(key) else { return nil }
        if words.contains(text) { return text }
        let list = words.joined(separator: ", ")
        report(key, "\"\(key)\" must be one of \(list)\(suggestion(for: text, among: words))")
        return nil
    }

    /// Reports the keys that nobody asked for; returns everything found.
    public func finish() -> [Diagnostic] {
        var all = findings
        var meant: [String] = []
        for entry in entries where !known.contains(entry.key) {
            let hint = suggestion(for: entry.key, among: known)
            if let key = closest(to: entry.key, among: known) { meant.append(key) }
            all.append(
                Diagnostic(at: entry.location, "unknown key \"\(entry.key)\" in \(what)\(hint)"))
        }
        // A misspelt key is one mistake, so the one it stands for is not missing as well.
        for key in missing where !meant.contains(key) {
            all.append(Diagnostic(at: location, "\(what) needs the key \"\(key)\""))
        }
        return all
    }
}
