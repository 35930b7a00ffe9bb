internal import Connecting

/// A sink as the outlet writes to it: a connector, an outbox, a queue, an exchange, dead letters on
/// their way into the store, or a tap. Used by the outlet's thread.
protocol OutletSink: Participant {
    /// Takes whole rows; see `Sink.write`.
    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError)
    /// What was written becomes visible now.
    func flush() throws(ConnectorError)
    /// Looks for changes from outside; true when a commit is wanted soon.
    func look() throws(ConnectorError) -> Bool
    /// A commit begins: what was written must be complete.
    func prepareCommit() throws(ConnectorError)
    /// The other side is to be opened anew.
    func reconnect() throws(ConnectorError)
    /// Rows that the other side has refused since the last call, each once.
    func takeRefused() -> [RefusedDelivery]
    /// The run ends well; there will be no more rows.
    func finish() throws(ConnectorError)
    /// The run has failed.
    func abandon()
}

extension OutletSink {
    func flush() throws(ConnectorError) {}
    func look() throws(ConnectorError) -> Bool { false }
    func prepareCommit() throws(ConnectorError) {}
    func reconnect() throws(ConnectorError) {}
    func takeRefused() -> [RefusedDelivery] { [] }
    func finish() throws(ConnectorError) {}
    func abandon() {}
}

/// A row that a sink will never take, and why.
struct RefusedDelivery: Sendable, Hashable {
    /// The row without its line break.
    var row: [UInt8]
    /// The other side's words.
    var reason: String
}

/// A connector's sink; its positions go into the commit under the sink's name.
final class ConnectorSink: OutletSink {
    private let sink: any Sink
    private let owner: String
    private var isFinished = false

    init(_ sink: any Sink, name: String) {
        self.sink = sink
        owner = "sink \(name)"
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        try unsafe sink.write(rows, count: count)
    }

    func flush() throws(ConnectorError) { try sink.flush() }
    func look() throws(ConnectorError) -> Bool { try sink.look() }
    func prepareCommit() throws(ConnectorError) { try sink.prepareCommit() }
    func reconnect() throws(ConnectorError) { try sink.reconnect() }
    func abandon() { sink.abandon() }

    func finish() throws(ConnectorError) {
        try sink.finish()
        isFinished = true
    }

    func addEntries(to draft: inout CommitDraft) {
        sink.takePositions { name, position in draft.addPosition(owner, name, position) }
        if sink.awaitsCommit { draft.isAwaited = true }
        // What was finished is synced, and closed.
        if !isFinished, let syncer = sink.syncer { draft.syncers.append(syncer) }
    }
}
