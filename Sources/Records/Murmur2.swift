/// The hash by which Kafka's default partitioner assigns keys to partitions.
public enum Murmur2 {
    /// The hash of a key: MurmurHash2, 32 bits, with the seed of Kafka's clients.
    public static func hash(_ key: some Sequence<UInt8>) -> Int32 {
        let key = Array(key)
        let factor: UInt32 = 0x5BD1_E995
        var hash = 0x9747_B28C ^ UInt32(truncatingIfNeeded: key.count)
        var at = 0
        while at + 4 <= key.count {
            var word = key[at..<(at + 4)].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            word &*= factor
            word ^= word >> 24
            word &*= factor
            hash = (hash &* factor) ^ word
            at += 4
        }
        if at < key.count {
            hash ^= key[at...].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            hash &*= factor
        }
        hash ^= hash >> 13
        hash &*= factor
        return Int32(bitPattern: hash ^ hash >> 15)
    }

    /// The partition of a key, from 0 to below `count`, with the sign dropped as Kafka drops it.
    public static func partition(of key: some Sequence<UInt8>, count: Int) -> Int {
        precondition(count > 0, "there must be at least one partition")
        return Int(hash(key) & 0x7FFF_FFFF) % count
    }
}
