public import Records

/// What a call of `Source.read` brought.
public enum SourceOutcome: Sendable {
    /// The batch holds records.
    case records
    /// Nothing came within the time allowed; ask again.
    case nothingYet
    /// There will be no more.
    case end
}

/// Where records come from; used by one thread only.
public protocol Source: Resumable {
    /// Fills an empty batch with what is there, up to about `limit` bytes, and returns at once when
    /// it has something; waits at most `milliseconds` otherwise.
    func read(into batch: Batch, limit: Int, milliseconds: Int) throws(ConnectorError)
        -> SourceOutcome
}

extension Source {
    /// Says nothing: the source cannot be read again from some place.
    public func takePositions(_ body: (_ name: String, _ position: [UInt8]) -> Void) {}
}

/// What went wrong between the pipeline and the outside, in words for a person.
public struct ConnectorError: Error, Sendable, CustomStringConvertible {
    /// One or more lines: what, where, and what to do next.
    public let description: String

    /// Creates an error from its text.
    public init(_ description: String) { self.description = description }
}
