/// What a lease is settled with: of the message, the delivery, and the lease, so that an older
/// lease's receipt is told from the current one's.
public struct Receipt: Sendable, Hashable, CustomStringConvertible {
    /// The message's number.
    public var number: UInt64
    /// Which delivery it was.
    public var attempt: UInt16
    /// A random number of the lease.
    public var token: UInt32

    init(number: UInt64, attempt: UInt16, token: UInt32) {
        self.number = number
        self.attempt = attempt
        self.token = token
    }

    /// Reads one; nil when it cannot be one. Each receipt is written in one way only.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let number = UInt64(parts[0], radix: 36),
            let attempt = UInt16(parts[1]), let token = UInt32(parts[2], radix: 36)
        else { return nil }
        self.init(number: number, attempt: attempt, token: token)
        guard description == text else { return nil }
    }

    /// `NUMBER-ATTEMPT-TOKEN`.
    public var description: String {
        String(number, radix: 36) + "-\(attempt)-" + String(token, radix: 36)
    }
}
