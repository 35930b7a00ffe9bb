package import Definitions

/// What whoever has started a run may do when it does not end by itself.
extension PipelineRun {
    /// Takes what a person is to hear, each time whole lines. Any thread.
    package var tell: @Sendable (String) -> Void { options.tell }

    /// Ends the run as failed, for this reason: nothing is committed any more, so what was not
    /// comes with the next run. Any thread.
    package func giveUp(_ reason: PipelineError) { fail(reason) }
}
