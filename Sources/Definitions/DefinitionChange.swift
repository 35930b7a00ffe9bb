public import Connecting

/// What `pipeline.yaml` said when it was read: every value with the way to it, such as
/// `commit.every`. Two texts that mean the same, say the same here.
public struct WrittenKeys: Sendable, Hashable {
    private var values: [String: String] = [:]

    init() {}

    init(_ root: Setting) {
        // What is at the top has no name.
        if case .mapping(let entries) = root.content {
            for entry in entries { add(entry.value, entry.key) }
        }
    }

    private mutating func add(_ setting: Setting, _ path: String) {
        switch setting.content {
        case .mapping(let entries) where !entries.isEmpty:
            for entry in entries { add(entry.value, path + "." + entry.key) }
        case .mapping: values[path] = "{}"
        case .sequence, .scalar, .null: values[path] = Self.text(setting)
        }
    }

    /// Lists are compared as a whole: what stands behind a new item is no other key.
    private static func text(_ setting: Setting) -> String {
        switch setting.content {
        case .null: "~"
        // `"5"` and `5` may be read differently.
        case .scalar(let text, let isQuoted): isQuoted ? "\"\(text)\"" : text
        case .sequence(let items): "[" + items.map(text).joined(separator: ", ") + "]"
        case .mapping(let entries):
            "{"
                + entries.sorted { $0.key < $1.key }.map { "\($0.key): \(text($0.value))" }
                .joined(separator: ", ") + "}"
        }
    }

    /// The ways to what one of them says and the other does not, sorted.
    public func differences(from other: WrittenKeys) -> [String] {
        Set(values.keys).union(other.values.keys).filter { values[$0] != other.values[$0] }
            .sorted()
    }
}

/// What of `pipeline.yaml` is not as it was when a pipeline was started.
public struct DefinitionChange: Sendable, Hashable {
    /// The ways to the changed values, such as `commit.every`.
    public var paths: [String]

    /// Compares a definition with its file as it is now; nil when they say the same. Throws what
    /// is wrong with the file, if that is new.
    public init?(
        of definition: Definition, environment: [String: String], catalogue: Catalogue
    ) throws(DiagnosticList) {
        var substitution = Substitution(environment: environment)
        let (settings, findings) = try readSettings(folder: definition.folder, &substitution)
        guard findings.isEmpty else { throw DiagnosticList(ordered: findings) }
        paths = WrittenKeys(settings).differences(from: definition.written)
        if paths.isEmpty { return nil }
        _ = try readDefinition(
            folder: definition.folder, environment: environment, catalogue: catalogue)
    }

    /// The keys at the top of the file, sorted.
    public var keys: [String] {
        var keys: [String] = []
        for path in paths {
            let key = String(path.prefix { $0 != "." })
            if keys.last != key { keys.append(key) }
        }
        return keys
    }

    /// What that means, in words.
    public var description: String {
        let keys = keys.joined(separator: ", ")
        let all = paths.joined(separator: ", ")
        return "needs a restart: \(keys)" + (all == keys ? "" : " (\(all))")
    }
}
