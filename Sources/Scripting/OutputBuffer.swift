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
