public import Connecting
internal import Threads

/// What sinks that follow a script were asked to do; safe to look at from another thread.
public final class SinkWatch: Sendable {
    struct State: Sendable {
        var answers: [ConnectorError?] = []
        var rows: [String] = []
        var events: [String] = []
        var violations: [String] = []
        /// What the next call must bring, after one that failed.
        var again: String?
        var mustReconnect = false
        var isOver = false
    }

    let state: Locked<State>
    private let onWrite: @Sendable (Int) -> Void

    /// Prepares the answers to calls, in order; nil takes the rows, and so does every call behind.
    ///
    /// - Parameter onWrite: called with how many rows were taken by then.
    public init(_ answers: [ConnectorError?], onWrite: @escaping @Sendable (Int) -> Void = { _ in })
    {
        state = Locked(State(answers: answers.reversed()))
        self.onWrite = onWrite
    }

    /// The rows that were taken.
    public var rows: [String] { state.withLock { $0.rows } }
    /// Failures, reconnections and the end, in order.
    public var events: [String] { state.withLock { $0.events } }
    /// What was against the contract.
    public var violations: [String] { state.withLock { $0.violations } }

    func take(
        _ rows: UnsafeRawBufferPointer, count: Int, key: String
    ) throws(ConnectorError) {
        let text = unsafe String(decoding: rows, as: UTF8.self)
        let lines = text.split(separator: "\n").map(String.init)
        let error = state.withLock { $0.answer(key + text, lines, count) }
        if let error { throw error }
        onWrite(state.withLock { $0.rows.count })
    }

    func reconnect() {
        state.withLock {
            $0.events.append("reconnect")
            if !$0.mustReconnect { $0.violations.append("reconnected without being asked for") }
            $0.mustReconnect = false
        }
    }

    func end(_ event: String) {
        state.withLock {
            $0.events.append(event)
            if $0.isOver { $0.violations.append("\(event) behind the end") }
            $0.isOver = true
        }
    }
}

extension SinkWatch.State {
    /// Answers one call with rows.
    fileprivate mutating func answer(
        _ call: String, _ lines: [String], _ count: Int
    ) -> ConnectorError? {
        if isOver { violations.append("rows behind the end") }
        if count != lines.count { violations.append("\(lines.count) rows, said to be \(count)") }
        if mustReconnect { violations.append("not reconnected before the next try") }
        mustReconnect = false
        if let again, again != call { violations.append("other rows after a failure: \(call)") }
        again = nil
        guard let error = answers.popLast() ?? nil else {
            rows += lines
            return nil
        }
        events.append("\(error)")
        switch error.remedy {
        case .stop: break
        case .retry: again = call
        case .reconnect: (again, mustReconnect) = (call, true)
        case .refuse(let refused):
            let indices = Set(refused.map(\.index))
            rows += lines.indices.filter { !indices.contains($0) }.map { lines[$0] }
        }
        return error
    }
}

/// A sink that follows a script.
public final class ScriptedSink: Sink {
    private let watch: SinkWatch

    /// Takes what it answers.
    public init(_ watch: SinkWatch) { self.watch = watch }

    /// Answers as the script says.
    public func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        try unsafe watch.take(rows, count: count, key: "")
    }
    /// Nothing is held back.
    public func flush() throws(ConnectorError) {}
    /// Notes the call.
    public func reconnect() throws(ConnectorError) { watch.reconnect() }
    /// Notes the end.
    public func finish() throws(ConnectorError) { watch.end("finish") }
    /// Notes the end.
    public func abandon() { watch.end("abandon") }
}

/// An outbox sink that follows a script; its rows are noted with their keys.
public final class ScriptedOutbox: OutboxSink {
    private let watch: SinkWatch

    /// Takes what it answers.
    public init(_ watch: SinkWatch) { self.watch = watch }

    /// Answers as the script says.
    public func deliver(
        _ rows: UnsafeRawBufferPointer, count: Int, first: RowKey
    ) throws(ConnectorError) {
        try unsafe watch.take(rows, count: count, key: "\(first) ")
    }
    /// Notes the call.
    public func reconnect() throws(ConnectorError) { watch.reconnect() }
    /// Notes the end.
    public func finish() throws(ConnectorError) { watch.end("finish") }
    /// Notes the end.
    public func abandon() { watch.end("abandon") }
}
