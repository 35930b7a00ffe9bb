import Records
import TestKit
import Testing

@Suite struct Murmur2Tests {
    @Test(
        arguments: [
            ("21", -973_932_308), ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] as [(String, Int32)])
    func `the hash is the one of Kafka's clients`(key: String, expected: Int32) {
        #expect(Murmur2.hash(key.utf8) == expected)
    }

    @Test func `a partition drops the sign of the hash`() {
        #expect(
            Murmur2.partition(of: "foobar".utf8, count: 16) == Int(-790_332_482 & 0x7FFF_FFFF) % 16)
        #expect(Murmur2.partition(of: "abc".utf8, count: 1000) == 107)
        #expect(Murmur2.partition(of: "abc".utf8, count: 1) == 0)
    }

    @Test func `random keys of every length reach all partitions`() {
        var random = SeededRandom(seed: 31)
        var seen: Set<Int> = []
        for length in 0..<500 {
            let key = (0..<(length % 20)).map { _ in UInt8.random(in: 0...255, using: &random) }
            seen.insert(Murmur2.partition(of: key, count: 16))
        }
        #expect(seen == Set(0..<16), "\(random)")
    }
}
