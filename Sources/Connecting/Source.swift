public import Records

/// What a call of `Source.read` brought.
public enum SourceOutcome: Sendable, Hashable {
    /// The batch holds records.
    case records
    /// Nothing came within the time allowed; ask again.
    case nothingYet
    /// There will be no more.
    case end
    /// These partitions of the input belong to somebody else from here on. What was read of them
    /// is finished and committed, then `released` is called; until then nothing is read.
    case revoked([String])
}

/// How much one call of `Source.read` may bring.
public struct ReadLimit: Sendable, Hashable {
    /// About so many bytes; one record may be longer.
    public var bytes: Int
    /// At most so many records; nil: as many as there are in those bytes.
    public var records: Int?

    /// Creates a limit.
    public init(bytes: Int, records: Int? = nil) {
        self.bytes = bytes
        self.records = records
    }
}

/// Where a part of a source stands, such as one of its files.
public struct SourcePosition: Sendable, Hashable {
    /// The part, under a name of the source's own.
    public var name: String
    /// Where the first record stands that is not done, in bytes that only the source understands.
    public var position: [UInt8]

    /// Creates a position.
    public init(name: String, position: [UInt8]) {
        self.name = name
        self.position = position
    }
}

/// Where records come from. All calls come from one thread, but for `kept`.
///
/// The engine reads a batch, runs it, and commits where the source stands together with everything
/// that came of its records. A later run opens the source with those positions, and it goes on
/// behind them: so each record counts once.
public protocol Source: AnyObject {
    /// Fills an empty batch with what is there, up to a limit, and returns at once when it has
    /// something; waits at most `milliseconds` otherwise.
    ///
    /// - Throws: what stops the run, or an error whose `remedy` says when to ask again.
    func read(into batch: Batch, limit: ReadLimit, milliseconds: Int) throws(ConnectorError)
        -> SourceOutcome
    /// Calls with each position that has changed since the last call, under names of the source's
    /// own. The position is where the first record stands that is not done.
    ///
    /// - Parameter next: that record, when the last batch is not done yet; nil when it is.
    func takePositions(
        before next: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void)
    /// A commit with these positions is kept: now the other side may be told. Called from the
    /// thread that commits, in the order of commits.
    func kept(_ positions: [SourcePosition])
    /// What was read of these revoked partitions is committed.
    func released(_ partitions: [String])
}

extension Source {
    /// Says nothing: the source cannot be read again from some place.
    public func takePositions(
        before next: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {}
    /// Nobody has to be told.
    public func kept(_ positions: [SourcePosition]) {}
    /// There was nothing to give back.
    public func released(_ partitions: [String]) {}
}
