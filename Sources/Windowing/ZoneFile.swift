/// Why the rules of a time zone cannot be used.
public struct TimeZoneError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong, in words for a person.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// What a TZif file (RFC 8536) says about a zone, in seconds.
struct ZoneFile {
    /// The offset before the first transition.
    private(set) var initial: Int64 = 0
    /// When offsets change, strictly ascending, and to what.
    private(set) var transitions: [(time: Int64, offset: Int64)] = []
    /// What holds after the last transition, when the file says so.
    private(set) var rule: ZoneRule?

    private struct Header {
        var version: UInt8
        var isUTCCount: Int
        var isStandardCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var characterCount: Int

        static let length = 44

        /// How many bytes follow it, when times take so many bytes.
        func bodyLength(_ width: Int) -> Int {
            timeCount * width + timeCount + typeCount * 6 + characterCount
                + leapCount * (width + 4) + isStandardCount + isUTCCount
        }
    }

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) throws(TimeZoneError) {
        self.bytes = bytes
        let first = try header(at: 0)
        guard first.version >= 0x32 else {
            try readBody(first, at: Header.length, width: 4)
            return
        }
        // Since version 2 everything stands there again with 64 bits, and a rule behind it.
        let start = Header.length + first.bodyLength(4)
        let second = try header(at: start)
        try readBody(second, at: start + Header.length, width: 8)
        try readFooter(at: start + Header.length + second.bodyLength(8))
    }

    private func number(at offset: Int, width: Int) -> Int64 {
        var value: Int64 = bytes[offset] < 0x80 ? 0 : -1
        for byte in bytes[offset..<(offset + width)] { value = value << 8 | Int64(byte) }
        return value
    }

    private func header(at offset: Int) throws(TimeZoneError) -> Header {
        guard offset + Header.length <= bytes.count,
            bytes[offset..<(offset + 4)].elementsEqual("TZif".utf8)
        else { throw TimeZoneError("it is not a TZif file") }
        var counts: [Int] = []
        for index in 0..<6 {
            let count = number(at: offset + 20 + index * 4, width: 4)
            // More than the file has bytes cannot be meant, and sums of these stay small.
            guard (0...Int64(bytes.count)).contains(count) else {
                throw TimeZoneError("the file is damaged: a count is too large")
            }
            counts.append(Int(count))
        }
        return Header(
            version: bytes[offset + 4], isUTCCount: counts[0], isStandardCount: counts[1],
            leapCount: counts[2], timeCount: counts[3], typeCount: counts[4],
            characterCount: counts[5])
    }

    private mutating func readBody(
        _ header: Header, at start: Int, width: Int
    ) throws(TimeZoneError) {
        guard start + header.bodyLength(width) <= bytes.count, header.typeCount > 0 else {
            throw TimeZoneError("the file is damaged: it ends too early")
        }
        if header.leapCount > 0 {
            throw TimeZoneError("the file counts leap seconds, which event times do not")
        }
        let indices = start + header.timeCount * width
        let types = indices + header.timeCount
        var offsets: [Int64] = []
        for type in 0..<header.typeCount {
            let offset = number(at: types + type * 6, width: 4)
            guard abs(offset) <= 26 * 3600 else {
                throw TimeZoneError("the file is damaged: an offset of \(offset) seconds")
            }
            offsets.append(offset)
        }
        initial = offsets[0]
        for index in 0..<header.timeCount {
            let time = number(at: start + index * width, width: width)
            let type = Int(bytes[indices + index])
            guard type < offsets.count, time < 1 << 40,
                transitions.isEmpty || time > transitions[index - 1].time
            else {
                throw TimeZoneError("the file is damaged: its transitions are out of order")
            }
            transitions.append((time, offsets[type]))
        }
    }

    private mutating func readFooter(at start: Int) throws(TimeZoneError) {
        let lineFeed = UInt8(ascii: "\n")
        guard start < bytes.count, bytes[start] == lineFeed,
            let end = bytes[(start + 1)...].firstIndex(of: lineFeed)
        else { throw TimeZoneError("the file is damaged: its last line is missing") }
        let text = bytes[(start + 1)..<end]
        if text.isEmpty { return }
        var parser = ZoneRuleParser(text)
        guard let rule = parser.rule() else {
            throw TimeZoneError(
                "the file is damaged: \"\(String(decoding: text, as: UTF8.self))\" is no rule")
        }
        self.rule = rule
    }
}
