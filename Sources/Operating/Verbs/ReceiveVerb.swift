internal import Journal
internal import Queueing
internal import Records
internal import Synchronization
internal import Threads

/// How many calls wait for messages just now.
final class WaitingCalls: Sendable {
    private let count = Atomic<Int>(0)

    var number: Int { count.load(ordering: .relaxed) }

    func begin() { count.add(1, ordering: .relaxed) }
    func end() { count.subtract(1, ordering: .relaxed) }

    /// How long one of them may rest, in milliseconds: all of them together look as often as a few
    /// would, so that many cost no more.
    var rest: Int { min(250, max(20, number * 4)) }
}

extension QueueVerbs {
    func receive(_ call: ControlCall) throws(ControlFailure) {
        let name = try call.required("queue")
        let max = call.integer("max") ?? 1
        let until = store.now + (Self.milliseconds(call, "wait") ?? 0) * 1000
        let presence = call.output.presence
        try Self.translate { () throws(QueueError) in
            let queue = try store.queue(name)
            waiting.begin()
            defer { waiting.end() }
            // Whoever has gone takes nothing.
            while presence.isThere {
                let messages = try store.receive(
                    from: queue, max: max, lease: Self.milliseconds(call, "lease"))
                if !messages.isEmpty { return try hand(messages, to: call, from: queue) }
                let now = store.now
                if now >= until { return }
                let next = try store.advance() ?? until
                let longest = now + Int64(waiting.rest) * 1000
                let wait = min(until, Swift.max(next, now + 1_000), longest) - now
                pause(milliseconds: Swift.max(1, Int(wait / 1000)))
            }
        }
    }

    /// Writes messages to the caller. When nobody reads them they go back, as if they had not been
    /// delivered.
    private func hand(
        _ messages: [Message], to call: ControlCall, from queue: QueueHandle
    ) throws(QueueError) {
        for message in messages {
            call.output.line(MessageWriting.line(message, withState: false))
        }
        call.output.flush()
        guard call.output.isGone else { return }
        let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
            for receipt in messages.compactMap(\.receipt) {
                try transaction.snooze(receipt, in: queue, delay: 0)
            }
        }
        try store.wait(for: sequence, queue)
    }
}
