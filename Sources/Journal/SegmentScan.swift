/// Reads the frames of one segment in order and tells where and why they end. Pure.
struct SegmentScan {
    enum End: Hashable {
        /// Nothing behind the last frame but zeros, or what an older use of the file left there.
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
        var isTorn = hasCutHeader
        for place in ownHeaders() {
            isTorn = true
            if let later = Self.frame(bytes, seed, at: place), later.durableSequence > sequence {
                return .damaged
            }
        }
        if isTorn { return .torn }
        guard !header.isRecycled, offset < bytes.count else { return .clean }
        return unsafe bytes.span.bytes.extracting(offset..<bytes.count).isZero ? .clean : .torn
    }

    /// Where behind the end headers of this segment's frames lie, whether their bodies are whole or
    /// not.
    private func ownHeaders() -> [Int] {
        var places: [Int] = []
        let span = unsafe bytes.span.bytes
        var place = offset
        while place + FrameHeader.size <= span.byteCount {
            // Old segments are full of what is no header: the look must be short.
            if span.number(UInt32.self, at: place) == FrameHeader.magic,
                FrameHeader(span.extracting(place..<span.byteCount), seed, at: place) != nil
            {
                places.append(place)
            }
            place += 8
        }
        return places
    }

    /// True when the file ends in the middle of a frame's header. An older use of it leaves no
    /// frame that begins there.
    private var hasCutHeader: Bool {
        let count = bytes.count - offset
        guard count > 0, count < FrameHeader.size else { return false }
        return (0..<min(4, count)).allSatisfy {
            bytes[offset + $0] == UInt8(truncatingIfNeeded: FrameHeader.magic >> (8 * UInt32($0)))
        }
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

    /// A frame that stands for damaged bytes up to `place`. They stay as they are: an entry among
    /// them that is whole can still be read.
    func gap(upTo place: Int, lostSequence: UInt64) -> [UInt8] {
        let start = min(bytes.count, offset + FrameHeader.size)
        var body = Array(bytes[start..<max(start, min(place, bytes.count))])
        body += [UInt8](repeating: 0, count: max(0, place - offset - FrameHeader.size - body.count))
        let header = FrameHeader(
            .gap, bodyLength: body.count, bodyChecksum: unsafe Checksum.of(body.span.bytes),
            sequence: lostSequence, durableSequence: 0, timeMicroseconds: 0)
        return header.encoded(seed, at: offset) + body
    }

    /// How many bytes of torn frames lie behind the last valid one, without the zeros at the end.
    var tornByteCount: Int {
        guard offset < bytes.count else { return 0 }
        if header.isRecycled { return tornEnd - offset }
        return bytes[offset...].lastIndex { $0 != 0 }.map { $0 - offset + 1 } ?? 0
    }

    /// Where the last frame ends that was begun in a file with old bytes behind it.
    private var tornEnd: Int {
        if hasCutHeader { return bytes.count }
        return ownHeaders().reduce(offset) { end, place in
            let rest = unsafe bytes.span.bytes.extracting(place..<bytes.count)
            let size = FrameHeader(rest, seed, at: place)?.frameSize ?? FrameHeader.size
            return max(end, min(bytes.count, place + size))
        }
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
