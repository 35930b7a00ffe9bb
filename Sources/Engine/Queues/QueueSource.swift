internal import Connecting
internal import Journal
internal import Queueing
internal import Records
internal import Threads

/// Messages of a queue as records. They are leased to this process, and acknowledged in the commit
/// that holds what became of them.
final class QueueSource: IntakeSource {
    private let store: Store<SystemDisk>
    private let queue: QueueHandle
    private let name: String
    private let sourceName: String
    private let isOnce: Bool
    /// Of messages that were read and are in no commit yet, in order.
    private var receipts: [Receipt?] = []
    /// How many messages the last batch held.
    private var lastCount = 0
    private let pause = Channel<Void>(capacity: 1)

    init(_ queue: String, _ store: Store<SystemDisk>, _ context: RunContext) throws(ConnectorError)
    {
        self.store = store
        name = queue
        sourceName = context.sourceName
        isOnce = context.once
        do throws(QueueError) { self.queue = try store.queue(queue) } catch {
            throw ConnectorError("source.queue: \(error)")
        }
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        do throws(QueueError) {
            var waited = 0
            while true {
                if try take(into: batch, limit) { return .records }
                if isOnce, receipts.isEmpty, try isEmpty { return .end }
                guard waited < milliseconds else { return .nothingYet }
                waited += 2
                _ = pause.receive(milliseconds: 2)
            }
        } catch {
            throw ConnectorError("source.queue: \(error)")
        }
    }

    private var isEmpty: Bool {
        get throws(QueueError) { try store.status(of: queue)?.counts.size == 0 }
    }

    private func take(into batch: Batch, _ limit: ReadLimit) throws(QueueError) -> Bool {
        // The lease ends with this process, whatever its length.
        let lease = store.settings(of: queue).maxLease
        let fitting = max(1, limit.bytes / max(1, usualSize))
        let most = min(limit.records ?? Self.most, Self.most, fitting)
        let messages = try store.receive(from: queue, max: most, lease: lease, isOwned: true)
        guard !messages.isEmpty else { return false }
        lastCount = messages.count
        batch.source = sourceName
        batch.file = name
        for message in messages {
            receipts.append(message.receipt)
            batch.add(message)
        }
        usualSize = batch.bytes.count / messages.count
        return true
    }

    private static let most = 256
    /// What a message took in the last batch, in bytes: how large the next ones are is not known
    /// before they are leased.
    private var usualSize = 16 << 10

    /// What was done is acknowledged by the commit.
    func addEntries(before next: RecordPlace?, to draft: inout CommitDraft) {
        let waiting = next.map { max(0, lastCount - $0.index) } ?? 0
        let done = receipts.prefix(max(0, receipts.count - waiting)).compactMap { $0 }
        receipts.removeFirst(max(0, receipts.count - waiting))
        // A message that is delivered at most once has no receipt.
        if !done.isEmpty { draft.receipts.append((queue, done)) }
    }
}

extension Batch {
    /// Adds a message as a record, under the id that it has.
    func add(_ message: Message) {
        func keep(_ text: some Collection<UInt8>) -> Range<Int> {
            let start = originals.count
            originals.append(contentsOf: text)
            return start..<originals.count
        }
        let start = bytes.count
        bytes.append(contentsOf: message.payload)
        var entry = Entry(
            text: start..<bytes.count, original: keep(message.payload), problem: 0..<0,
            position: message.number, line: message.number,
            originalLength: UInt64(message.payload.count))
        entry.id = keep(message.id.utf8)
        entry.attempt = message.attempt
        if !message.headers.isEmpty {
            let fields = message.headers.map { Field($0.name, .string($0.value)) }
            entry.headers = keep(Value.object(fields).json)
        }
        entries.append(entry)
    }
}

/// Rows into a queue; each is a message once its commit is kept.
final class QueueSink: OutletSink {
    private let queue: QueueHandle
    private var rows: [[UInt8]] = []

    init(_ queue: String, _ store: Store<SystemDisk>) throws(ConnectorError) {
        do throws(QueueError) { self.queue = try store.queue(queue) } catch {
            throw ConnectorError("sinks: \(error)")
        }
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        self.rows += unsafe lines(of: rows)
    }

    func addEntries(to draft: inout CommitDraft) {
        guard !rows.isEmpty else { return }
        draft.messages.append((queue, rows))
        rows.removeAll()
    }
}

extension PipelineStore {
    /// A sink into a queue, or into an exchange.
    func sink(_ name: String) throws(ConnectorError) -> any OutletSink {
        if let exchange = exchanges.first(where: { $0.name == name }) {
            return ExchangeSink(exchange)
        }
        return try QueueSink(name, queues)
    }
}

/// Rows into whatever queues an exchange says; each is a message once its commit is kept.
final class ExchangeSink: OutletSink {
    private let exchange: Exchange
    private var rows: [CommitDraft.Routed] = []

    init(_ exchange: Exchange) { self.exchange = exchange }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        for line in unsafe lines(of: rows) {
            let message = NewMessage(line)
            do throws(QueueError) {
                let queues = try exchange.targets(of: message, topic: nil)
                self.rows.append(CommitDraft.Routed(message: message, queues: queues))
            } catch {
                throw ConnectorError("sinks: \(error)")
            }
        }
    }

    func addEntries(to draft: inout CommitDraft) {
        draft.routed += rows
        rows.removeAll()
    }
}

/// Dead letters on their way into the store.
final class LetterSink: OutletSink {
    private var rows: [[UInt8]] = []

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        self.rows += unsafe lines(of: rows)
    }

    func addEntries(to draft: inout CommitDraft) {
        draft.letters += rows
        rows.removeAll()
    }
}

/// Whole rows as arrays, without their line breaks.
package func lines(of rows: UnsafeRawBufferPointer) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var start = 0
    var end = 0
    while end < rows.count {
        if unsafe rows[end] == 0x0A {
            lines.append(unsafe Array(rows[start..<end]))
            start = end + 1
        }
        end += 1
    }
    return lines
}
