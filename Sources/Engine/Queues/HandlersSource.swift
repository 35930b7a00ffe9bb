internal import Connecting
internal import Definitions
internal import Journal
internal import Queueing
internal import Records
internal import Threads

/// What a pipeline of nothing but handlers reads: no records. With `--once` it ends when there is
/// nothing left in the queues that have handlers.
final class HandlersSource: IntakeSource {
    private let queues: Set<String>
    private let store: Store<SystemDisk>
    private let isOnce: Bool
    private let pause = Channel<Void>(capacity: 1)

    init(_ handlers: [HandlerDefinition], _ store: Store<SystemDisk>, isOnce: Bool) {
        queues = Set(handlers.map(\.queue))
        self.store = store
        self.isOnce = isOnce
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        _ = pause.receive(milliseconds: max(1, min(milliseconds, 20)))
        guard isOnce else { return .nothingYet }
        do throws(QueueError) {
            let left = try store.status().contains {
                queues.contains($0.name) && $0.counts.size > 0
            }
            return left ? .nothingYet : .end
        } catch { throw ConnectorError("handlers: \(error)") }
    }

    func addEntries(before next: RecordPlace?, to draft: inout CommitDraft) {}
}
