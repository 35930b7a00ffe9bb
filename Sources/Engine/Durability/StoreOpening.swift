package import Definitions
internal import Journal
internal import Queueing
package import Threads

/// A store that is being opened on a thread of its own, while rules are loaded.
package final class StoreOpening: Sendable {
    private let result = Locked<Result<PipelineStore, PipelineError>?>(nil)
    private let done = Channel<Void>(capacity: 1)
    /// The state of rules as it is read, for the one worker that puts it back meanwhile; nil when
    /// there are several, each of which takes its part when all of it is there.
    let rules: Channel<[UInt8]>?

    private init(feedsWorker: Bool) {
        // It holds no more than the state does, and whoever reads the store never waits.
        rules = feedsWorker ? Channel(capacity: .max) : nil
    }

    /// Begins to open the store that the options name; nil when nothing is to be kept.
    static func begin(
        _ plan: Plan, _ options: RunOptions, _ scripts: QueueScripts, feedsWorker: Bool
    ) -> StoreOpening? {
        guard let data = options.data, plan.definition.durability != .memory else { return nil }
        let opening = StoreOpening(feedsWorker: feedsWorker)
        let definition = plan.definition
        WorkerThread {
            let result = open(
                data, definition, scripts, rules: opening.rules, tell: options.tell)
            opening.result.withLock { $0 = result }
            opening.rules?.close()
            opening.done.close()
        }.detach()
        return opening
    }

    /// Opens a store, or makes one, and waits for another process that is about to let it go.
    package static func open(
        _ data: String, _ definition: Definition, _ scripts: QueueScripts,
        rules: Channel<[UInt8]>? = nil, tell: (String) -> Void = { writeError($0) }
    ) -> Result<PipelineStore, PipelineError> {
        let pause = Channel<Void>(capacity: 1)
        // A verb that looks into the store has it for a moment only.
        for _ in 0..<patience {
            let result = openOnce(data, definition, scripts, rules, tell)
            guard case .failure(let error) = result, error.isOwned else {
                return checked(result, data, definition)
            }
            _ = pause.receive(milliseconds: 10)
        }
        return checked(openOnce(data, definition, scripts, rules, tell), data, definition)
    }

    /// A record's partition follows from how many there are, so that a store keeps their number.
    private static func checked(
        _ result: Result<PipelineStore, QueueError>, _ data: String, _ definition: Definition
    ) -> Result<PipelineStore, PipelineError> {
        guard case .success(let store) = result, let made = store.state.partitions,
            made != definition.partitions
        else { return result.mapError { PipelineError(exitCode: 1, "error: \($0)") } }
        try? store.close()
        return .failure(
            PipelineError(
                exitCode: 2,
                "\(definition.partitionsLocation): error: `partitions` is "
                    + "\(definition.partitions), but the store in \(data) was made with \(made); "
                    + "write `partitions: \(made)`, or begin a new store with --data"))
    }

    /// How often a store that another process has is tried again, every 10 ms.
    private static let patience = 150

    private static func openOnce(
        _ data: String, _ definition: Definition, _ scripts: QueueScripts,
        _ rules: Channel<[UInt8]>?, _ tell: (String) -> Void
    ) -> Result<PipelineStore, QueueError> {
        let settings = LogSettings(
            segmentSize: definition.segmentBytes,
            prewriteSize: min(1 << 20, definition.segmentBytes))
        do throws(QueueError) {
            let store = try PipelineStore(
                data, settings, definition, scripts, rules: rules)
            if store.truncatedBytes > 0 {
                tell(
                    "store: truncated \(store.truncatedBytes) bytes of a transaction that was "
                        + "not finished\n")
            }
            SystemDisk().protect(store: data)
            return .success(store)
        } catch {
            return .failure(error)
        }
    }

    /// The store; waits until it is open. Throws why it could not be opened.
    func get() throws(PipelineError) -> PipelineStore {
        _ = done.receive()
        guard let result = result.withLock({ $0 }) else {
            throw PipelineError(exitCode: 1, "error: the store was not opened")
        }
        return try result.get()
    }
}

extension QueueError {
    /// True when another process has the store.
    fileprivate var isOwned: Bool {
        if case .journal(let error) = code { error.code == .owned } else { false }
    }
}
