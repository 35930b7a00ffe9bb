internal import Glibc

/// Bytes one behind the other, in memory that the system lengthens by moving pages: however much
/// there is, growing it copies nothing, which an array does. One thread owns it.
@safe
struct ByteArena: ~Copyable {
    private var start: UnsafeMutableRawPointer?
    private(set) var capacity = 0
    /// How many bytes there are.
    private(set) var count = 0

    init() {}

    deinit { unsafe free(start) }

    /// Adds bytes, which must not lie in here; they begin at the count of before.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        let end = count + bytes.count
        if end > capacity { grow(to: end) }
        if let source = bytes.baseAddress, let start = unsafe start {
            unsafe memcpy(start + count, source, bytes.count)
        }
        count = end
    }

    /// Adds the bytes of a span.
    mutating func append(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe append($0) }
    }

    /// Replaces bytes that are there.
    mutating func set(_ bytes: RawSpan, at offset: Int) {
        precondition(offset >= 0 && offset + bytes.byteCount <= count, "there are fewer bytes")
        unsafe bytes.withUnsafeBytes { source in
            if let from = source.baseAddress, let start = unsafe start {
                unsafe memcpy(start + offset, from, source.count)
            }
        }
    }

    /// Calls with all of the bytes.
    func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
        let buffer = unsafe UnsafeRawBufferPointer(start: start, count: count)
        return unsafe body(buffer.bytes)
    }

    private mutating func grow(to size: Int) {
        capacity = max(size, capacity * 2, 1 << 12)
        unsafe start = realloc(start, capacity)
        precondition(unsafe start != nil, "out of memory")
    }
}
