internal import Engine
internal import Journal
public import Queueing

extension RunningPipeline {
    /// Finds a queue of the pipeline's store, to publish to it, to take messages, or to have them
    /// handled in Swift; the pipeline's own sources, sinks and handlers use it at the same time.
    ///
    /// - Throws: ``QueueError`` when there is none of that name, or the run keeps nothing.
    public func queue(_ name: String) throws(QueueError) -> Queue {
        let store = try queueStore
        return Queue(name: name, queue: try store.queue(name), store: store, gate: gate)
    }

    /// Publishes a message to a queue, or to whichever queues the routes of an exchange say;
    /// returns when it is as durable as those say.
    ///
    /// - Parameters:
    ///   - name: a queue or an exchange of pipeline.yaml.
    ///   - topic: what routes of an exchange are chosen by; nil for what its `topic_field` says.
    /// - Returns: what became of it in each of the queues.
    /// - Throws: ``QueueError`` when nothing takes the message; then nothing has happened.
    @discardableResult
    public func publish(
        _ message: NewMessage, to name: String, topic: String? = nil
    ) async throws(QueueError) -> [Published] {
        let store = try queueStore
        let target = try store.target(name, among: run.exchanges)
        let queues = try target.queues(for: message, topic: topic)
        let (published, sequence) = try store.commit { (transaction) throws(QueueError) in
            try transaction.publish(message, to: queues)
        }
        if queues.contains(where: { store.settings(of: $0).durability == .disk }) {
            try await store.durable(sequence)
        }
        gate.wake()
        return published
    }

    /// Does commands to queues that happen together or not at all; returns when they are on the
    /// disk.
    ///
    /// - Parameter build: gathers the commands; nothing has happened when it returns.
    /// - Returns: what became of the messages that were published, in their order.
    /// - Throws: ``QueueError`` when one of the commands is refused; then none has happened.
    @discardableResult
    public func transaction(
        _ build: (inout QueueTransaction) -> Void
    ) async throws(QueueError) -> [Published] {
        try await QueueTransaction.perform(build, on: try queueStore, gate)
    }

    private var queueStore: Store<SystemDisk> {
        get throws(QueueError) {
            if let store = run.queueStore { return store }
            throw QueueError(
                .misuse,
                "the pipeline keeps nothing, so it has no queues; start it without `fresh`, and "
                    + "leave out `durability: memory`")
        }
    }
}
