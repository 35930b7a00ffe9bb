internal import Glibc

/// A growing run of bytes that always has 64 readable bytes behind its end, as scanners want.
@safe
public struct ByteBuffer: ~Copyable {
    /// Bytes that may be read behind `count` without meaning anything.
    public static let padding = 64

    private var base: UnsafeMutablePointer<UInt8>
    /// How many bytes it can hold before it has to grow.
    public private(set) var capacity: Int
    /// How many bytes it holds.
    public private(set) var count = 0

    /// Creates an empty buffer with room for `capacity` bytes.
    public init(capacity: Int = 0) {
        self.capacity = capacity
        // Large memory comes from the system, which gives pages only when they are written to.
        guard let memory = unsafe calloc(capacity + Self.padding, 1) else {
            preconditionFailure("out of memory")
        }
        unsafe base = memory.assumingMemoryBound(to: UInt8.self)
    }

    deinit { unsafe free(base) }

    /// True when it holds nothing.
    public var isEmpty: Bool { count == 0 }

    /// Forgets the bytes but keeps the memory.
    public mutating func removeAll() { count = 0 }

    /// Makes room for `additional` more bytes; at least doubles when it has to grow.
    public mutating func reserve(_ additional: Int) {
        guard count + additional > capacity else { return }
        let grown = max(count + additional, capacity * 2, 256)
        // The system moves pages of large memory instead of copying bytes.
        guard let moved = unsafe realloc(base, grown + Self.padding) else {
            preconditionFailure("out of memory")
        }
        unsafe base = moved.assumingMemoryBound(to: UInt8.self)
        capacity = grown
    }

    /// Adds one byte.
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        unsafe base[count] = byte
        count += 1
    }

    /// Adds the bytes of a buffer.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        unsafe UnsafeMutableRawPointer(base + count).copyMemory(from: start, byteCount: bytes.count)
        count += bytes.count
    }

    /// Adds the bytes of a sequence, for instance a string's UTF-8.
    public mutating func append(contentsOf bytes: some Sequence<UInt8>) {
        for byte in bytes { append(byte) }
    }

    /// Adds the bytes of another buffer.
    public mutating func append(copyOf other: borrowing ByteBuffer) {
        unsafe append(UnsafeRawBufferPointer(start: other.base, count: other.count))
    }

    /// Appends some bytes of another buffer.
    public mutating func append(copyOf other: borrowing ByteBuffer, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= other.count, "no such bytes")
        unsafe append(
            UnsafeRawBufferPointer(start: other.base + range.lowerBound, count: range.count))
    }

    /// Lets `fill` write up to `limit` bytes at the end; it returns how many it wrote.
    public mutating func appendUnsafely<Failure: Error>(
        limit: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) -> Int {
        reserve(limit)
        let room = unsafe UnsafeMutableRawBufferPointer(start: base + count, count: limit)
        let written = try unsafe fill(room)
        precondition(written >= 0 && written <= limit, "more bytes written than there was room for")
        count += written
        return written
    }

    /// Drops the first `length` bytes and moves the rest to the front.
    public mutating func removeFirst(_ length: Int) {
        precondition(length >= 0 && length <= count, "cannot drop more than there is")
        count -= length
        unsafe base.update(from: base + length, count: count)
    }

    /// Shortens it to `length` bytes.
    public mutating func truncate(to length: Int) {
        precondition(length >= 0 && length <= count, "cannot truncate to more than there is")
        count = length
    }

    /// The bytes, for the time of the call; `padding` more may be read behind them.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// One byte.
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count, "index out of range")
        return unsafe base[index]
    }
}
