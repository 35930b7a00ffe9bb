/// Where rows go; used by one thread only.
public protocol Sink: AnyObject {
    /// Takes whole rows, each one JSON text and "\n".
    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError)
    /// Called when no more rows are at hand: what was written must become visible now.
    func flush() throws(ConnectorError)
    /// Called once at the end of a run that went well.
    func finish() throws(ConnectorError)
    /// Called once instead of `finish` when the run failed; leaves no half-written file in place.
    func abandon()
}
