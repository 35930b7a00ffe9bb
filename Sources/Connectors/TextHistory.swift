internal import Records

/// The first bytes of a text that was unpacked, and the last ones, which cannot be read again.
struct TextHistory: ~Copyable {
    /// The first bytes, as many as a fingerprint takes.
    private(set) var head: [UInt8] = []
    private var kept = ByteBuffer()
    /// Where `kept` begins.
    private var start: UInt64 = 0

    /// How long the text is so far.
    var end: UInt64 { start + UInt64(kept.count) }

    mutating func append(copyOf buffer: borrowing ByteBuffer, _ range: Range<Int>) {
        kept.append(copyOf: buffer, range)
        guard head.count < ByteReader.probeLength, start == 0 else { return }
        head = bytes(from: 0, to: min(end, UInt64(ByteReader.probeLength)))
    }

    /// Keeps what a fingerprint before that place needs, and what follows it.
    mutating func forget(before place: UInt64) {
        let first = place - min(place, UInt64(ByteReader.probeLength))
        guard first > start else { return }
        let count = Int(min(first, end) - start)
        kept.removeFirst(count)
        start += UInt64(count)
    }

    /// Up to 1 KiB before a place.
    func bytes(before place: UInt64) -> [UInt8] {
        bytes(from: place - min(place, UInt64(ByteReader.probeLength)), to: place)
    }

    /// The bytes between two places, as far as they are kept.
    func bytes(from first: UInt64, to last: UInt64) -> [UInt8] {
        let range = max(first, start)..<max(min(last, end), max(first, start))
        return unsafe kept.withUnsafeBytes { bytes in
            unsafe Array(bytes[Int(range.lowerBound - start)..<Int(range.upperBound - start)])
        }
    }
}
