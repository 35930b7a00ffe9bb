/// What stands before a frame's body. Its checksum begins with a seed of the store, the segment
/// and the offset, so bytes of an older use of the file, or a payload that looks like a frame, are
/// never taken for one. The body is padded with zeros to a multiple of eight.
///
///     magic u32 | CRC32C of what follows u32 | body length u32 | CRC32C of the padded body u32
///     sequence u64 | durable sequence u64 | microseconds since 1970 i64 | kind u8, seven zeros
struct FrameHeader: Hashable {
    enum Kind: UInt8 {
        /// A transaction with the next sequence.
        case transaction = 0
        /// No transaction: says only up to where the log is durable.
        case mark = 1
        /// Damaged bytes that `repair` moved away; the sequences up to its own are lost.
        case gap = 2
    }

    static let size = 48
    static let magic: UInt32 = 0x4D52_4654

    var kind: Kind
    var bodyLength: Int
    var bodyChecksum: UInt32
    var sequence: UInt64
    /// Up to which sequence the log was on stable storage when the frame was written.
    var durableSequence: UInt64
    var timeMicroseconds: Int64

    /// The frame with header and padding.
    var frameSize: Int { Self.size + Self.padded(bodyLength) }

    static func padded(_ length: Int) -> Int { (length + 7) & ~7 }

    func encoded(_ seed: SegmentSeed, at offset: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.size)
        bytes.put(Self.magic)
        bytes.put(UInt32(0))
        bytes.put(UInt32(bodyLength))
        bytes.put(bodyChecksum)
        bytes.put(sequence)
        bytes.put(durableSequence)
        bytes.put(timeMicroseconds)
        bytes.put(UInt64(kind.rawValue))
        let checksum = Checksum.of(
            unsafe bytes.span.bytes.extracting(8..<Self.size), from: seed.at(offset))
        bytes.set(checksum, at: 4)
        return bytes
    }

    /// The header at the start of `bytes`, or nil when there is no whole one.
    init?(_ bytes: RawSpan, _ seed: SegmentSeed, at offset: Int) {
        guard bytes.byteCount >= Self.size, bytes.number(UInt32.self, at: 0) == Self.magic,
            bytes.number(UInt32.self, at: 4)
                == Checksum.of(bytes.extracting(8..<Self.size), from: seed.at(offset)),
            let kind = Kind(rawValue: bytes.number(UInt8.self, at: 40))
        else { return nil }
        self.kind = kind
        bodyLength = Int(bytes.number(UInt32.self, at: 8))
        bodyChecksum = bytes.number(UInt32.self, at: 12)
        sequence = bytes.number(UInt64.self, at: 16)
        durableSequence = bytes.number(UInt64.self, at: 24)
        timeMicroseconds = bytes.number(Int64.self, at: 32)
    }

    init(
        _ kind: Kind, bodyLength: Int, bodyChecksum: UInt32, sequence: UInt64,
        durableSequence: UInt64, timeMicroseconds: Int64
    ) {
        self.kind = kind
        self.bodyLength = bodyLength
        self.bodyChecksum = bodyChecksum
        self.sequence = sequence
        self.durableSequence = durableSequence
        self.timeMicroseconds = timeMicroseconds
    }
}

/// What the checksums of one use of a segment begin with.
struct SegmentSeed: Hashable {
    private let base: UInt32

    init(store: StoreIdentity, segment: UInt32) {
        var bytes = store.bytes
        bytes.put(segment)
        base = unsafe Checksum.of(bytes.span.bytes)
    }

    func at(_ offset: Int) -> UInt32 {
        // Knuth's multiplicative hash spreads neighbouring offsets.
        base ^ (UInt32(truncatingIfNeeded: offset) &* 2_654_435_761)
    }
}
