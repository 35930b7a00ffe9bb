internal import CScripting
public import Records

/// Rows for one sink, filled by a worker and emptied by the thread that writes.
@safe
public final class OutputBuffer: @unchecked Sendable {  // One owner at a time, like `Batch`.
    let buffer: OpaquePointer

    /// Creates an empty buffer.
    public init() { unsafe buffer = tw_buffer_create() }

    deinit { unsafe tw_buffer_destroy(buffer) }

    /// How many rows it holds.
    public var rows: Int { unsafe Int(tw_buffer_rows(buffer)) }

    /// How many bytes it holds.
    public var count: Int { unsafe tw_buffer_length(buffer) }

    /// The bytes, for the time of the call.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(
            UnsafeRawBufferPointer(start: tw_buffer_bytes(buffer), count: tw_buffer_length(buffer)))
    }

    /// From now on the buffer notes which rows came of which record.
    public func keepMarks() { unsafe tw_buffer_keep_marks(buffer) }

    /// Where the rows of each record end, in the order of writing; empty without `keepMarks`.
    public var marks: [RowMark] {
        var count = 0
        let first = unsafe tw_buffer_marks(buffer, &count)
        let names = unsafe tw_buffer_names(buffer)
        return (0..<count).compactMap { index in
            unsafe first.map { unsafe RowMark($0[index], names) }
        }
    }

    /// Adds lines that stand in memory.
    public func append(_ lines: UnsafeRawBufferPointer, rows: Int) {
        unsafe tw_buffer_append(buffer, lines.baseAddress, lines.count, UInt64(rows))
    }

    /// Adds finished lines.
    public func append(_ lines: borrowing ByteBuffer, rows: Int) {
        unsafe lines.withUnsafeBytes {
            unsafe tw_buffer_append(buffer, $0.baseAddress, $0.count, UInt64(rows))
        }
    }

    /// Forgets the rows; memory beyond `keep` bytes is given back.
    public func removeAll(keeping keep: Int = 1 << 20) {
        unsafe tw_buffer_clear(buffer, keep)
    }
}

/// Where the rows of one record end in a buffer, or those of one timer.
///
/// Sorted, the marks of lanes that share a batch give the order in which one would have written.
public struct RowMark: Sendable, Comparable {
    /// The byte behind its rows.
    public var end: Int
    /// How many rows there were in the buffer by then.
    public var rows: Int
    /// The record's place in its batch, or that of the record before which the timer fired.
    public var ordinal: UInt32
    /// When the timer was due, in milliseconds since 1970; `Int64.max` for a record.
    public var due: Int64
    /// The timer's name.
    public var name: [UInt8] = []

    init(_ raw: tw_mark, _ names: UnsafePointer<CChar>?) {
        end = raw.end
        rows = Int(raw.rows)
        ordinal = raw.ordinal
        due = raw.due
        guard raw.name_length > 0, let names = unsafe names else { return }
        let bytes = unsafe UnsafeRawBufferPointer(
            start: names + Int(raw.name_offset), count: Int(raw.name_length))
        name = unsafe Array(bytes)
    }

    /// The order of writing.
    public static func < (left: RowMark, right: RowMark) -> Bool {
        if left.ordinal != right.ordinal { return left.ordinal < right.ordinal }
        if left.due != right.due { return left.due < right.due }
        return left.name.lexicographicallyPrecedes(right.name)
    }
}
