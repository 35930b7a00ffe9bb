internal import Definitions
internal import Queueing
internal import Threads

/// The thread that tells of messages that have died, whoever has let them: no thread that works
/// waits for it.
struct QueueWatch {
    private let run: PipelineRun
    private let store: PipelineStore
    private static let lookMilliseconds = 250

    init(_ run: PipelineRun, _ store: PipelineStore) {
        self.run = run
        self.store = store
    }

    func main() {
        let pause = Channel<Void>(capacity: 1)
        while !run.isEnding {
            tell()
            _ = pause.receive(milliseconds: Self.lookMilliseconds)
        }
        tell()
    }

    private func tell() {
        for death in store.queues.takeDeaths() {
            let error = death.error.map { ": \($0)" } ?? ""
            run.notices.note(
                "dead \(death.queue)", count: death.count,
                "warning: a message of the queue \(death.queue) is dead (\(death.reason))\(error); "
                    + "`tidewheel queue peek \(death.target ?? death.queue)` shows it")
        }
    }
}

extension PipelineRun {
    /// Begins to tell of messages that die, if there are queues for it.
    func startQueueWatch() {
        guard !options.onlyReplays, !plan.definition.queues.isEmpty, let store else { return }
        startThread { QueueWatch($0, store).main() }
    }
}
