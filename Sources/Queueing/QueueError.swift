public import Journal

/// Why a command to a queue was refused: what, and what to do next. Nothing changed.
public struct QueueError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kinds of refusal; more may be added.
    public enum Code: Sendable, Hashable {
        /// There is no queue of that name.
        case unknownQueue
        /// The queue holds as many messages as it may.
        case full
        /// The receipt is not that of the current lease.
        case stale
        /// Publishing to the queue is paused.
        case paused
        /// The message is larger than the queue allows.
        case tooLarge
        /// No route of an exchange takes the message.
        case unroutable
        /// What was asked for makes no sense.
        case misuse
        /// The journal cannot go on, for this reason.
        case journal(JournalError)
        /// What the owner's own part of a transaction said.
        case other
    }

    /// The kind.
    public let code: Code
    /// What, and what to do next.
    public let description: String

    /// Refuses with words of one's own.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// The journal's own error.
    package init(_ error: JournalError) {
        code = .journal(error)
        description = error.description
    }

    static func stale(_ receipt: String) -> QueueError {
        QueueError(
            .stale,
            "the receipt \(receipt) is stale: its lease ended or was settled; receive again")
    }

    static func wrap<Value>(
        _ body: () throws(JournalError) -> Value
    ) throws(QueueError) -> Value {
        do throws(JournalError) { return try body() } catch { throw QueueError(error) }
    }
}
