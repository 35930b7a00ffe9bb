package import Definitions

/// What whoever has started a run may do when it does not end by itself.
extension PipelineRun {
    /// Ends the run as failed, for this reason: nothing is committed any more, so what was not
    /// comes with the next run. Any thread.
    package func giveUp(_ reason: PipelineError) { fail(reason) }
}
