internal import Connecting
internal import Definitions
internal import Records
internal import Synchronization
internal import Threads

/// What a pipeline of nothing but handlers reads: no records. With `--once` it ends when there is
/// nothing left in the queues that have handlers.
final class HandlersSource: IntakeSource {
    private let run: PipelineRun
    private let pause = Channel<Void>(capacity: 1)
    private var queues: HandlerQueues

    init(_ run: PipelineRun, _ store: PipelineStore) {
        self.run = run
        queues = HandlerQueues(run, store)
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        _ = pause.receive(milliseconds: max(1, min(milliseconds, 20)))
        guard run.options.once else { return .nothingYet }
        return queues.areDone ? .end : .nothingYet
    }

    func addEntries(before next: RecordPlace?, to draft: inout CommitDraft) {}
}

extension PipelineRun {
    /// With `--once`: everything was read and committed, and handlers still work on what came of
    /// it. Waits for them.
    func finishHandlers() {
        guard options.once, !options.onlyReplays, !plan.definition.sources.isEmpty,
            !plan.definition.handlers.isEmpty, let store, !hasFailed
        else { return }
        var queues = HandlerQueues(self, store)
        while pause(milliseconds: 5), !isBroken, !queues.areDone {}
    }
}
