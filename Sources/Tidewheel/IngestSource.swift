internal import Connecting
internal import Engine
internal import Records
internal import Synchronization
internal import Threads

/// Records that a program hands in, waiting for the reader's thread.
final class IngestQueue: Sendable {
    let channel = Channel<[UInt8]>(capacity: 1024)
    private let used = Atomic<Bool>(false)

    /// True once a source reads from it.
    var isUsed: Bool { used.load(ordering: .relaxed) }

    func markUsed() { used.store(true, ordering: .relaxed) }
}

/// The source behind `ingest`: each record handed in is one entry of a batch.
final class IngestSource: Source {
    private let queue: IngestQueue
    private let name: String
    private var count: UInt64 = 0
    private var told: UInt64?

    init(_ queue: IngestQueue, context: RunContext) {
        self.queue = queue
        name = context.sourceName
        // Records of an earlier run are not these: they have names of their own.
        let place = context.resumption.positions["records"] ?? []
        count = UInt64(String(decoding: place, as: UTF8.self)) ?? 0
        queue.markUsed()
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        batch.source = name
        batch.file = "ingest"
        guard let first = queue.channel.receive(milliseconds: milliseconds) else {
            return queue.channel.isFinished ? .end : .nothingYet
        }
        add(first, to: batch)
        while batch.bytes.count < limit.bytes,
            batch.entries.count < limit.records ?? .max, let next = queue.channel.tryReceive()
        {
            add(next, to: batch)
        }
        return .records
    }

    func takePositions(
        before next: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {
        let position = next?.position ?? count
        guard position != told else { return }
        told = position
        body("records", Array("\(position)".utf8))
    }

    private func add(_ json: [UInt8], to batch: Batch) {
        let start = batch.bytes.count
        unsafe json.withUnsafeBytes { unsafe batch.bytes.append($0) }
        unsafe json.withUnsafeBytes { unsafe batch.originals.append($0) }
        let range = start..<batch.bytes.count
        batch.entries.append(
            Batch.Entry(
                text: range, original: range, problem: 0..<0, position: count, line: count + 1,
                originalLength: UInt64(json.count)))
        count += 1
    }
}
