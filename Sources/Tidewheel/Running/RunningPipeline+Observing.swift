public import Definitions
public import Engine
public import Queueing
public import Records
internal import Trials

/// What a pipeline has done until now.
public struct MetricsSnapshot: Sendable {
    /// The pipeline's name.
    public var pipeline: String
    /// The version of the rules, as ``RunningPipeline/versions`` names it.
    public var ruleSet: String
    /// Seconds since the start.
    public var seconds: Double
    /// Records that were read, malformed ones too, and dead letters that were run again.
    public var read: Int
    /// Rows by sink, in the order of pipeline.yaml; those that were added in Swift come last.
    public var delivered: [(sink: String, rows: Int)]
    /// Records that became dead letters.
    public var deadLetters: Int
    /// Commits that are kept; 0 when the run keeps nothing.
    public var commits: Int
    /// Entries that windows hold.
    public var windowKeys: Int
    /// The queues of the store by name, the engine's own left out; none when the run keeps nothing.
    public var queues: [QueueStatus]
}

/// What became of one record, stage by stage.
public struct Explanation: Sendable {
    /// A record for where it was found, one for each stage, and one for the end: `what` is
    /// `record`, `stage` or `end`.
    public var steps: [Record]

    /// The same in words, some lines for each step.
    public var text: String { LookTables.explanation(steps).joined(separator: "\n") }
}

extension RunningPipeline {
    /// What the pipeline has done until now. It costs little, and may be asked every second.
    public func metrics() -> MetricsSnapshot {
        let figures = run.figures
        let queues = (try? run.queueStore?.status()) ?? []
        return MetricsSnapshot(
            pipeline: figures.name, ruleSet: figures.ruleSet, seconds: figures.seconds,
            read: figures.read, delivered: figures.delivered, deadLetters: figures.deadLetters,
            commits: figures.commits, windowKeys: figures.windowKeys,
            queues: queues.filter { !$0.name.hasPrefix(".") })
    }

    /// What became of a record, stage by stage, with the rules and the state of now; nothing
    /// changes.
    ///
    /// - Parameter id: `meta.id` of the record: the `id` of a dead letter, or FILE:POSITION, which
    ///   is `ingest:NUMBER`, or SOURCE:NUMBER with several sources, for one that was handed in. It
    ///   is looked for among the dead letters, the last records, and the files of the sources.
    /// - Throws: ``PipelineError`` when there is no such record.
    public func explain(_ id: String) async throws(PipelineError) -> Explanation {
        let run = run
        return try await onThread { () throws(PipelineError) in
            Explanation(steps: try run.explain(id))
        }
    }

    /// Looks at the rows that pass a point of a stage, for as long as they are read.
    ///
    /// Rows that come faster than they are read are left out, so that the stream never waits. The
    /// sequence ends with the pipeline, and when the task that reads is cancelled. Up to
    /// eight taps at a time look at a pipeline.
    ///
    /// - Parameters:
    ///   - stage: the name of a stage.
    ///   - point: what comes to it, what leaves it, or the dead letters of all stages.
    ///   - condition: an expression in Lua on the record `r`, such as `r.amount > 100`; it runs
    ///     beside the stream.
    /// - Throws: ``PipelineError`` when there is no such stage, the condition is none, or eight
    ///   others look.
    public func tap(
        _ stage: String, _ point: TapPoint = .output(nil), where condition: String? = nil
    ) async throws(PipelineError) -> TapSequence {
        try await TapSequence.begin(run, stage, point, condition)
    }
}
