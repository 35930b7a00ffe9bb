import Testing

@testable import Journal

@Suite struct FrameTests {
    @Test func `the checksum is CRC32C`() {
        // The check value of the CRC catalogue, over "123456789".
        let bytes = Array("123456789".utf8)
        #expect(Checksum.of(bytes.span.bytes) == 0xE306_9283)
    }

    @Test func `a header is valid at its own offset only`() {
        let store = StoreIdentity(bytes: [UInt8](repeating: 7, count: 16))
        let seed = SegmentSeed(store: store, segment: 3)
        let header = FrameHeader(
            .transaction, bodyLength: 5, bodyChecksum: 9, sequence: 4, durableSequence: 2,
            timeMicroseconds: -1)
        var bytes = header.encoded(seed, at: 64)
        #expect(FrameHeader(bytes.span.bytes, seed, at: 64) == header)
        #expect(FrameHeader(bytes.span.bytes, seed, at: 72) == nil)
        let other = SegmentSeed(store: store, segment: 4)
        #expect(FrameHeader(bytes.span.bytes, other, at: 64) == nil)
        for index in bytes.indices {
            bytes[index] ^= 1
            #expect(FrameHeader(bytes.span.bytes, seed, at: 64) == nil, "byte \(index)")
            bytes[index] ^= 1
        }
    }
}
