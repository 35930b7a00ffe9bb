/// The name of one row of one sink: the same however often the row is handed over, over kills and
/// restarts, and never that of another row.
///
/// The rows of a sink are numbered from 1 without a gap as long as its store is kept.
public struct RowKey: Sendable, Hashable, CustomStringConvertible {
    /// The pipeline's name at the time of the commit.
    public var pipeline: String
    /// The sink's name.
    public var sink: String
    /// The row's number among those of its sink, from 1.
    public var number: UInt64

    /// Creates a key.
    public init(pipeline: String, sink: String, number: UInt64) {
        self.pipeline = pipeline
        self.sink = sink
        self.number = number
    }

    /// `PIPELINE/SINK/NUMBER`, the idempotency key for the other side.
    public var description: String { "\(pipeline)/\(sink)/\(number)" }
}

/// A sink whose rows cannot be taken back once they are out, such as a pipe or a service.
///
/// Its rows go into the store with the commit that they belong to, and are handed over once that
/// commit is kept. The next commit notes how far that has come; what was handed over and not noted
/// comes again after a kill, under the same keys and before any new row. So the other side gets
/// every row at least once, and exactly once if it remembers keys. With `delivery: at_most_once`
/// the note is kept first: then rows may be missing, and none comes twice.
///
/// Each such sink has a thread of its own, from which all calls come but `giveUp`: one that is slow
/// or away holds up no other.
public protocol OutboxSink: AnyObject {
    /// Delivers whole rows, each one JSON text and "\n", and returns once the other side has them
    /// all. `first` is the key of the first row; the others follow number by number.
    ///
    /// What was handed over in one call comes again in one call, with the same bytes, so `first`
    /// may name all of it. A call holds the rows of one commit: about 1 MiB, more when single
    /// batches bring more. It may take as long as it needs: when too much waits, the sources are
    /// not read.
    ///
    /// - Throws: an error whose `remedy` says when the same rows are to come again, or which of
    ///   them are refused for good, while all others count as delivered. One that stops ends the
    ///   run, and the rows come again with the next one.
    func deliver(
        _ rows: UnsafeRawBufferPointer, count: Int, first: RowKey
    ) throws(ConnectorError)
    /// The other side is to be opened anew, because `deliver` asked for it.
    func reconnect() throws(ConnectorError)
    /// Called once at the end of a run that went well, when all rows are delivered.
    func finish() throws(ConnectorError)
    /// Called once instead of `finish` when the run failed, or could not wait.
    func abandon()
    /// The run ends and cannot wait any longer: a `deliver` that waits for the other side throws
    /// now. Called from any thread, and more than once; the rows stay in the store.
    func giveUp()
}

extension OutboxSink {
    /// There is no connection.
    public func reconnect() throws(ConnectorError) {}
    /// Nothing waits.
    public func giveUp() {}
}
