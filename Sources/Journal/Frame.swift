/// The body of one transaction, built by one thread and reused: entries of a kind and bytes.
///
///     entry: length u32 | CRC32C of kind and bytes u32 | kind u8 | bytes
public struct Frame: Sendable {
    /// An entry inside a frame that has no place yet.
    public struct Entry: Hashable, Sendable {
        /// Where it begins in the frame's body, in bytes.
        public var offset: UInt32
        /// How many bytes the caller gave.
        public var length: UInt32
    }

    /// What an entry has before the caller's bytes.
    static let entryHeaderSize = 9
    /// One frame at most, in bytes.
    public static let sizeLimit = 1 << 30

    private(set) var body: [UInt8] = []
    /// The kind of entry that is counted as a message, and how many there are.
    private let messageKind: UInt8?
    private(set) var messageCount = 0

    /// An empty frame with room for so many bytes. Entries of `messageKind` are counted, so that it
    /// can be told what was lost with a segment.
    public init(capacity: Int = 4096, messageKind: UInt8? = nil) {
        self.messageKind = messageKind
        body.reserveCapacity(capacity)
    }

    /// True when nothing was added.
    public var isEmpty: Bool { body.isEmpty }
    /// The bytes added so far, with what each entry costs.
    public var byteCount: Int { body.count }

    /// Forgets the entries, keeps the memory.
    public mutating func removeAll() {
        body.removeAll(keepingCapacity: true)
        messageCount = 0
    }

    /// Adds an entry whose bytes lie in one or two pieces, verbatim in the segment's file.
    @discardableResult
    public mutating func add(
        kind: UInt8, _ bytes: borrowing RawSpan, _ more: borrowing RawSpan = RawSpan()
    ) -> Entry {
        let offset = body.count
        let length = bytes.byteCount + more.byteCount
        if kind == messageKind { messageCount += 1 }
        precondition(offset + length <= Self.sizeLimit, "a frame holds 1 GiB at most")
        body.put(UInt32(length))
        body.put(UInt32(0))
        body.append(kind)
        body.put(bytes)
        if !more.isEmpty { body.put(more) }
        let checksum = Checksum.of(
            unsafe body.span.bytes.extracting((offset + 8)..<body.count))
        body.set(checksum, at: offset + 4)
        return Entry(offset: UInt32(offset), length: UInt32(length))
    }

    /// Adds an entry from an array.
    @discardableResult
    public mutating func add(kind: UInt8, _ bytes: [UInt8]) -> Entry {
        unsafe add(kind: kind, bytes.span.bytes)
    }

    /// The kind of the entry at the start of `bytes`, or nil when it is damaged; its own bytes are
    /// those behind the header.
    static func kind(ofEntry bytes: RawSpan) -> UInt8? {
        guard bytes.byteCount >= entryHeaderSize else { return nil }
        let length = Int(bytes.number(UInt32.self, at: 0))
        guard length <= bytes.byteCount - entryHeaderSize,
            bytes.number(UInt32.self, at: 4)
                == Checksum.of(bytes.extracting(8..<(entryHeaderSize + length)))
        else { return nil }
        return bytes.number(UInt8.self, at: 8)
    }
}

/// A whole frame as it was found in the log. Valid on any thread.
public struct StoredFrame: Sendable {
    /// The number of the transaction.
    public var sequence: UInt64
    /// When it was written, in microseconds since 1970.
    public var timeMicroseconds: Int64
    /// The number of its segment.
    public var segment: UInt32
    /// Where its body begins in the segment's file, in bytes.
    public var bodyOffset: UInt32
    let window: [UInt8]
    let body: Range<Int>

    /// How many bytes its entries take.
    var byteCount: Int { body.count }

    /// Goes over the entries in order. Throws what `visit` throws.
    public func forEachEntry<Failure: Error>(
        _ visit: (_ kind: UInt8, _ bytes: RawSpan, _ position: LogPosition) throws(Failure) -> Void
    ) throws(Failure) {
        let bytes = unsafe window.span.bytes.extracting(body)
        var offset = 0
        while offset + Frame.entryHeaderSize <= bytes.byteCount {
            let length = Int(bytes.number(UInt32.self, at: offset))
            let start = offset + Frame.entryHeaderSize
            guard start + length <= bytes.byteCount else { return }
            try visit(
                bytes.number(UInt8.self, at: offset + 8),
                bytes.extracting(start..<(start + length)),
                LogPosition(
                    segment: segment, offset: bodyOffset + UInt32(offset), length: UInt32(length)))
            offset = start + length
        }
    }
}
