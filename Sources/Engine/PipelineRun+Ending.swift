internal import Connecting
package import Definitions
internal import Threads

/// What whoever has started a run may do when it does not end by itself.
extension PipelineRun {
    /// Takes what a person is to hear, each time whole lines. Any thread.
    package var tell: @Sendable (String) -> Void { options.tell }

    /// Ends the run as failed, for this reason: nothing is committed any more, so what was not
    /// comes with the next run. Any thread.
    package func giveUp(_ reason: PipelineError) { fail(reason) }
}

extension PipelineRun {
    /// The files of all sources so far.
    var fileCounts: FileCounts {
        shared.withLock { state in
            state.files.sorted { $0.key < $1.key }.reduce(into: FileCounts()) {
                $0.read += $1.value.read
                $0.failed += $1.value.failed
                $0.hasEnded = $0.hasEnded || $1.value.hasEnded
            }
        }
    }
}
