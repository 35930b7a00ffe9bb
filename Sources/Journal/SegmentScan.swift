/// Reads the frames of one segment in order and tells where and why they end. Pure.
struct SegmentScan {
    enum End: Hashable {
        /// Nothing behind the last frame but zeros.
        case clean
        /// Bytes of a write that a crash cut short.
        case torn
        /// Bytes that were durable once and have changed.
        case damaged
    }

    /// Where valid frames go on, and the last sequence lost before.
    struct Resumption: Hashable {
        var offset: Int
        var lostSequence: UInt64
    }

    let bytes: [UInt8]
    let header: SegmentHeader
    private let seed: SegmentSeed
    private(set) var offset = SegmentHeader.size
    /// The last sequence read.
    private(set) var sequence: UInt64

    init(_ bytes: [UInt8], _ header: SegmentHeader) {
        self.bytes = bytes
        self.header = header
        seed = SegmentSeed(store: header.store, segment: header.number)
        sequence = header.firstSequence - 1
    }

    /// The next transaction, or nil at the first place where there is no valid one.
    mutating func next() -> StoredFrame? {
        while let found = Self.frame(bytes, seed, at: offset) {
            let start = offset + FrameHeader.size
            switch found.kind {
            case .transaction where found.sequence == sequence + 1:
                sequence = found.sequence
                offset += found.frameSize
                return StoredFrame(
                    sequence: sequence, timeMicroseconds: found.timeMicroseconds,
                    segment: header.number, bodyOffset: UInt32(start), window: bytes,
                    body: start..<(start + found.bodyLength))
            case .mark where found.sequence == sequence: offset += found.frameSize
            case .gap where found.sequence >= sequence:
                sequence = found.sequence
                offset += found.frameSize
            default: return nil
            }
        }
        return nil
    }

    /// What lies behind the last valid frame of the last segment. It is damage when a later frame
    /// knows that the missing one was durable; the rest is what a crash may leave behind.
    func end() -> End {
        var place = offset
        while place + FrameHeader.size <= bytes.count {
            if let later = Self.frame(bytes, seed, at: place), later.durableSequence > sequence {
                return .damaged
            }
            place += 8
        }
        guard offset < bytes.count else { return .clean }
        return unsafe bytes.span.bytes.extracting(offset..<bytes.count).isZero ? .clean : .torn
    }

    /// The first valid frame behind the end of the valid ones.
    func resumption() -> Resumption? {
        for place in stride(from: offset + FrameHeader.size, to: bytes.count, by: 8) {
            guard let later = Self.frame(bytes, seed, at: place) else { continue }
            let lost = later.kind == .transaction ? later.sequence - 1 : later.sequence
            if later.kind != .gap, lost >= sequence {
                return Resumption(offset: place, lostSequence: lost)
            }
        }
        return nil
    }

    /// The sequence of the first transaction right behind the header, whatever the header says.
    var firstTransaction: UInt64? {
        Self.frame(bytes, seed, at: SegmentHeader.size).flatMap {
            $0.kind == .transaction ? $0.sequence : nil
        }
    }

    /// A frame that stands for damaged bytes up to `place`, which are zeros from then on.
    func gap(upTo place: Int, lostSequence: UInt64) -> [UInt8] {
        let body = [UInt8](repeating: 0, count: place - offset - FrameHeader.size)
        let header = FrameHeader(
            .gap, bodyLength: body.count, bodyChecksum: unsafe Checksum.of(body.span.bytes),
            sequence: lostSequence, durableSequence: 0, timeMicroseconds: 0)
        return header.encoded(seed, at: offset) + body
    }

    /// How many bytes lie behind the last valid frame, without the zeros at the end.
    var tornByteCount: Int {
        guard offset < bytes.count, let last = bytes[offset...].lastIndex(where: { $0 != 0 })
        else { return 0 }
        return last - offset + 1
    }

    private static func frame(
        _ bytes: [UInt8], _ seed: SegmentSeed, at offset: Int
    ) -> FrameHeader? {
        guard offset + FrameHeader.size <= bytes.count else { return nil }
        let rest = unsafe bytes.span.bytes.extracting(offset..<bytes.count)
        guard let header = FrameHeader(rest, seed, at: offset), header.frameSize <= rest.byteCount,
            Checksum.of(rest.extracting(FrameHeader.size..<header.frameSize))
                == header.bodyChecksum
        else { return nil }
        return header
    }
}
