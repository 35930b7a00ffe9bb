internal import Connecting
internal import Records
package import Scripting
internal import Threads

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

    /// What came of the attempt that the row is about, whatever happened later.
    public enum Outcome: String, Sendable {
        /// The run has begun with it.
        case started
        /// It took over.
        case activated
        /// Something was wrong, and the one before went on.
        case refused
        /// Too many of its records failed.
        case takenBack = "taken_back"
        /// The one after it was taken back.
        case restored
        /// Too many of its records failed, but the state cannot go back.
        case kept
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
    /// What wanted it: `start`, `watch`, `command`, `rollback` or `probation`.
    public var by: String?
    /// The user who did.
    public var user: String?
    /// How many of its tests passed; nil when none ran.
    public var tests: TestCount?
    /// What its shadow run has found, if there was one.
    public var shadow: ShadowReport?
    /// What came of it.
    public var outcome: Outcome?

    /// The row as JSON.
    public var json: String {
        var fields: [Field] = [
            Field("version", .string(version)), Field("state", .string(state.rawValue)),
        ]
        if let step { fields.append(Field("step", .string(step))) }
        if let reason { fields.append(Field("reason", .string(reason))) }
        fields.append(Field("at", .string(at)))
        if let by { fields.append(Field("by", .string(by))) }
        if let user { fields.append(Field("user", .string(user))) }
        if let tests {
            fields.append(
                Field(
                    "tests",
                    .object([
                        Field("passed", .integer(Int64(tests.passed))),
                        Field("total", .integer(Int64(tests.total))),
                    ])))
        }
        if let shadow { fields.append(Field("shadow", .object(shadow.record.fields))) }
        if let outcome { fields.append(Field("outcome", .string(outcome.rawValue))) }
        return String(decoding: Value.object(fields).json, as: UTF8.self)
    }

    init(_ version: String, _ state: State, _ outcome: Outcome, by: String, user: String) {
        self.version = version
        self.state = state
        self.outcome = outcome
        at = timestamp()
        self.by = by
        self.user = user
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
        user = text("user")
        outcome = text("outcome").flatMap(Outcome.init)
        if case .object(let fields)? = record["tests"] {
            let counts = Record(fields)
            tests = TestCount(passed: counts.count("passed"), total: counts.count("total"))
        }
        if case .object(let fields)? = record["shadow"] { shadow = ShadowReport(Record(fields)) }
    }
}

/// Every version there was, in order, and the files of those that ran.
package struct VersionTable: Sendable {
    /// What has run can run again.
    package struct Kept: Sendable {
        /// The files of the rule set.
        package var files: [RuleSet.File]
        /// The layout of the state of each stage.
        var stateVersions: [String: Int]
    }

    private static let rowLimit = 200
    private(set) var rows: [VersionRow] = []
    /// What has run, by version.
    package private(set) var kept: [String: Kept] = [:]

    /// The version that is active; nil before the first one.
    package var active: String? { rows.last { $0.state == .active }?.version }

    /// Adds a row; the last word about a version counts, and one version is active.
    mutating func add(_ given: VersionRow) {
        var row = given
        if let known = rows.last(where: { $0.version == row.version }) {
            // The same bytes: what was found out about them holds.
            row.tests = row.tests ?? known.tests
            row.shadow = row.shadow ?? known.shadow
        }
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
            let gone = rows.remove(at: index).version
            // Nobody can go back to a version that is not listed.
            if !rows.contains(where: { $0.version == gone }) { kept[gone] = nil }
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
