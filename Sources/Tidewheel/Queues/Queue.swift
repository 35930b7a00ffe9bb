internal import Journal
public import Queueing

/// A queue of a store. Safe to use from any thread and task.
public struct Queue: Sendable {
    /// Its name.
    public let name: String
    let queue: QueueHandle
    let store: Store<SystemDisk>
    let gate: StoreGate

    // MARK: Publishing

    /// Publishes a message; returns when it is as durable as the queue says.
    ///
    /// A full queue whose `overflow` is `block` makes it wait for room, until the task is
    /// cancelled; others refuse.
    ///
    /// - Throws: ``QueueError`` when the queue is full or paused, or the message too large.
    @discardableResult
    public func publish(_ message: NewMessage) async throws(QueueError) -> Published {
        let waits = store.settings(of: queue).overflow == .block
        while true {
            // Who waits is not refused, and is not counted as such.
            if waits {
                while store.room(in: queue) <= 0, !Task.isCancelled, !gate.isClosing {
                    await gate.wait(microseconds: 20_000)
                }
            }
            do throws(QueueError) { return try await publishNow(message) } catch {
                guard waits, error.code == .full, !Task.isCancelled else { throw error }
            }
        }
    }

    private func publishNow(_ message: NewMessage) async throws(QueueError) -> Published {
        let queue = queue
        let (published, sequence) = try store.commit { (transaction) throws(QueueError) in
            try transaction.publish(message, to: queue)
        }
        if isDurable { try await store.durable(sequence) }
        gate.wake()
        return published
    }

    /// Publishes a text.
    ///
    /// - Parameters:
    ///   - priority: 0 to 9; 9 is the most urgent.
    ///   - id: what duplicates are told by; nil to be given one.
    @discardableResult
    public func publish(
        _ text: String, priority: UInt8 = 4, id: String? = nil
    ) async throws(QueueError) -> Published {
        var message = NewMessage(Array(text.utf8))
        message.priority = priority
        message.id = id
        return try await publish(message)
    }

    // MARK: Taking messages by hand

    /// Takes up to `max` messages that are there now. Each must be settled before its lease ends.
    ///
    /// - Parameter lease: how long they are kept from others; nil for what the queue says.
    public func receive(max limit: Int = 1, lease: Duration? = nil) throws(QueueError) -> [Message]
    {
        try store.receive(
            from: queue, max: limit, lease: lease.map(\.milliseconds), isOwned: true)
    }

    /// The message is done; it is gone, durably, when this returns.
    ///
    /// - Throws: ``QueueError`` with the code `stale` when its lease is over.
    public func acknowledge(_ message: Message) async throws(QueueError) {
        guard let receipt = message.receipt else { return }
        let queue = queue
        let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
            try transaction.acknowledge([receipt], in: queue)
        }
        if isDurable { try await store.durable(sequence) }
        gate.wake()
    }

    /// The delivery failed; the message waits as the queue says, or is dead.
    ///
    /// - Parameter delay: how long it waits instead.
    public func fail(
        _ message: Message, _ failure: DeliveryFailure, delay: Duration? = nil
    ) throws(QueueError) {
        guard let receipt = message.receipt else { return }
        let queue = queue
        _ = try store.commit { (transaction) throws(QueueError) in
            try transaction.fail(receipt, in: queue, delay: delay.map(\.milliseconds), failure)
        }
    }

    private var isDurable: Bool { store.settings(of: queue).durability == .disk }
}
