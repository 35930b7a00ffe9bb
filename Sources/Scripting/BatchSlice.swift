internal import CScripting
public import Records

/// How far a batch is to be run at once, and how far it was; a call ends between two records.
public struct BatchSlice: Sendable {
    var raw = tw_slice()

    /// A slice that begins with the first record of a batch and has no bounds.
    public init() {}

    /// Bounds the next call.
    ///
    /// - Parameter records: how many records it may run; nil: all that are left.
    /// - Parameter deadline: when it ends, in nanoseconds of the monotonic clock; nil: never. One
    ///   record may take its budget beyond that.
    public mutating func bound(records: Int?, deadline: UInt64?) {
        raw.record_limit = UInt64(records.map { max($0, 1) } ?? 0)
        raw.deadline = Int64(clamping: deadline ?? 0)
    }

    /// True when the last call has run the last record of the batch.
    public var isDone: Bool { raw.is_done }

    /// Records of the batch that were run so far, or passed over for other workers.
    public var recordCount: Int { Int(raw.index) }

    /// Where the first record that was not run began in its source; nil when there is none.
    public var next: RecordPlace? {
        raw.is_done || raw.index == 0
            ? nil : RecordPlace(position: raw.position, line: raw.line, index: Int(raw.index))
    }
}
