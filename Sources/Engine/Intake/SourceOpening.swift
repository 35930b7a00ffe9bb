internal import Connecting
internal import Definitions
internal import Queueing
internal import Records
internal import Threads

extension PipelineRun {
    /// Opens all sources where an earlier run has left them; a pipeline of nothing but handlers has
    /// one that waits for their queues.
    func openSources(_ context: RunContext) throws(PipelineError) -> SourceSet {
        let definition = plan.definition
        let idleNanoseconds = (definition.time?.idleMilliseconds).map { $0 * 1_000_000 }
        if options.onlyReplays { return SourceSet([], idleNanoseconds: idleNanoseconds) }
        if definition.sources.isEmpty, let store, !definition.handlers.isEmpty {
            let waiting = HandlersSource(self, store)
            return SourceSet([("handlers", waiting)], idleNanoseconds: idleNanoseconds)
        }
        guard !definition.sources.isEmpty else {
            throw PipelineError(exitCode: 2, "the pipeline has no source")
        }
        var sources: [(name: String, source: any IntakeSource)] = []
        do {
            for source in definition.sources {
                var context = context
                context.sourceName = source.name
                context.noteFiles = { [self] counts in
                    shared.withLock { $0.files[source.name] = counts }
                }
                context.resumption.positions =
                    store?.state.positions["source \(source.name)"] ?? [:]
                sources.append((source.name, try open(source, context)))
            }
        } catch {
            throw PipelineError(exitCode: 1, "error: \(error.description)")
        }
        return SourceSet(sources, idleNanoseconds: idleNanoseconds, lanes: laneCount)
    }

    private func open(
        _ source: SourceDefinition, _ context: RunContext
    ) throws(ConnectorError) -> any IntakeSource {
        guard let queue = source.queue else {
            return ConnectorSource(try source.open(context), name: source.name)
        }
        guard let store else { throw ConnectorError.queueNeedsStore }
        return try QueueSource(queue, store.queues, context)
    }

    /// The event time of the run's sources, as it was last committed.
    func makeClock() -> EventClock {
        let definition = plan.definition
        var clock = EventClock(
            sources: definition.sources.map(\.name),
            outOfOrderness: definition.time?.outOfOrdernessMilliseconds ?? 0)
        if let store { clock.restore(store.state.times) }
        return clock
    }
}
