public import Queueing

extension Queue {
    /// Works on messages as they come, until the task is cancelled or the store is closed.
    ///
    /// A message whose handler throws, or takes longer than `timeout`, has failed: it waits as the
    /// queue says, or is dead. Others are acknowledged. The lease is as long as the timeout and a
    /// little longer. At its timeout a handler's task is cancelled, and its message is settled when
    /// the handler returns. A handler that is cancelled with the whole task, and throws
    /// `CancellationError`, gives its message back as if it had not been delivered.
    ///
    /// - Parameters:
    ///   - concurrency: how many messages are worked on at once; at least 1.
    ///   - timeout: how long one of them may take.
    ///   - body: the handler, called for several messages at once.
    /// - Throws: ``QueueError`` when the store fails.
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
        while !Task.isCancelled, !gate.isClosing {
            do throws(QueueError) {
                if try await !workOnce(timeout, body) {
                    let next = try store.advance().map { $0 - store.now } ?? 1_000_000
                    await gate.wait(microseconds: max(1_000, min(next, gate.pollMicroseconds)))
                }
            } catch {
                // What a closed store was about to hand over comes again.
                if gate.isClosing { return nil }
                // Whoever settles too late finds that somebody else has the message; so be it.
                if error.code != .stale { return error }
            }
        }
        return nil
    }

    /// False when there was no message.
    private func workOnce(
        _ timeout: Duration, _ body: @escaping @Sendable (Message) async throws -> Void
    ) async throws(QueueError) -> Bool {
        gate.beginWork()
        defer { gate.endWork() }
        guard let message = try receive(lease: timeout + .seconds(5)).first else { return false }
        switch await run(message, timeout, body) {
        case .done: try await acknowledge(message)
        case .failed(let failure): try fail(message, failure)
        case .cancelled: try giveBack(message)
        }
        return true
    }

    /// The message is ready again, and this delivery does not count.
    private func giveBack(_ message: Message) throws(QueueError) {
        guard let receipt = message.receipt else { return }
        let queue = queue
        _ = try store.commit { (transaction) throws(QueueError) in
            try transaction.snooze(receipt, in: queue, delay: 0)
        }
        gate.wake()
    }

    /// What a handler made of a message.
    private enum Outcome: Sendable {
        case done
        case failed(DeliveryFailure)
        /// It was not let end its work.
        case cancelled
    }

    private func run(
        _ message: Message, _ timeout: Duration,
        _ body: @escaping @Sendable (Message) async throws -> Void
    ) async -> Outcome {
        await withTaskGroup(of: Outcome.self) { group in
            group.addTask {
                do {
                    try await body(message)
                    return .done
                } catch is CancellationError where Task.isCancelled {
                    return .cancelled
                } catch { return .failed(DeliveryFailure(error: "\(error)")) }
            }
            group.addTask {
                do {
                    try await ContinuousClock().sleep(for: timeout)
                } catch { return .cancelled }
                return .failed(
                    DeliveryFailure(reason: "timeout", error: "took longer than \(timeout)"))
            }
            var first = await group.next() ?? .cancelled
            // The timer is cancelled with the whole task; the handler still says how it ended.
            if case .cancelled = first { first = await group.next() ?? .cancelled }
            group.cancelAll()
            return first
        }
    }
}
