internal import Journal
internal import Queueing
internal import Records

extension StoreAccess {
    /// Writes queues and messages into a plain SQLite file; the number of messages.
    package func export(to file: String) throws(ControlFailure) -> Int {
        let store = try open(try declaredQueues())
        let count = try Self.write(store, to: file)
        do throws(QueueError) { try store.close() } catch { throw ControlFailure(error) }
        return count
    }

    /// Writes queues and messages into a new file; the number of messages.
    private static func write(
        _ store: Store<SystemDisk>, to file: String
    ) throws(ControlFailure) -> Int {
        guard let database = SQLiteFile(file) else {
            throw ControlFailure(1, "\(file): cannot be made; check the folder")
        }
        let schema = [
            "CREATE TABLE queues (name TEXT PRIMARY KEY, ready INTEGER, scheduled INTEGER, "
                + "leased INTEGER, retrying INTEGER, paused INTEGER)",
            "CREATE TABLE messages (number INTEGER PRIMARY KEY, id TEXT, queue TEXT, "
                + "state TEXT, priority INTEGER, attempt INTEGER, published_at TEXT, "
                + "until TEXT, correlation TEXT, ordering_key TEXT, headers TEXT, "
                + "reason TEXT, source_queue TEXT, payload BLOB)",
            "CREATE TABLE attempts (number INTEGER, n INTEGER, reason TEXT, error TEXT, "
                + "started_at TEXT, ended_at TEXT)", "BEGIN",
        ]
        for statement in schema { try database.run(statement) }
        var count = 0
        do throws(QueueError) {
            for status in try store.status() {
                try? database.run(
                    "INSERT INTO queues VALUES (?,?,?,?,?,?)", row(status))
                let queue = try store.queue(status.name)
                for message in try store.peek(queue, max: .max) {
                    count += 1
                    try? database.add(message)
                }
            }
        } catch { throw ControlFailure(error) }
        try database.run("COMMIT")
        if let failure = database.failure { throw ControlFailure(1, "\(file): \(failure)") }
        return count
    }

    private static func row(_ status: QueueStatus) -> [Value] {
        [
            .string(status.name), .integer(Int64(status.counts.ready)),
            .integer(Int64(status.counts.scheduled)), .integer(Int64(status.counts.leased)),
            .integer(Int64(status.counts.retrying)),
            .integer(status.isConsumePaused ? 1 : 0),
        ]
    }
}

extension SQLiteFile {
    fileprivate func add(_ message: Message) throws(ControlFailure) {
        func time(_ milliseconds: Int64?) -> Value {
            milliseconds.map { .string(ControlTime.text(microseconds: $0 * 1000)) } ?? .null
        }
        func text(_ value: String?) -> Value { value.map { .string($0) } ?? .null }
        let headers = Record(message.headers.map { Field($0.name, .string($0.value)) })
        try run(
            "INSERT INTO messages VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                .integer(Int64(message.number)), .string(message.id), .string(message.queue),
                .string(message.state.name), .integer(Int64(message.priority)),
                .integer(Int64(message.attempt)), time(message.publishedAt / 1000),
                time(message.until), text(message.correlation), text(message.orderingKey),
                .string(headers.description), text(message.history?.reason),
                text(message.history?.sourceQueue),
            ], blob: message.payload)
        for attempt in message.history?.attempts ?? [] {
            try run(
                "INSERT INTO attempts VALUES (?,?,?,?,?,?)",
                [
                    .integer(Int64(message.number)), .integer(Int64(attempt.number)),
                    .string(attempt.reason), .string(attempt.error), time(attempt.startedAt),
                    time(attempt.endedAt),
                ])
        }
    }
}
