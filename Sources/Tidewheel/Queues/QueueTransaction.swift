internal import Journal
public import Queueing

/// Commands to queues of one store that happen together or not at all.
public struct QueueTransaction: Sendable {
    private enum Command: Sendable {
        case publish(NewMessage, QueueHandle)
        case acknowledge(Receipt, QueueHandle)
        case fail(Receipt, QueueHandle, DeliveryFailure, delay: Int64?)
        case snooze(Receipt, QueueHandle, delay: Int64)
    }

    private var commands: [Command] = []

    /// Publishes a message. The transaction is refused when the queue is full or paused.
    public mutating func publish(_ message: NewMessage, to queue: Queue) {
        commands.append(.publish(message, queue.queue))
    }

    /// The message is done. The transaction is refused when its lease is over.
    public mutating func acknowledge(_ message: Message, in queue: Queue) {
        guard let receipt = message.receipt else { return }
        commands.append(.acknowledge(receipt, queue.queue))
    }

    /// The delivery failed: the message waits as the queue says, or is dead.
    ///
    /// - Parameter delay: how long it waits instead.
    public mutating func fail(
        _ message: Message, in queue: Queue, _ failure: DeliveryFailure, delay: Duration? = nil
    ) {
        guard let receipt = message.receipt else { return }
        commands.append(.fail(receipt, queue.queue, failure, delay: delay?.milliseconds))
    }

    /// Gives the message back for a while; the delivery does not count.
    public mutating func snooze(_ message: Message, in queue: Queue, for delay: Duration) {
        guard let receipt = message.receipt else { return }
        commands.append(.snooze(receipt, queue.queue, delay: delay.milliseconds))
    }

    /// Gathers commands and does them.
    static func perform(
        _ build: (inout QueueTransaction) -> Void, on store: Store<SystemDisk>, _ gate: StoreGate
    ) async throws(QueueError) -> [Published] {
        var gathered = QueueTransaction()
        build(&gathered)
        let (published, sequence) = try store.commit(.disk) { (transaction) throws(QueueError) in
            try gathered.happen(in: &transaction)
        }
        try await store.durable(sequence)
        gate.wake()
        return published
    }

    private func happen(in transaction: inout Transaction) throws(QueueError) -> [Published] {
        var published: [Published] = []
        for command in commands {
            switch command {
            case .publish(let message, let queue):
                published.append(try transaction.publish(message, to: queue))
            case .acknowledge(let receipt, let queue):
                try transaction.acknowledge([receipt], in: queue)
            case .fail(let receipt, let queue, let failure, let delay):
                try transaction.fail(receipt, in: queue, delay: delay, failure)
            case .snooze(let receipt, let queue, let delay):
                try transaction.snooze(receipt, in: queue, delay: delay)
            }
        }
        return published
    }
}

extension Store {
    /// Waits for the disk without keeping a thread.
    func durable(_ sequence: UInt64) async throws(QueueError) {
        let failure = await withCheckedContinuation { continuation in
            whenDurable(sequence) { continuation.resume(returning: $0) }
        }
        if let failure { throw QueueError(failure) }
    }
}
