internal import Journal
public import Queueing
internal import Synchronization

/// The queues of a store inside a Swift program.
///
/// One process has a store at a time. Everything that is awaited was made as durable as the queue
/// says before it returns.
public final class QueueStore: Sendable {
    private let store: Store<SystemDisk>
    private let waiting = WaitingHandlers()

    /// Opens or makes the store in a directory. Throws when another process has it, or when it is
    /// damaged.
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

    /// Finds a queue. Throws when there is none of that name.
    public func queue(_ name: String) throws(QueueError) -> Queue {
        Queue(name: name, queue: try store.queue(name), store: store, waiting: waiting)
    }

    /// Commands that happen together or not at all; returns when they are on the disk.
    public func transaction<Result: Sendable>(
        _ body: @Sendable (inout Transaction) throws(QueueError) -> Result
    ) async throws(QueueError) -> Result {
        let (result, sequence) = try store.commit(.disk, body)
        try await store.durable(sequence)
        waiting.wake()
        return result
    }

    /// All queues and how much is in them.
    public func status() throws(QueueError) -> [QueueStatus] { try store.status() }

    /// Ends it; what was acknowledged is on the disk.
    public func close() throws(QueueError) { try store.close() }
}

/// A queue of a store.
public struct Queue: Sendable {
    /// Its name.
    public let name: String
    let queue: QueueHandle
    let store: Store<SystemDisk>
    let waiting: WaitingHandlers

    /// Publishes a message; returns when it is as durable as the queue says. A full queue whose
    /// `overflow` is `block` makes it wait for room, until the task is cancelled; others refuse.
    @discardableResult
    public func publish(_ message: NewMessage) async throws(QueueError) -> Published {
        let waits = store.settings(of: queue).overflow == .block
        while true {
            // Who waits is not refused, and is not counted as such.
            if waits {
                while store.room(in: queue) <= 0, !Task.isCancelled {
                    await waiting.wait(microseconds: 20_000)
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
        waiting.wake()
        return published
    }

    /// Publishes a text.
    @discardableResult
    public func publish(
        _ text: String, priority: UInt8 = 4, id: String? = nil
    ) async throws(QueueError) -> Published {
        var message = NewMessage(Array(text.utf8))
        message.priority = priority
        message.id = id
        return try await publish(message)
    }

    /// Takes up to `max` messages that are there now. Each must be settled before its lease ends.
    public func receive(max limit: Int = 1, lease: Duration? = nil) throws(QueueError) -> [Message]
    {
        try store.receive(
            from: queue, max: limit, lease: lease.map(\.milliseconds), isOwned: true)
    }

    /// The message is done; it is gone, durably, when this returns.
    public func acknowledge(_ message: Message) async throws(QueueError) {
        guard let receipt = message.receipt else { return }
        let queue = queue
        let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
            try transaction.acknowledge([receipt], in: queue)
        }
        if isDurable { try await store.durable(sequence) }
        waiting.wake()
    }

    /// The delivery failed; the message waits as the queue says, or is dead.
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

    /// Works on messages as they come, `concurrency` at once, until the task is cancelled. One
    /// whose handler throws, or takes longer than `timeout`, failed; others are acknowledged. The
    /// lease is as long as the timeout and a little longer. At its timeout a handler's task is
    /// cancelled, and its message is settled when the handler returns.
    public func handle(
        concurrency: Int = 1, timeout: Duration = .seconds(30),
        _ body: @escaping @Sendable (Message) async throws -> Void
    ) async throws(QueueError) {
        precondition(concurrency > 0, "at least one message at a time")
        let failure = await withTaskGroup(of: QueueError?.self) { group in
            for _ in 0..<concurrency {
                group.addTask { await work(timeout: timeout, body) }
            }
            var first: QueueError?
            for await ended in group {
                if let ended, first == nil {
                    first = ended
                    group.cancelAll()
                }
            }
            return first
        }
        if let failure { throw failure }
    }

    private func work(
        timeout: Duration, _ body: @escaping @Sendable (Message) async throws -> Void
    ) async -> QueueError? {
        while !Task.isCancelled {
            do throws(QueueError) {
                guard let message = try receive(lease: timeout + .seconds(5)).first else {
                    let next = try store.advance().map { $0 - store.now } ?? 1_000_000
                    await waiting.wait(microseconds: max(1_000, min(next, 100_000)))
                    continue
                }
                if let failed = await run(message, timeout, body) {
                    try fail(message, failed)
                } else {
                    try await acknowledge(message)
                }
            } catch {
                // Whoever settles too late finds that somebody else has the message; so be it.
                if error.code != .stale { return error }
            }
        }
        return nil
    }

    /// Nil when the handler did its work.
    private func run(
        _ message: Message, _ timeout: Duration,
        _ body: @escaping @Sendable (Message) async throws -> Void
    ) async -> DeliveryFailure? {
        await withTaskGroup(of: DeliveryFailure?.self) { group in
            group.addTask {
                do {
                    try await body(message)
                    return nil
                } catch { return DeliveryFailure(error: "\(error)") }
            }
            group.addTask {
                try? await ContinuousClock().sleep(for: timeout)
                return DeliveryFailure(reason: "timeout", error: "took longer than \(timeout)")
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }
}

/// Handlers that found nothing to do. One that misses a call looks again in a moment anyway.
final class WaitingHandlers: Sendable {
    private struct State {
        var next: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var cancelled: Set<UInt64> = []
    }

    private let state = Mutex(State())

    func wake() {
        let all = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in all.values { continuation.resume() }
    }

    /// Waits for a call, so long at most.
    func wait(microseconds: Int64) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.signal() }
            group.addTask {
                try? await ContinuousClock().sleep(for: .microseconds(microseconds))
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func signal() async {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.waiting[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                let found = state.waiting.removeValue(forKey: id)
                if found == nil { state.cancelled.insert(id) }
                return found
            }
            continuation?.resume()
        }
        state.withLock { _ = $0.cancelled.remove(id) }
    }
}

extension Store {
    /// Waits for the disk without keeping a thread.
    fileprivate func durable(_ sequence: UInt64) async throws(QueueError) {
        let failure = await withCheckedContinuation { continuation in
            whenDurable(sequence) { continuation.resume(returning: $0) }
        }
        if let failure { throw QueueError(failure) }
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
