/// Bytes as packers write them that do not pack: blocks that are stored as they are.
enum Packed {
    /// One gzip member (RFC 1952) of stored blocks.
    static func gzip(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        precondition(bytes.count < 65_536, "one stored block")
        var packed: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1]
        packed += little(UInt32(bytes.count), 2) + little(~UInt32(bytes.count), 2) + bytes
        return packed + little(checksum(bytes), 4) + little(UInt32(bytes.count), 4)
    }

    /// One zstd frame (RFC 8878) of a raw block.
    static func zstd(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        precondition((256..<65_536).contains(bytes.count), "a length of two bytes")
        // A single segment, whose length follows in two bytes.
        let start: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x60] + little(UInt32(bytes.count - 256), 2)
        return start + little(UInt32(bytes.count) << 3 | 1, 3) + bytes
    }

    private static func little(_ number: UInt32, _ count: UInt32) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    /// The CRC of RFC 1952, bit by bit.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var value = ~UInt32(0)
        for byte in bytes {
            value ^= UInt32(byte)
            for _ in 0..<8 {
                let isOdd = value & 1 == 1
                value >>= 1
                if isOdd { value ^= 0xEDB8_8320 }
            }
        }
        return ~value
    }
}
