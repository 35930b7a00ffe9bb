/// Where a record of a batch began in its source.
public struct RecordPlace: Sendable, Hashable {
    /// Where it began, in bytes, or counted where the source counts records.
    public var position: UInt64
    /// Its line, counted from 1.
    public var line: UInt64
    /// How many records of the batch stand before it.
    public var index: Int

    /// Creates a place from its parts.
    public init(position: UInt64, line: UInt64, index: Int) {
        self.position = position
        self.line = line
        self.index = index
    }
}
