public import Definitions
public import Engine

extension RunningPipeline {
    /// The dead letters in the store, in the order in which they came; none when the run keeps
    /// nothing. A letter is there once its commit is kept.
    ///
    /// - Throws: ``PipelineError`` when the store cannot be read.
    public func deadLetters() async throws(PipelineError) -> [DeadLetter] {
        let run = run
        return try await onThread { () throws(PipelineError) in try run.deadLetters?.list() ?? [] }
    }

    /// Runs dead letters again, from the first stage on, with the rules of now; returns when what
    /// became of them is kept. Those that fail again are dead letters again.
    ///
    /// - Parameter ids: which of them, by ``DeadLetter/id``; nil for all.
    /// - Throws: ``PipelineError`` when there is none of an id, or the pipeline is stopping.
    @discardableResult
    public func replay(_ ids: [String]? = nil) async throws(PipelineError) -> ReplayResult {
        let run = run
        return try await onThread { () throws(PipelineError) in
            try run.replay(try Self.letters(ids, run))
        }
    }

    /// What the rules of now would make of dead letters; nothing changes.
    ///
    /// - Parameter ids: which of them, by ``DeadLetter/id``; nil for all.
    /// - Throws: ``PipelineError`` when there is none of an id.
    public func tryReplay(_ ids: [String]? = nil) async throws(PipelineError) -> ReplayResult {
        let run = run
        return try await onThread { () throws(PipelineError) in
            try run.tryReplay(try Self.letters(ids, run))
        }
    }

    /// Throws all dead letters away for good; returns how many there were.
    @discardableResult
    public func purgeDeadLetters() async throws(PipelineError) -> Int {
        let run = run
        return try await onThread { () throws(PipelineError) in try run.deadLetters?.purge() ?? 0 }
    }

    private static func letters(
        _ ids: [String]?, _ run: PipelineRun
    ) throws(PipelineError) -> [DeadLetter] {
        guard let letters = run.deadLetters else {
            throw PipelineError(
                exitCode: 2,
                "the pipeline keeps nothing, so it has no dead letters; start it without `fresh`")
        }
        guard let ids else { return try letters.list() }
        return ids.isEmpty ? [] : try letters.find(ids)
    }
}
