internal import Connecting
internal import Records

/// Splits rows into records for whoever takes them.
private func forEachRecord(
    _ rows: UnsafeRawBufferPointer, _ body: (Record) throws(ConnectorError) -> Void
) throws(ConnectorError) {
    let bytes = unsafe Array(rows)
    for line in bytes.split(separator: 0x0A) {
        let record: Record
        do {
            record = try Record(json: line)
        } catch {
            throw ConnectorError("a row cannot be read as a record: \(error)")
        }
        try body(record)
    }
}

/// The sink behind `output(from:)`.
final class OutputSink: Sink {
    private let queue: OutputQueue
    private let pulse: Pulse
    private let name: String

    init(_ queue: OutputQueue, _ name: String, _ pulse: Pulse) {
        self.queue = queue
        self.name = name
        self.pulse = pulse
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        try pulse.during("the reader of output(from: \"\(name)\")") {
            () throws(ConnectorError) in
            try unsafe forEachRecord(rows) { record in queue.send(record) }
        }
    }
    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) { queue.finish() }
    func abandon() { queue.finish() }
}

/// A sink written in Swift; what its closure throws is about one record.
final class ClosureSink: Sink {
    private let take: @Sendable (Record) throws(ConnectorError) -> Void
    private let pulse: Pulse
    private let name: String
    /// Rows of the last call that were taken before one of them was to come again.
    private var taken = 0
    /// Those among them that the closure will never take.
    private var refused: [RefusedRow] = []

    init(
        _ name: String, _ pulse: Pulse,
        _ take: @escaping @Sendable (Record) throws(ConnectorError) -> Void
    ) {
        self.name = name
        self.pulse = pulse
        self.take = take
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        try pulse.during("the sink \"\(name)\"") { () throws(ConnectorError) in
            var index = 0
            try unsafe forEachRecord(rows) { (record) throws(ConnectorError) in
                if index >= taken { try write(record, index) }
                index += 1
            }
        }
        let all = refused
        taken = 0
        refused = []
        if !all.isEmpty { throw ConnectorError("\(name): rows are refused", remedy: .refuse(all)) }
    }

    private func write(_ record: Record, _ index: Int) throws(ConnectorError) {
        do throws(ConnectorError) { try take(record) } catch {
            guard case .refuse(let rows) = error.remedy else { throw error }
            let reason = rows.first?.reason ?? error.description
            refused.append(RefusedRow(index: index, reason: reason))
        }
        taken = index + 1
        pulse.beat()
    }

    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) {}
    func abandon() {}
}
