internal import Definitions
internal import Engine
public import Records
internal import Synchronization
internal import Threads

/// Rows that pass a point of a running pipeline, as an asynchronous sequence; see
/// ``RunningPipeline/tap(_:_:where:)``.
public struct TapSequence: AsyncSequence, Sendable {
    /// A row that has passed.
    public typealias Element = Record

    private let rows: AsyncStream<Record>

    /// Takes the rows.
    public struct Iterator: AsyncIteratorProtocol {
        var rows: AsyncStream<Record>.Iterator

        /// The next row; nil at the end, and when the task is cancelled.
        public mutating func next() async -> Record? { await rows.next() }
    }

    /// Begins to read.
    public func makeAsyncIterator() -> Iterator { Iterator(rows: rows.makeAsyncIterator()) }

    /// Rows that wait before more of them are left out.
    private static let capacity = 1024

    /// Begins to look, on a thread of its own; returns once it does.
    static func begin(
        _ run: PipelineRun, _ stage: String, _ point: TapPoint, _ condition: String?
    ) async throws(PipelineError) -> TapSequence {
        let (rows, feed) = AsyncStream.makeStream(
            of: Record.self, bufferingPolicy: .bufferingOldest(capacity))
        let flag = EndFlag()
        feed.onTermination = { _ in flag.raise() }
        try await withCheckedContinuation { begun in
            WorkerThread {
                do throws(PipelineError) {
                    let filter = try condition.map { text throws(PipelineError) in
                        try RowFilter(text, stage: stage, of: run)
                    }
                    let tap = try run.beginTap(stage, point)
                    begun.resume(returning: Result<Void, PipelineError>.success(()))
                    pump(tap, filter, into: feed, until: flag)
                    run.endTap(tap)
                } catch {
                    begun.resume(returning: Result<Void, PipelineError>.failure(error))
                }
                feed.finish()
            }.detach()
        }.get()
        return TapSequence(rows: rows)
    }

    private static func pump(
        _ tap: Tap, _ filter: RowFilter?, into feed: AsyncStream<Record>.Continuation,
        until flag: EndFlag
    ) {
        while !flag.isRaised, !tap.isFinished {
            guard let row = tap.next(milliseconds: 20), filter?.matches(row) ?? true,
                let record = try? Record(json: row)
            else { continue }
            feed.yield(record)
        }
    }
}

/// Raised once, by whoever does not look any more.
private final class EndFlag: Sendable {
    private let raised = Atomic<Bool>(false)
    var isRaised: Bool { raised.load(ordering: .relaxed) }
    func raise() { raised.store(true, ordering: .relaxed) }
}
