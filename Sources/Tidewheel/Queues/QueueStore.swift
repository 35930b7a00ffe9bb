internal import Journal
public import Queueing

/// The queues of a store inside a Swift program, without a pipeline.
///
/// One process has a store at a time. Everything that is awaited was made as durable as the queue
/// says before it returns. Safe to use from any thread and task.
public final class QueueStore: Sendable {
    private let store: Store<SystemDisk>
    private let gate = StoreGate(pollMicroseconds: 100_000)

    /// Opens or makes the store in a directory.
    ///
    /// - Parameter queues: those that are declared; others that the store knows are there as well.
    /// - Throws: ``QueueError`` when another process has it, or when it is damaged.
    public init(directory: String, queues: [QueueSettings]) throws(QueueError) {
        for name in queues.flatMap({ [$0.name, $0.deadLetterTarget ?? ""] })
        where name.hasPrefix(".") {
            throw QueueError(
                .misuse, "\"\(name)\": queues whose names begin with a dot are the engine's")
        }
        var random = SystemRandomNumberGenerator()
        store = try Store(
            opening: directory, on: SystemDisk(), queues: queues, random: &random)
    }

    /// What a start cut off behind the last whole write, in bytes.
    public var truncatedBytes: Int { store.truncatedBytes }

    /// Finds a queue by its name.
    ///
    /// - Throws: ``QueueError`` when there is none of that name.
    public func queue(_ name: String) throws(QueueError) -> Queue {
        Queue(name: name, queue: try store.queue(name), store: store, gate: gate)
    }

    /// Does commands that happen together or not at all; returns when they are on the disk.
    ///
    /// - Parameter build: gathers the commands; nothing has happened when it returns.
    /// - Returns: what became of the messages that were published, in their order.
    /// - Throws: ``QueueError`` when one of the commands is refused; then none has happened.
    @discardableResult
    public func transaction(
        _ build: (inout QueueTransaction) -> Void
    ) async throws(QueueError) -> [Published] {
        try await QueueTransaction.perform(build, on: store, gate)
    }

    /// All queues and how much is in them, by name.
    public func status() throws(QueueError) -> [QueueStatus] { try store.status() }

    /// Ends it; what was acknowledged is on the disk. Handlers take no more messages, and what one
    /// of them is at is given back and comes again.
    public func close() throws(QueueError) {
        gate.close(waitingMilliseconds: 0)
        try store.close()
    }
}
