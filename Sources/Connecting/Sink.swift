/// Where rows go; used by one thread only.
///
/// What was written counts once it is committed: `takePositions` says how far that is, `syncer`
/// makes it last, then the positions go into the store. What lies behind them is cut off by the
/// next run. A sink that cannot cut off rows is better an `OutboxSink`.
public protocol Sink: Resumable {
    /// Takes whole rows, each one JSON text and "\n".
    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError)
    /// Called when no more rows are at hand: what was written must become visible now.
    func flush() throws(ConnectorError)
    /// Waits until everything written before the call is on stable storage; runs on another thread
    /// while rows are written. Nil when there is nothing to wait for.
    var syncer: (@Sendable () throws(ConnectorError) -> Void)? { get }
    /// Called once at the end of a run that went well; positions may change once more.
    func finish() throws(ConnectorError)
    /// Called once instead of `finish` when the run failed; leaves no half-written file in place.
    func abandon()
}

extension Sink {
    /// Says nothing: rows cannot be taken back.
    public func takePositions(_ body: (_ name: String, _ position: [UInt8]) -> Void) {}
    /// Nothing to wait for.
    public var syncer: (@Sendable () throws(ConnectorError) -> Void)? { nil }
}
