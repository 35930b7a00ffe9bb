/// What a segment's file begins with.
///
///     magic u64 | format u32 | number u32 | store 16 bytes | first sequence u64 | flags u32
///     zeros up to 60 | CRC32C of the first 60 bytes u32
///
/// To change the format: raise `format`, write the new layout above, keep reading the old one,
/// and add a store of the old format to the tests.
struct SegmentHeader: Hashable {
    static let size = 64
    static let magic: UInt64 = 0x4745_5357_4454_0A0D
    static let format: UInt32 = 1

    var number: UInt32
    var store: StoreIdentity
    /// The sequence its first transaction has; all before it were durable when it was made.
    var firstSequence: UInt64
    /// True when old bytes may lie behind the end of the log, not zeros.
    var isRecycled: Bool

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.put(Self.magic)
        bytes.put(Self.format)
        bytes.put(number)
        bytes += store.bytes
        bytes.put(firstSequence)
        bytes.put(UInt32(isRecycled ? 1 : 0))
        bytes += [UInt8](repeating: 0, count: Self.size - 4 - bytes.count)
        let checksum = unsafe Checksum.of(bytes.span.bytes)
        bytes.put(checksum)
        return bytes
    }

    enum Reading: Hashable {
        case header(SegmentHeader)
        case newerFormat(UInt32)
        case invalid
    }

    static func read(_ bytes: [UInt8]) -> Reading {
        let span = unsafe bytes.span.bytes
        guard span.byteCount >= size, span.number(UInt64.self, at: 0) == magic,
            span.number(UInt32.self, at: size - 4)
                == Checksum.of(span.extracting(0..<(size - 4)))
        else { return .invalid }
        let format = span.number(UInt32.self, at: 8)
        guard format <= Self.format else { return .newerFormat(format) }
        return .header(
            SegmentHeader(
                number: span.number(UInt32.self, at: 12),
                store: StoreIdentity(bytes: Array(bytes[16..<32])),
                firstSequence: span.number(UInt64.self, at: 32),
                isRecycled: span.number(UInt32.self, at: 40) & 1 == 1))
    }
}

/// Sixteen random bytes a store is told from others by.
public struct StoreIdentity: Hashable, Sendable, CustomStringConvertible {
    /// The bytes.
    public let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    init(random: inout some RandomNumberGenerator) {
        bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    init?(_ text: Substring) {
        let digits = text.compactMap(\.hexDigitValue)
        guard text.count == 32, digits.count == 32 else { return nil }
        bytes = stride(from: 0, to: 32, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }

    /// As 32 hexadecimal digits.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
