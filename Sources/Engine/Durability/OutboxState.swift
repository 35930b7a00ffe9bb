internal import Connecting

/// Rows of one commit for one sink that takes them from the outbox.
struct OutboxChunk: Sendable, Hashable {
    var pipeline: String
    var sink: String
    /// The number of the first row.
    var first: UInt64
    var count: Int
    /// Whole lines.
    var rows: [UInt8]

    var key: RowKey { RowKey(pipeline: pipeline, sink: sink, number: first) }
    /// The number behind the last row.
    var end: UInt64 { first + UInt64(count) }

    /// Adds it to an entry of the store.
    func encode(to bytes: inout [UInt8]) {
        var value: [UInt8] = []
        value.reserveCapacity(16 + rows.count)
        for number in [first, UInt64(count)] { value += OutboxNumber.encode(number) }
        value += rows
        // The pipeline's name is a part of the key, which must not change with pipeline.yaml.
        StoreEntry.add(Array("\(sink)\0\(pipeline)".utf8), value, to: &bytes)
    }

    /// Reads what `encode` has written; nil when it is something else.
    init?(name: RawSpan, value: RawSpan) {
        let names = name.text.split(
            separator: "\0", maxSplits: 1, omittingEmptySubsequences: false)
        guard names.count == 2, let first = OutboxNumber.decode(value, at: 0),
            let count = OutboxNumber.decode(value, at: 8)
        else { return nil }
        self.init(
            pipeline: String(names[1]), sink: String(names[0]), first: first, count: Int(count),
            rows: value.extracting(16..<value.byteCount).array)
    }

    init(pipeline: String, sink: String, first: UInt64, count: Int, rows: [UInt8]) {
        self.pipeline = pipeline
        self.sink = sink
        self.first = first
        self.count = count
        self.rows = rows
    }
}

/// Numbers of rows as the store has them: eight bytes, the lowest first.
enum OutboxNumber {
    static func encode(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    static func decode(_ bytes: RawSpan, at offset: Int) -> UInt64? {
        guard offset + 8 <= bytes.byteCount else { return nil }
        return (0..<8).reduce(0) { $0 | UInt64(bytes.byte(offset + $1)) << (8 * UInt64($1)) }
    }
}

/// What is committed of a sink's rows, and not yet known to be delivered.
struct OutboxState: Sendable, Hashable {
    /// The number that the next row gets.
    private(set) var next: UInt64 = 1
    /// The number of the first row that is not known to be delivered.
    private(set) var delivered: UInt64 = 1
    /// What to deliver again after a kill, in order.
    private(set) var chunks: [OutboxChunk] = []

    /// Takes in the rows of a commit. Those that are known already, because a snapshot was newer
    /// than the frame, do no harm.
    mutating func add(_ chunk: OutboxChunk) {
        guard chunk.first >= next else { return }
        next = chunk.end
        chunks.append(chunk)
    }

    /// All rows before a number are delivered.
    mutating func note(deliveredBefore number: UInt64) {
        guard number > delivered else { return }
        delivered = number
        next = max(next, number)
        chunks.removeAll { $0.end <= number }
    }
}

/// The outboxes of all sinks as they were committed.
struct OutboxTable: Sendable, Hashable {
    private(set) var sinks: [String: OutboxState] = [:]

    mutating func apply(chunks bytes: RawSpan) {
        StoreEntry.forEach(bytes) { name, value in
            guard let value, let chunk = OutboxChunk(name: name, value: value) else { return }
            sinks[chunk.sink, default: OutboxState()].add(chunk)
        }
    }

    mutating func apply(delivered bytes: RawSpan) {
        StoreEntry.forEach(bytes) { name, value in
            guard let value, let number = OutboxNumber.decode(value, at: 0) else { return }
            sinks[name.text, default: OutboxState()].note(deliveredBefore: number)
        }
    }

    static func encode(_ delivered: [(sink: String, before: UInt64)]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (sink, number) in delivered {
            StoreEntry.add(Array(sink.utf8), OutboxNumber.encode(number), to: &bytes)
        }
        return bytes
    }

    /// All of it for a snapshot; what is delivered comes before what is not.
    func forEachEntry(_ body: (_ kind: StoreEntry.Kind, _ bytes: [UInt8]) -> Void) {
        guard !sinks.isEmpty else { return }
        body(.delivered, Self.encode(sinks.map { ($0.key, $0.value.delivered) }))
        for chunk in sinks.values.flatMap(\.chunks) {
            var bytes: [UInt8] = []
            chunk.encode(to: &bytes)
            body(.outbox, bytes)
        }
    }
}
