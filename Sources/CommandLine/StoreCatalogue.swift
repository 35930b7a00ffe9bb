import ArgumentParser
import Control
import Glibc
import Journal
import Pipelines
import Queueing
import Records

extension StoreCommand {
    struct Catalogue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring the SQLite file of dead letters, runs, versions and audit up to date.",
            discussion: """
                DATA/catalogue.sqlite is there to be read with SQL. It follows from the store, so \
                it may be deleted at any time.
                """)
        @Flag(help: "Write it anew instead of adding what is new.")
        var rebuild = false
        @OptionGroup var options: StoreOptions

        func run() throws {
            let runner = VerbRunner(options)
            try runner.run(
                "store.catalogue", flag("rebuild", rebuild),
                orHere: { (output) throws(ControlFailure) in
                    // A wrong path must not leave a new store there.
                    guard (try? SystemDisk().exists(options.data + "/FORMAT")) == true else {
                        throw ControlFailure(
                            1,
                            "\(options.data): there is no store here; name its folder with --data")
                    }
                    var history = VersionHistory()
                    let store = try runner.open(try runner.declaredQueues()) { kind, bytes in
                        history.take(kind: kind, bytes)
                    }
                    let catalogue = StoreCatalogue(options.data, store, history.rows)
                    output.line(try catalogue.update(rebuild: rebuild))
                    do throws(QueueError) { try store.close() } catch {
                        throw ControlFailure(error)
                    }
                })
        }
    }
}

/// The reading room of a store: tables that follow from the journal, for whoever likes SQL.
struct StoreCatalogue {
    private let path: String
    private let store: Store<SystemDisk>
    private let versions: [VersionRow]
    /// Another layout is written anew.
    private static let layout = "1"

    init(_ data: String, _ store: Store<SystemDisk>, _ versions: [VersionRow]) {
        path = data + "/catalogue.sqlite"
        self.store = store
        self.versions = versions
    }

    /// Writes what is new, or all of it; the answer counts rows.
    func update(rebuild: Bool) throws(ControlFailure) -> Record {
        let isNew = rebuild ? true : try layout() != Self.layout
        let target = isNew ? path + ".new" : path
        if isNew { unsafe unlink(target) }
        guard let database = SQLiteFile(target) else {
            throw ControlFailure(1, "\(target): cannot be made; check the folder and its space")
        }
        let counts = try write(database)
        // What is renamed is whole, and a reader never sees half of it.
        if isNew, unsafe rename(target, path) != 0 {
            throw ControlFailure(1, "\(path): \(unsafe String(cString: strerror(errno)))")
        }
        return Record(
            [Field("file", .string(path)), Field("rebuilt", .boolean(isNew))] + counts)
    }

    /// The layout of the file that is there; nil without one.
    private func layout() throws(ControlFailure) -> String? {
        guard unsafe access(path, F_OK) == 0 else { return nil }
        guard let database = SQLiteFile(path) else { return nil }
        do throws(ControlFailure) {
            return try database.texts("SELECT value FROM meta WHERE name = 'layout'").first
        } catch {
            throw ControlFailure(
                1, "\(error.message); `tidewheel store catalogue --rebuild` writes it anew")
        }
    }

    private func write(_ database: SQLiteFile) throws(ControlFailure) -> [Field] {
        try database.run("BEGIN IMMEDIATE")
        for statement in Self.schema { try database.run(statement) }
        try database.run(
            "INSERT OR REPLACE INTO meta VALUES ('layout', ?)", [.string(Self.layout)])
        do throws(QueueError) {
            try writeLetters(database)
            try writeAudit(database)
            try writeRuns(database)
        } catch { throw ControlFailure(error) }
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
        return counts
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

    /// Records of the pipeline that failed, and dead messages of its queues.
    private func writeLetters(_ database: SQLiteFile) throws(QueueError) {
        let status = try store.status()
        let targets = Set(status.compactMap(\.settings.deadLetterTarget))
        let names = status.map(\.name).filter { $0 == ".dead_letters" || targets.contains($0) }
        var live: [(queue: QueueHandle, mark: MessageMark)] = []
        for name in names {
            let queue = try store.queue(name)
            live += store.marks(of: queue).map { (queue, $0) }
        }
        let known = database.numbers(
            "SELECT number, mark FROM dead_letters", keeping: live.map(\.mark),
            delete: "DELETE FROM dead_letters WHERE number = ?")
        for (queue, mark) in live where known[mark.number] != mark.word {
            guard let message = try store.messages([mark.number], in: queue).first else {
                continue
            }
            let row = message.queue == ".dead_letters" ? letter(message) : dead(message)
            try? database.run(
                "INSERT OR REPLACE INTO dead_letters VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                [.integer(Int64(mark.number)), .string(mark.word)] + row.values,
                blob: row.original)
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

    private func writeAudit(_ database: SQLiteFile) throws(QueueError) {
        guard let queue = try? store.queue(QueueSettings.audit.name) else { return }
        let live = store.marks(of: queue)
        let known = database.numbers(
            "SELECT number, mark FROM audit", keeping: live,
            delete: "DELETE FROM audit WHERE number = ?")
        let fresh = live.filter { known[$0.number] != $0.word }
        let marks = Dictionary(fresh.map { ($0.number, $0.word) }) { $1 }
        for message in try store.messages(fresh.map(\.number), in: queue) {
            let act = (try? Record(json: message.payload)) ?? Record()
            try? database.run(
                "INSERT OR REPLACE INTO audit VALUES (?,?,?,?,?,?)",
                [
                    .integer(Int64(message.number)), text(marks[message.number]),
                    .string(ControlTime.text(microseconds: message.publishedAt)),
                    act["act"] ?? .null, act["queue"] ?? .null, .string(act.description),
                ])
        }
    }

    /// What began and what ended are two messages; together they are a row.
    private func writeRuns(_ database: SQLiteFile) throws(QueueError) {
        guard let queue = try? store.queue(QueueSettings.runs.name) else { return }
        try? database.run("DELETE FROM runs")
        for message in try store.peek(queue, max: .max) {
            guard let event = try? Record(json: message.payload) else { continue }
            let time = Value.string(ControlTime.text(microseconds: message.publishedAt))
            if event["event"] == .string("began") {
                try? database.run(
                    "INSERT OR REPLACE INTO runs VALUES (?,?,NULL,?,?,NULL,NULL,NULL,NULL)",
                    [
                        .string(message.id), time, event["rule_set"] ?? .null,
                        .integer(event["once"] == .boolean(true) ? 1 : 0),
                    ])
            } else {
                try? database.run(
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
