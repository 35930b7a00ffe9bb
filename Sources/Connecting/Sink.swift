/// Where rows go at once, and from where they can be taken back; used by one thread only.
///
/// What was written counts once it is committed: `takePositions` says how far that is, `syncer`
/// makes it last, then the positions go into the store. What lies behind them is cut off by the
/// next run. A sink that cannot cut off rows is better an `OutboxSink`.
public protocol Sink: AnyObject {
    /// Takes whole rows, each one JSON text and "\n".
    ///
    /// - Throws: an error whose `remedy` says whether the same rows come again, or which of them
    ///   are refused for good, while all others count as written.
    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError)
    /// Called when no more rows are at hand: what was written must become visible now.
    func flush() throws(ConnectorError)
    /// Called several times a second between two writes, whether or not rows come: a sink looks
    /// here whether somebody has changed what it writes to.
    ///
    /// - Returns: true when a commit is wanted soon, though perhaps no rows wait for one.
    func look() throws(ConnectorError) -> Bool
    /// A commit begins: what was written must be complete before `takePositions` tells of it.
    func prepareCommit() throws(ConnectorError)
    /// True when the positions that were taken last must be kept before anything else is written.
    var awaitsCommit: Bool { get }
    /// Calls with each position that has changed since the last call, under names of the sink's
    /// own.
    func takePositions(_ body: (_ name: String, _ position: [UInt8]) -> Void)
    /// Waits until everything written before the call is on stable storage; runs on another thread
    /// while rows are written. Nil when there is nothing to wait for.
    var syncer: (@Sendable () throws(ConnectorError) -> Void)? { get }
    /// The other side is to be opened anew, because `write` asked for it.
    func reconnect() throws(ConnectorError)
    /// Called once at the end of a run that went well; positions may change once more.
    func finish() throws(ConnectorError)
    /// Called once instead of `finish` when the run failed; leaves no half-written file in place.
    func abandon()
}

extension Sink {
    /// Nobody can change it.
    public func look() throws(ConnectorError) -> Bool { false }
    /// Rows are complete as soon as they are written.
    public func prepareCommit() throws(ConnectorError) {}
    /// Nothing waits.
    public var awaitsCommit: Bool { false }
    /// Says nothing: rows cannot be taken back.
    public func takePositions(_ body: (_ name: String, _ position: [UInt8]) -> Void) {}
    /// Nothing to wait for.
    public var syncer: (@Sendable () throws(ConnectorError) -> Void)? { nil }
    /// There is no connection.
    public func reconnect() throws(ConnectorError) {}
}

/// A sink that was opened, by the way in which it takes rows.
public enum OpenedSink {
    /// Rows are written as they come, and what is not committed is cut off by the next run.
    case rows(any Sink)
    /// Rows go into the store with their commit, and are delivered once it is kept.
    case outbox(any OutboxSink)
}
