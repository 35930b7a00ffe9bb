internal import Engine
internal import Journal
internal import Queueing
internal import Threads

/// The store as the catalogue reads it: step by step, so that nobody waits long for its lock.
struct CatalogueSource: Sendable {
    let store: Store<SystemDisk>
    /// The thread that takes the steps; without one the caller's own does.
    var steps: StepQueue?

    init(_ store: Store<SystemDisk>, steps: StepQueue? = nil) {
        self.store = store
        self.steps = steps
    }

    /// The queues that dead letters are in.
    func letterQueues() throws(ControlFailure) -> [QueueHandle] {
        let store = store
        return try step { () throws(QueueError) in
            var queues: [QueueHandle] = []
            for name in Self.letterNames(try store.status()) {
                queues.append(try store.queue(name))
            }
            return queues
        }
    }

    static func letterNames(_ status: [QueueStatus]) -> [String] {
        let targets = Set(status.compactMap(\.settings.deadLetterTarget))
        return status.map(\.name).filter { $0 == ".dead_letters" || targets.contains($0) }
    }

    /// A queue by its name; nil when there is none.
    func queue(_ name: String) -> QueueHandle? {
        let store = store
        return try? step { () throws(QueueError) in try store.queue(name) }
    }

    /// The messages of queues without their bytes, in the order of their numbers.
    func marks(of queues: [QueueHandle]) throws(ControlFailure) -> [MessageMark] {
        let store = store
        var marks: [MessageMark] = []
        for queue in queues {
            let size = try step { () throws(QueueError) in
                try store.status(of: queue)?.counts.size ?? 0
            }
            marks.reserveCapacity(marks.count + size)
            var place: UInt32? = 0
            while let start = place {
                let part = try step { () throws(QueueError) in
                    store.marks(of: queue, from: start)
                }
                marks += part.marks
                place = part.next
            }
        }
        marks.sort { $0.number < $1.number }
        return marks
    }

    /// Calls with messages and their marks; those that are gone are left out.
    func forEachMessage(
        _ marks: [MessageMark],
        _ body: (Message, MessageMark) throws(ControlFailure) -> Void
    ) throws(ControlFailure) {
        let store = store
        var rest = marks[...]
        while let queue = rest.first?.queue {
            let part = rest.prefix(64).prefix { $0.queue == queue }
            rest = rest.dropFirst(part.count)
            let numbers = part.map(\.number)
            let messages = try step { () throws(QueueError) in
                try store.messages(numbers, in: queue)
            }
            var next = part.startIndex
            for message in messages {
                while next < part.endIndex, part[next].number != message.number { next += 1 }
                if next < part.endIndex { try body(message, part[next]) }
            }
        }
    }

    private func step<Value: Sendable>(
        _ body: @escaping @Sendable () throws(QueueError) -> Value
    ) throws(ControlFailure) -> Value {
        do throws(QueueError) {
            guard let steps else { return try body() }
            return try steps.run(body)
        } catch {
            throw ControlFailure(error)
        }
    }
}

/// Steps that one thread wants and another takes.
///
/// Whoever holds the lock of a store at a low priority would make those wait that have a higher
/// one, so a thread of low priority has its steps taken by an ordinary one.
final class StepQueue: Sendable {
    private let steps = Channel<@Sendable () -> Void>(capacity: 1)

    /// Has a step taken, and waits for its result.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(QueueError) -> Value
    ) throws(QueueError) -> Value {
        let answer = Channel<Result<Value, QueueError>>(capacity: 1)
        steps.send {
            do throws(QueueError) {
                answer.send(.success(try body()))
            } catch {
                answer.send(.failure(error))
            }
        }
        guard let result = answer.receive() else {
            throw QueueError(.misuse, "the step was not taken")
        }
        return try result.get()
    }

    /// Takes steps until there are no more.
    func serve() { while let step = steps.receive() { step() } }

    /// There will be no more.
    func close() { steps.close() }
}
