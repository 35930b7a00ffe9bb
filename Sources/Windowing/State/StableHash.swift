/// A 64-bit hash that is the same in every process, for tables and for HyperLogLog.
///
/// Eight bytes at a time are folded by a 128-bit multiplication, the mixing step of wyhash
/// (Wang Yi, 2019). Swift's `Hasher` has a seed of its own per process and is not fit for state.
@inline(__always)
func stableHash(_ bytes: ByteSlice) -> UInt64 {
    var hash: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: bytes.count)
    var at = 0
    let last = bytes.count - 8
    while at < last {
        hash = fold(hash ^ bytes.word(at), 0xE703_7ED1_A0B4_28DB)
        at += 8
    }
    let tail = last >= 0 ? bytes.word(last) : bytes.shortWord
    hash = fold(hash ^ tail, 0x8EBC_6AF0_9C88_C6E3)
    return fold(hash ^ 0x5895_66EE_6C8B_4F15, 0xA076_1D64_78BD_642F)
}

/// The hash of a small value that is one word, with what kind of value it is.
@inline(__always)
func stableHash(word: UInt64, kind: UInt64) -> UInt64 {
    let hash = fold(word ^ 0x9E37_79B9_7F4A_7C15, 0xE703_7ED1_A0B4_28DB &+ kind &* 2)
    return fold(hash ^ 0x5895_66EE_6C8B_4F15, 0xA076_1D64_78BD_642F)
}

@inline(__always)
private func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
}
