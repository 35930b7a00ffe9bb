internal import Engine
internal import Glibc
internal import Journal
internal import Queueing
package import Records

/// The reading room of a store: tables that follow from the journal, for whoever likes SQL.
struct StoreCatalogue {
    private let path: String
    private let source: CatalogueSource
    private let versions: [VersionRow]
    /// Another layout is written anew.
    private static let layout = "2"

    /// What an update has done.
    struct Outcome: Sendable {
        /// Counts rows, for a person or a script.
        var answer: Record
        /// False when there was more than the limit.
        var isWhole: Bool
    }

    init(_ data: String, _ source: CatalogueSource, _ versions: [VersionRow]) {
        path = Self.path(data)
        self.source = source
        self.versions = versions
    }

    /// Where the file of a store is.
    static func path(_ data: String) -> String { data + "/catalogue.sqlite" }

    /// Writes what is new, or all of it, but no more dead letters than `limit`; `withRuns` is false
    /// when no run has begun or ended since the last time.
    func update(
        rebuild: Bool = false, limit: Int = .max, withRuns: Bool = true
    ) throws(ControlFailure) -> Outcome {
        // The disk may have lost parts of a file that was not synced before the machine went down.
        let mark = "\(Self.layout) \(Self.machineStart)"
        let isNew = rebuild ? true : try layout() != mark
        let target = isNew ? path + ".new" : path
        if isNew { unsafe unlink(target) }
        guard let database = SQLiteFile(target, isPrivate: true) else {
            throw ControlFailure(1, "\(target): cannot be made; check the folder and its space")
        }
        let (counts, isWhole) = try write(database, mark, limit, withRuns: withRuns || isNew)
        // A journal of the file before would be taken for one of the new file.
        if isNew { for ending in ["-journal", "-wal", "-shm"] { unsafe unlink(path + ending) } }
        // What is renamed is whole, and a reader never sees half of it.
        if isNew, unsafe rename(target, path) != 0 {
            throw ControlFailure(1, "\(path): \(unsafe String(cString: strerror(errno)))")
        }
        let fields = [Field("file", .string(path)), Field("rebuilt", .boolean(isNew))]
        return Outcome(answer: Record(fields + counts), isWhole: isWhole)
    }

    /// The layout of the file that is there; nil without one.
    private func layout() throws(ControlFailure) -> String? {
        var status = stat()
        // An empty one was made by whoever looked before there was anything.
        guard unsafe stat(path, &status) == 0, status.st_size > 0 else { return nil }
        guard let database = SQLiteFile(path) else { return nil }
        do throws(ControlFailure) {
            return try database.texts("SELECT value FROM meta WHERE name = 'layout'").first
        } catch {
            throw ControlFailure(
                1, "\(error.message); `tidewheel store catalogue --rebuild` writes it anew")
        }
    }

    /// Another word after each start of the machine; empty where the system does not say.
    private static var machineStart: String {
        let bytes = readWholeFile("/proc/sys/kernel/random/boot_id") ?? []
        return String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)
    }

    private func write(
        _ database: SQLiteFile, _ layout: String, _ limit: Int, withRuns: Bool
    ) throws(ControlFailure) -> (counts: [Field], isWhole: Bool) {
        try database.run("BEGIN IMMEDIATE")
        for statement in Self.schema { try database.run(statement) }
        try database.run(
            "INSERT OR REPLACE INTO meta VALUES ('layout', ?)", [.string(layout)])
        let isWhole = try writeLetters(database, limit)
        try writeAudit(database)
        if withRuns { try writeRuns(database) }
        if let failure = database.failure { throw ControlFailure(1, "\(path): \(failure)") }
        try database.run("DELETE FROM versions")
        for (index, row) in versions.enumerated() {
            try database.run(
                "INSERT INTO versions VALUES (?,?,?,?,?,?,?)",
                [
                    .integer(Int64(index)), .string(row.version), .string(row.state.rawValue),
                    text(row.step), text(row.reason), .string(row.at), text(row.by),
                ])
        }
        var counts: [Field] = []
        for table in ["dead_letters", "runs", "versions", "audit"] {
            let count = try database.texts("SELECT count(*) FROM \(table)").first ?? "0"
            counts.append(Field(table, .integer(Int64(count) ?? 0)))
        }
        try database.run("COMMIT")
        return (counts, isWhole)
    }

    private static let schema = [
        "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT)",
        "CREATE TABLE IF NOT EXISTS dead_letters (number INTEGER PRIMARY KEY, mark TEXT, "
            + "queue TEXT, id TEXT, source TEXT, stage TEXT, reason TEXT, error TEXT, file TEXT, "
            + "line INTEGER, field TEXT, rule_set TEXT, at TEXT, attempts INTEGER, original BLOB)",
        "CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, began_at TEXT, ended_at TEXT, "
            + "rule_set TEXT, once INTEGER, read INTEGER, delivered INTEGER, "
            + "dead_letters INTEGER, error TEXT)",
        "CREATE TABLE IF NOT EXISTS versions (position INTEGER PRIMARY KEY, version TEXT, "
            + "state TEXT, step TEXT, reason TEXT, at TEXT, by TEXT)",
        "CREATE TABLE IF NOT EXISTS audit (number INTEGER PRIMARY KEY, mark TEXT, at TEXT, "
            + "act TEXT, queue TEXT, details TEXT)",
    ]

    // MARK: The tables

    /// Records of the pipeline that failed, and dead messages of its queues. False when there are
    /// more new ones than `limit`.
    private func writeLetters(
        _ database: SQLiteFile, _ limit: Int
    ) throws(ControlFailure) -> Bool {
        let live = try source.marks(of: try source.letterQueues())
        let found = try database.differences(in: "dead_letters", from: live, limit: limit)
        try delete(found.gone, from: "dead_letters", database)
        try source.forEachMessage(found.fresh.map { live[$0] }) {
            (message, mark) throws(ControlFailure) in
            let row = message.queue == ".dead_letters" ? letter(message) : dead(message)
            try database.run(
                "INSERT OR REPLACE INTO dead_letters VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                [.integer(Int64(mark.number)), .string(mark.word)] + row.values,
                blob: row.original)
        }
        return found.isWhole
    }

    private func delete(
        _ numbers: [UInt64], from table: String, _ database: SQLiteFile
    ) throws(ControlFailure) {
        for number in numbers {
            try database.run(
                "DELETE FROM \(table) WHERE number = ?", [.integer(Int64(number))])
        }
    }

    private func letter(_ message: Message) -> (values: [Value], original: [UInt8]) {
        let letter = (try? Record(json: message.payload)) ?? Record()
        func value(_ name: String) -> Value { letter[name] ?? .null }
        return (
            [
                .string("dead_letters"), value("id"), value("source"), value("stage"),
                value("reason"), value("error"), value("file"), value("line"), value("field"),
                value("rule_set"), value("at"), .integer(1),
            ], Array((letter["original"] ?? letter["original_base64"] ?? .null).text.utf8)
        )
    }

    private func dead(_ message: Message) -> (values: [Value], original: [UInt8]) {
        let history = message.history
        let last = history?.attempts.last
        let at = history?.deadAt.map { ControlTime.text(microseconds: $0 * 1000) }
        return (
            [
                .string(message.queue), .string(message.id), text(history?.sourceQueue), .null,
                text(history?.reason), text(last?.error), .null, .null, .null,
                text(last?.ruleSet), text(at), .integer(Int64(history?.attempts.count ?? 0)),
            ], message.payload
        )
    }

    private func writeAudit(_ database: SQLiteFile) throws(ControlFailure) {
        guard let queue = source.queue(QueueSettings.audit.name) else { return }
        let live = try source.marks(of: [queue])
        let found = try database.differences(in: "audit", from: live)
        try delete(found.gone, from: "audit", database)
        try source.forEachMessage(found.fresh.map { live[$0] }) {
            (message, mark) throws(ControlFailure) in
            let act = (try? Record(json: message.payload)) ?? Record()
            try database.run(
                "INSERT OR REPLACE INTO audit VALUES (?,?,?,?,?,?)",
                [
                    .integer(Int64(message.number)), .string(mark.word),
                    .string(ControlTime.text(microseconds: message.publishedAt)),
                    act["act"] ?? .null, act["queue"] ?? .null, .string(act.description),
                ])
        }
    }

    /// What began and what ended are two messages; together they are a row.
    private func writeRuns(_ database: SQLiteFile) throws(ControlFailure) {
        guard let queue = source.queue(QueueSettings.runs.name) else { return }
        let marks = try source.marks(of: [queue])
        try database.run("DELETE FROM runs")
        try source.forEachMessage(marks) { (message, _) throws(ControlFailure) in
            guard let event = try? Record(json: message.payload) else { return }
            let time = Value.string(ControlTime.text(microseconds: message.publishedAt))
            if event["event"] == .string("began") {
                try database.run(
                    "INSERT OR REPLACE INTO runs VALUES (?,?,NULL,?,?,NULL,NULL,NULL,NULL)",
                    [
                        .string(message.id), time, event["rule_set"] ?? .null,
                        .integer(event["once"] == .boolean(true) ? 1 : 0),
                    ])
            } else {
                try database.run(
                    "UPDATE runs SET ended_at = ?, read = ?, delivered = ?, dead_letters = ?, "
                        + "error = ? WHERE id = ?",
                    [
                        time, event["read"] ?? .null, event["delivered"] ?? .null,
                        event["dead_letters"] ?? .null, event["error"] ?? .null,
                        event["run"] ?? .null,
                    ])
            }
        }
    }

    private func text(_ value: String?) -> Value { value.map { .string($0) } ?? .null }
}

extension StoreAccess {
    /// Brings the catalogue up to date; the answer counts rows.
    package func updateCatalogue(rebuild: Bool) throws(ControlFailure) -> Record {
        // A wrong path must not leave a new store there.
        guard (try? SystemDisk().exists(data + "/FORMAT")) == true else {
            throw ControlFailure(
                1, "\(data): there is no store here; name its folder with --data")
        }
        var history = VersionHistory()
        let store = try open(try declaredQueues()) { kind, bytes in
            history.take(kind: kind, bytes)
        }
        let catalogue = StoreCatalogue(data, CatalogueSource(store), history.rows)
        let answer = try catalogue.update(rebuild: rebuild).answer
        do throws(QueueError) { try store.close() } catch { throw ControlFailure(error) }
        return answer
    }
}
