internal import CChecksum

/// CRC32C, over the C target that uses the processor's instruction for it. Any thread.
enum Checksum {
    /// The checksum of bytes, continued from another one; 0 begins.
    static func of(_ bytes: RawSpan, from seed: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum_crc32c(seed, $0.baseAddress, $0.count) }
    }
}
