import Connecting
import Testing

@Suite struct UnitTests {
    private static let durations: [(String, Int64)] = [
        ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
        ("h", 3_600_000_000_000), ("d", 86_400_000_000_000), (" day", 86_400_000_000_000),
    ]
    private static let sizes: [(String, Int64)] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30),
    ]

    @Test func `any number with any unit is that many, and none is read where it does not fit`() {
        var random = SplitMix64(seed: 4)
        for _ in 0..<2_000 {
            let digits = Int.random(in: 1...18, using: &random)
            let number = Int64.random(in: 0..<power(digits), using: &random)
            for (unit, factor) in Self.durations {
                let (product, overflow) = number.multipliedReportingOverflow(by: factor)
                #expect(
                    parseDuration("\(number)\(unit)") == (overflow ? nil : product),
                    "seed \(random.seed)")
            }
            for (unit, factor) in Self.sizes {
                let (product, overflow) = number.multipliedReportingOverflow(by: factor)
                #expect(
                    parseByteSize("\(number)\(unit)") == (overflow ? nil : product),
                    "seed \(random.seed)")
            }
        }
    }

    private func power(_ digits: Int) -> Int64 { (0..<digits).reduce(1) { value, _ in value * 10 } }

    @Test func `no text whatever is read as less than nothing`() {
        var random = SplitMix64(seed: 5)
        let alphabet = Array("0123456789 -+.esmhdBKiMG\u{664}")
        for _ in 0..<5_000 {
            let length = Int.random(in: 0...6, using: &random)
            let text = String(
                (0..<length).map { _ in alphabet.randomElement(using: &random) ?? " " })
            for amount in [parseDuration(text), parseByteSize(text)].compactMap({ $0 }) {
                #expect(
                    amount >= 0 && text.utf8.first.map { $0 >= 0x30 && $0 <= 0x39 } == true,
                    "seed \(random.seed): \(text)")
            }
        }
    }

    @Test(arguments: ["7", " 7s", "7 S", "7kb", "+7s", "0x7s", "7ss", "7s ", "\u{667}s"])
    func `what looks almost like a quantity is none`(_ text: String) {
        #expect(parseDuration(text) == nil)
        #expect(parseByteSize(text) == nil)
    }
}

/// Random numbers that are the same in every run.
private struct SplitMix64: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
