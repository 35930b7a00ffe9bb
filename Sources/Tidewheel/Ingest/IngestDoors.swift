internal import Connecting
internal import Connectors
internal import Definitions
internal import Threads

/// The sources of a pipeline that take records from the program, by their names. Any thread.
final class IngestDoors: Sendable {
    private struct State {
        var queues: [String: IngestQueue] = [:]
        /// Those from which everything was read after they were closed.
        var finished: Set<String> = []
        /// Asks the run to end; there once it is to.
        var stop: (@Sendable () -> Void)?
    }

    private let state = Locked(State())

    /// The kind `ingest` of pipeline.yaml: `source: {ingest: {}}`.
    var kind: SourceKind { .ingest(opener) }

    /// What opens one of these sources.
    var opener: @Sendable (RunContext) throws(ConnectorError) -> any Source {
        { [self] (context: RunContext) throws(ConnectorError) -> any Source in
            IngestSource(self, context: context)
        }
    }

    /// A source begins to read what is handed in under its name.
    func open(_ name: String) -> IngestQueue {
        state.withLock { state in
            let queue = state.queues[name] ?? IngestQueue()
            state.queues[name] = queue
            return queue
        }
    }

    /// The queue of a source, or of the only one when no name is given.
    func queue(_ name: String?) throws(PipelineError) -> IngestQueue {
        let queues = state.withLock { $0.queues }
        if let name, let queue = queues[name] { return queue }
        if name == nil, queues.count == 1, let only = queues.first { return only.value }
        let names = queues.keys.sorted().joined(separator: ", ")
        let known = names.isEmpty ? "" : "; name one of those that are: \(names)"
        let what = name.map { "the source \"\($0)\" is not" } ?? "there is not one source that is"
        throw PipelineError(
            exitCode: 2, "\(what) `{ingest: {}}`, so no records can be handed in\(known)")
    }

    /// Nothing more is handed in; once all was read, `stop` is called, if there is one.
    func close(thenStop stop: (@Sendable () -> Void)?) {
        let (queues, isFinished) = state.withLock { state in
            if let stop { state.stop = stop }
            return (state.queues.values, state.finished.count == state.queues.count)
        }
        for queue in queues { queue.close() }
        if isFinished { stop?() }
    }

    /// All that was handed in under a name was read and run. True when the run was asked to end,
    /// so that the source needs not.
    func noteFinished(_ name: String) -> Bool {
        let (stop, isLast) = state.withLock { state in
            state.finished.insert(name)
            return (state.stop, state.finished.count == state.queues.count)
        }
        if isLast { stop?() }
        return stop != nil
    }

    /// The run is over.
    func end(_ failure: PipelineError?) {
        for queue in state.withLock({ $0.queues.values }) { queue.end(failure) }
    }
}
