internal import Definitions
internal import Engine
internal import Threads

/// Waits for the end of a run that was asked to stop, and ends it when it hangs. One thread.
struct Stopping {
    let run: PipelineRun
    let end: RunEnd
    let pulse: Pulse
    let outputs: [OutputQueue]
    /// How long the run may do nothing, in milliseconds.
    let patience: UInt64
    /// How long a run that was given up may take for its end, in milliseconds.
    private static let farewell = 1000

    /// What came of the run.
    func result() -> Result<Summary, PipelineError> {
        var seen = Standing(run, pulse)
        var since = monotonicNanoseconds()
        while true {
            if let result = end.wait(milliseconds: 10) { return result }
            let now = Standing(run, pulse)
            if now != seen {
                seen = now
                since = monotonicNanoseconds()
            } else if monotonicNanoseconds() - since >= patience * 1_000_000 {
                return giveUp()
            }
        }
    }

    private func giveUp() -> Result<Summary, PipelineError> {
        let places = pulse.busyPlaces.joined(separator: ", ")
        let what = places.isEmpty ? "" : "; waiting for \(places)"
        let text =
            "error: the pipeline was asked to stop and did nothing for \(patience) ms\(what); "
            + "what is not committed is not lost: a store gives it to the next run"
        run.giveUp(PipelineError(exitCode: 1, text))
        for output in outputs { output.abandon() }
        if let result = end.wait(milliseconds: Self.farewell) { return result }
        return .failure(
            PipelineError(
                exitCode: 1,
                "\(text)\nit still does not return; its thread is left alone, and the store stays "
                    + "open until it does or the process ends"))
    }

    /// What changes while a run does something.
    private struct Standing: Equatable {
        let read: Int
        let delivered: Int
        let deadLetters: Int
        let commits: Int
        let beats: Int

        init(_ run: PipelineRun, _ pulse: Pulse) {
            let figures = run.figures
            read = figures.read
            deadLetters = figures.deadLetters
            commits = figures.commits
            delivered = run.progress.delivered
            beats = pulse.count
        }
    }
}
