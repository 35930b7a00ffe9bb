/// Appends words and byte strings, so that `ByteReader` reads them back.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ word: UInt64) {
        var rest = word
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    /// A number that is usually small, in groups of seven bits.
    mutating func write(count: Int) {
        var rest = UInt64(count)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// A time, so that the order of bytes is the order of times.
    mutating func write(time: Int64) {
        let bits = UInt64(bitPattern: time) ^ 1 << 63
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
    }

    mutating func write(_ text: [UInt8]) {
        write(count: text.count)
        bytes += text
    }

    /// Bytes without their length, for the end.
    mutating func write(tail: ByteSlice) { unsafe bytes.append(contentsOf: tail.raw) }
}

/// Reads what `ByteWriter` has written; bytes that end too soon read as zeros.
struct ByteReader {
    private let source: [UInt8]
    private var at = 0

    init(_ source: [UInt8]) { self.source = source }

    /// What has not been read.
    var rest: [UInt8] { Array(source[at...]) }

    mutating func byte() -> UInt8 {
        guard at < source.count else { return 0 }
        at += 1
        return source[at - 1]
    }

    mutating func word() -> UInt64 {
        var word: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 8) { word |= UInt64(byte()) << shift }
        return word
    }

    /// A number of things that follow; never more than there are bytes left.
    mutating func count() -> Int { Int(clamping: min(number(), UInt64(source.count - at))) }

    mutating func number() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            let next = byte()
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { break }
            shift += 7
        }
        return value
    }

    mutating func time() -> Int64 {
        var bits: UInt64 = 0
        for _ in 0..<8 { bits = bits << 8 | UInt64(byte()) }
        return Int64(bitPattern: bits ^ 1 << 63)
    }

    mutating func bytes() -> [UInt8] {
        let length = count()
        defer { at += length }
        return Array(source[at..<(at + length)])
    }
}
