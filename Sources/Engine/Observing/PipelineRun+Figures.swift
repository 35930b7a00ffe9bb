internal import Definitions
internal import Synchronization
internal import Threads

/// What a run has done until now. Each figure is true at some moment of the call.
package struct RunFigures: Sendable {
    /// The pipeline's name.
    package var name: String
    /// The version of the rules that is wanted.
    package var ruleSet: String
    /// Since the start.
    package var seconds: Double
    /// Records that were read.
    package var read: Int
    /// Rows by sink, in the order of the definition.
    package var delivered: [(sink: String, rows: Int)]
    /// Records that became dead letters.
    package var deadLetters: Int
    /// Commits that are kept; 0 without a store.
    package var commits: Int
    /// Entries that windows hold.
    package var windowKeys: Int
}

extension PipelineRun {
    /// What the run has done until now. Any thread, also when it is over.
    package var figures: RunFigures {
        let (delivered, keys) = shared.withLock { ($0.delivered, $0.windows.keys) }
        let progress = progress
        return RunFigures(
            name: plan.definition.name, ruleSet: versions.wanted.name,
            seconds: Double(monotonicNanoseconds() - startedAt) / 1e9, read: progress.read,
            delivered: zip(plan.definition.sinks, delivered).map { ($0.name, $1) },
            deadLetters: progress.deadLetters, commits: committer?.count ?? 0,
            windowKeys: keys + windowSizes.total.keys)
    }
}
