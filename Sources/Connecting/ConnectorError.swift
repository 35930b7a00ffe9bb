/// What went wrong between the pipeline and the outside, in words for a person, and what the engine
/// is to do about it.
public struct ConnectorError: Error, Sendable, CustomStringConvertible {
    /// What the engine does next.
    public enum Remedy: Sendable, Hashable {
        /// Ends the run; nothing of the call has happened, or what has is cut off by the next run.
        case stop
        /// Makes the same call again after so many milliseconds; nil: after a pause that doubles.
        case retry(afterMilliseconds: Int?)
        /// Calls `reconnect`, then makes the same call again after a pause that doubles.
        case reconnect
        /// Makes dead letters of kind `refused` of these rows, and takes all others for written.
        case refuse([RefusedRow])
    }

    /// One or more lines: what, where, and what to do next.
    public let description: String
    /// What the engine does about it.
    public let remedy: Remedy

    /// Creates an error from its text; without a remedy it ends the run.
    public init(_ description: String, remedy: Remedy = .stop) {
        self.description = description
        self.remedy = remedy
    }
}

/// A row that a sink will never take, such as one that breaks a constraint of the other side.
public struct RefusedRow: Sendable, Hashable {
    /// Which row of the call it is, counted from 0.
    public var index: Int
    /// Why, in the other side's own words.
    public var reason: String

    /// Creates a refusal.
    public init(index: Int, reason: String) {
        self.index = index
        self.reason = reason
    }
}
