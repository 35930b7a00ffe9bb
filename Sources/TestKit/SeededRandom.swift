internal import Glibc

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same numbers for the same seed.
public struct SeededRandom: RandomNumberGenerator, CustomStringConvertible {
    /// The seed it began with; set TIDEWHEEL_SEED to run a failed test again.
    public let seed: UInt64
    private var state: UInt64

    /// Begins with a seed; the environment's TIDEWHEEL_SEED wins over the one given.
    public init(seed given: UInt64) {
        var chosen = given
        if let text = unsafe getenv("TIDEWHEEL_SEED"),
            let seed = unsafe UInt64(String(cString: text))
        {
            chosen = seed
        }
        seed = chosen
        state = chosen
    }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// `TIDEWHEEL_SEED=…`.
    public var description: String { "TIDEWHEEL_SEED=\(seed)" }
}
