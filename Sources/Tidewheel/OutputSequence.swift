internal import Connecting
internal import Engine
internal import Glibc
public import Records
internal import Threads

/// What leaves a stage, record by record; ends when the pipeline ends. One reader at a time.
public struct OutputSequence: AsyncSequence, Sendable {
    /// A record that left the stage.
    public typealias Element = Record

    let queue: OutputQueue

    /// Takes the records out of the queue.
    public struct Iterator: AsyncIteratorProtocol {
        let queue: OutputQueue

        /// The next record, or nil at the end.
        public mutating func next() async -> Record? { await queue.next() }
    }

    /// Begins to read.
    public func makeAsyncIterator() -> Iterator { Iterator(queue: queue) }
}

/// Records between the writer's thread and a task that reads them.
///
/// A thread cannot wait for a task, so the bound is a channel of permits: the writer takes one per
/// record and the reader gives it back.
final class OutputQueue: Sendable {
    private struct State {
        var records: [Record] = []
        var reader: CheckedContinuation<Record?, Never>?
        var isFinished = false
    }

    private static let capacity = 1024
    private let state = Locked(State())
    private let permits = Channel<Void>(capacity: OutputQueue.capacity)

    init() { for _ in 0..<Self.capacity { permits.send(()) } }

    /// Called by the writer; waits while the reader is far behind.
    func send(_ record: Record) {
        guard permits.receive() != nil else { return }
        let reader = state.withLock { state -> CheckedContinuation<Record?, Never>? in
            let reader = state.reader
            state.reader = nil
            if reader == nil { state.records.append(record) }
            return reader
        }
        if let reader {
            permits.send(())
            reader.resume(returning: record)
        }
    }

    /// Called by the writer at the end.
    func finish() {
        let reader = state.withLock { state in
            let reader = state.reader
            state.reader = nil
            state.isFinished = true
            return reader
        }
        reader?.resume(returning: nil)
    }

    func next() async -> Record? {
        await withCheckedContinuation { continuation in
            let answer = state.withLock { state -> Record?? in
                if !state.records.isEmpty { return state.records.removeFirst() }
                if state.isFinished { return .some(nil) }
                state.reader = continuation
                return nil
            }
            guard let answer else { return }
            if answer != nil { permits.send(()) }
            continuation.resume(returning: answer)
        }
    }
}

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

    init(_ queue: OutputQueue) { self.queue = queue }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        try unsafe forEachRecord(rows) { record in queue.send(record) }
    }
    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) { queue.finish() }
    func abandon() { queue.finish() }
}

/// A sink written in Swift, which is given one record at a time.
final class ClosureSink: Sink {
    private let take: @Sendable (Record) throws(ConnectorError) -> Void
    /// So many records of a call that failed were taken; they do not come again with the next try.
    private var taken = 0
    private var refused: [RefusedRow] = []

    init(_ take: @escaping @Sendable (Record) throws(ConnectorError) -> Void) { self.take = take }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        var index = 0
        try unsafe forEachRecord(rows) { record throws(ConnectorError) in
            defer { index += 1 }
            guard index >= taken else { return }
            do throws(ConnectorError) { try take(record) } catch {
                if case .refuse(let reasons) = error.remedy {
                    // To the closure its record is the only one.
                    let reason = reasons.first?.reason ?? error.description
                    refused.append(RefusedRow(index: index, reason: reason))
                    return
                }
                taken = index
                throw error
            }
        }
        taken = 0
        guard !refused.isEmpty else { return }
        defer { refused = [] }
        throw ConnectorError("records were refused", remedy: .refuse(refused))
    }
    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) {}
    func abandon() {}
}
