internal import Connecting
package import Definitions
internal import Threads

/// What whoever has started a run may do when it does not end by itself.
extension PipelineRun {
    /// Takes what a person is to hear, each time whole lines. Any thread.
    package var tell: @Sendable (String) -> Void { options.tell }

    /// True when windows close at the end of the input. What nobody keeps cannot stay open.
    var closesAtEnd: Bool {
        plan.definition.endOfInput == .close || opening == nil || options.drain
    }

    /// Says why records came too late that nobody was late with.
    func tellOfClosed(_ count: Int) {
        guard count > 0 else { return }
        options.tell(
            "hint: \(count) records came too late because an earlier run has closed their windows "
                + "at the end of its input; `end_of_input: keep` in pipeline.yaml leaves windows "
                + "open for the next run\n")
    }

    /// Waits for the end and asks `isWanted` meanwhile; when it is not, the run is given up.
    package func wait(while isWanted: () -> Bool) -> Result<Summary, PipelineError> {
        let pause = Channel<Void>(capacity: 1)
        while !isOver {
            if !isWanted() { giveUp(PipelineError(exitCode: 1, "it was not waited for")) }
            _ = pause.receive(milliseconds: 1)
        }
        return wait()
    }

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
