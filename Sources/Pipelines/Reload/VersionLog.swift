internal import Records
internal import Scripting
internal import Stages

/// One row of a pipeline's versions: what became of a rule set, and when.
public struct VersionRow: Sendable, Hashable {
    /// What a version is.
    public enum State: String, Sendable {
        /// It runs, or will when the pipeline starts.
        case active
        /// It ran before.
        case previous
        /// It was refused and has never run.
        case rejected
        /// It ran, and was taken back because too many records failed.
        case rolledBack = "rolled_back"
    }

    /// The first 12 hexadecimal digits of the rule set's hash.
    public var version: String
    /// What it is.
    public var state: State
    /// Where it was refused: `compile`, `test`, `shadow`, `migrate` or `probation`.
    public var step: String?
    /// Why it was refused, in words.
    public var reason: String?
    /// When that was, as RFC 3339.
    public var at: String
    /// Who wanted it: `start`, `watch`, `command` or `rollback`.
    public var by: String?

    /// The row as JSON.
    public var json: String {
        var fields: [Field] = [
            Field("version", .string(version)), Field("state", .string(state.rawValue)),
        ]
        if let step { fields.append(Field("step", .string(step))) }
        if let reason { fields.append(Field("reason", .string(reason))) }
        fields.append(Field("at", .string(at)))
        if let by { fields.append(Field("by", .string(by))) }
        return String(decoding: Value.object(fields).json, as: UTF8.self)
    }

    init(
        _ version: String, _ state: State, step: String? = nil, reason: String? = nil, by: String?
    ) {
        self.version = version
        self.state = state
        self.step = step
        self.reason = reason
        at = timestamp()
        self.by = by
    }

    init?(_ json: [UInt8]) {
        guard let record = try? Record(json: json), case .string(let version)? = record["version"],
            case .string(let word)? = record["state"], let state = State(rawValue: word)
        else { return nil }
        func text(_ name: String) -> String? {
            if case .string(let text)? = record[name] { text } else { nil }
        }
        self.version = version
        self.state = state
        step = text("step")
        reason = text("reason")
        at = text("at") ?? ""
        by = text("by")
    }
}

/// Every version there was, in order, and the files of those that ran.
struct VersionTable: Sendable {
    /// What has run can run again.
    struct Kept: Sendable {
        var files: [RuleSet.File]
        /// The layout of the state of each stage.
        var stateVersions: [String: Int]
    }

    private static let rowLimit = 200
    private(set) var rows: [VersionRow] = []
    private(set) var kept: [String: Kept] = [:]

    var active: String? { rows.last { $0.state == .active }?.version }

    /// Adds a row; the last word about a version counts, and one version is active.
    mutating func add(_ row: VersionRow) {
        if row.state == .active {
            for index in rows.indices where rows[index].state == .active {
                rows[index].state = .previous
            }
        }
        if row.state == .rejected {
            if active == row.version { return }
        } else {
            rows.removeAll { $0.version == row.version }
        }
        rows.append(row)
        if rows.count > Self.rowLimit, let index = rows.firstIndex(where: { $0.state != .active }) {
            rows.remove(at: index)
        }
    }

    mutating func keep(_ version: String, _ kept: Kept) { self.kept[version] = kept }

    // MARK: As entries of the store

    /// All rows.
    var encodedRows: [UInt8] { Array(rows.map { $0.json + "\n" }.joined().utf8) }

    mutating func restoreRows(_ bytes: [UInt8]) {
        rows = bytes.split(separator: 0x0A).compactMap { VersionRow(Array($0)) }
    }

    /// One version with its files.
    static func encode(_ version: String, _ kept: Kept) -> [UInt8] {
        var bytes: [UInt8] = []
        StoreEntry.add(Array("version".utf8), Array(version.utf8), to: &bytes)
        for (stage, number) in kept.stateVersions.sorted(by: { $0.key < $1.key }) {
            StoreEntry.add(Array("state \(stage)".utf8), Array("\(number)".utf8), to: &bytes)
        }
        for file in kept.files {
            StoreEntry.add(Array("file \(file.path)".utf8), file.bytes, to: &bytes)
        }
        return bytes
    }

    mutating func restoreVersion(_ bytes: RawSpan) {
        var version = ""
        var found = Kept(files: [], stateVersions: [:])
        StoreEntry.forEach(bytes) { name, value in
            let words = name.text.split(separator: " ", maxSplits: 1).map(String.init)
            guard let value else { return }
            switch words[0] {
            case "version": version = value.text
            case "state" where words.count == 2: found.stateVersions[words[1]] = Int(value.text)
            case "file" where words.count == 2:
                found.files.append(RuleSet.File(path: words[1], bytes: value.array))
            default: break
            }
        }
        if !version.isEmpty { kept[version] = found }
    }
}
