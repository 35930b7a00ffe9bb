internal import Journal

/// Takes an entry of the log apart; what is missing reads as zero and is noted.
struct EntryReader: ~Escapable {
    private let bytes: RawSpan
    private(set) var offset: Int
    private(set) var isBroken = false

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, at offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    var isAtEnd: Bool { offset >= bytes.byteCount }
    var remaining: Int { max(0, bytes.byteCount - offset) }

    mutating func integer<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type
    ) -> Number {
        let size = Number.bitWidth / 8
        guard offset + size <= bytes.byteCount else {
            isBroken = true
            return 0
        }
        defer { offset += size }
        return bytes.number(type, at: offset)
    }

    mutating func fail() { isBroken = true }

    /// Goes over `count` bytes at once; returns where they begin, nil when they are not there.
    mutating func skip(_ count: Int) -> Int? {
        guard count <= remaining else {
            isBroken = true
            return nil
        }
        defer { offset += count }
        return offset
    }

    /// A number among bytes that were gone over.
    func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type, at place: Int
    ) -> Number { bytes.number(type, at: place) }

    mutating func text() -> String? {
        let length = integer(UInt32.self)
        if length == .max || isBroken { return nil }
        guard Int(length) <= remaining else {
            isBroken = true
            return nil
        }
        defer { offset += Int(length) }
        return unsafe bytes.extracting(offset..<(offset + Int(length))).withUnsafeBytes {
            unsafe String(decoding: $0, as: UTF8.self)
        }
    }

    mutating func array(_ count: Int) -> [UInt8] {
        guard count >= 0, count <= remaining else {
            isBroken = true
            return []
        }
        defer { offset += count }
        return unsafe bytes.extracting(offset..<(offset + count)).withUnsafeBytes {
            unsafe Array($0)
        }
    }
}

extension [UInt8] {
    /// A text with its length before it; nil is told from empty.
    mutating func put(text: String?) {
        guard var text else {
            put(UInt32.max)
            return
        }
        text.withUTF8 { utf8 in
            put(UInt32(utf8.count))
            unsafe append(contentsOf: utf8)
        }
    }
}
