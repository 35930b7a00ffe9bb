/// A retry policy that somebody else works out, such as a script. Equal to itself only.
public final class RetryFunction: Sendable, Hashable {
    /// What it says about a delivery that failed.
    public enum Answer: Sendable, Hashable {
        /// The next delivery may begin after so many milliseconds.
        case wait(Int64)
        /// There is no use in another one: the message is dead.
        case dead
        /// It does not know: the policy's base, doubled each time, up to its cap.
        case unknown
    }

    private let ask: @Sendable (Message, DeliveryFailure) -> Answer

    /// Wraps a function. It is called while the store is locked, so it must be quick, and must not
    /// use the store.
    public init(_ ask: @escaping @Sendable (Message, DeliveryFailure) -> Answer) {
        self.ask = ask
    }

    func answer(_ message: Message, _ failure: DeliveryFailure) -> Answer { ask(message, failure) }

    /// True for the same function.
    public static func == (left: RetryFunction, right: RetryFunction) -> Bool { left === right }

    /// By identity.
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

extension Transaction {
    /// What a policy's function says about a message that failed; `unknown` without one.
    func answer(
        _ index: UInt32, _ policy: RetryPolicy, _ failure: DeliveryFailure
    ) throws(QueueError) -> RetryFunction.Answer {
        guard case .function(let function) = policy.shape, let message = try message(index) else {
            return .unknown
        }
        return function.answer(message, failure)
    }

    /// A message with its body, as it stands.
    func message(_ index: UInt32) throws(QueueError) -> Message? {
        let record = queues.record(index)
        let bytes = try body(at: record.position)
        let queue = queues.queues[Int(record.queue)].settings.name
        var found = unsafe Message(record, bytes.span.bytes, queue)
        if record.history != nil { found?.history = try history(record.number) }
        return found
    }
}
