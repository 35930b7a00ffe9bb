/// How long a failed message waits for its next attempt. Durations are milliseconds.
public struct RetryPolicy: Sendable, Hashable {
    /// The shape of the waits.
    public enum Shape: Sendable, Hashable {
        /// Always the base.
        case fixed
        /// The base times the number of attempts.
        case linear
        /// The base times the factor to the power of the attempts but one.
        case exponential(factor: Double)
        /// These, the last one again and again.
        case list([Int64])
        /// What a function says; where it does not know, the base, doubled each time.
        case function(RetryFunction)
    }

    /// The shape.
    public var shape = Shape.exponential(factor: 2)
    /// The first wait.
    public var base: Int64 = 1_000
    /// The longest wait.
    public var cap: Int64 = 3_600_000
    /// How far chance may move a wait, as a part of it, up and down.
    public var jitter = 0.2

    /// 1 s, 2 s, 4 s … up to an hour, moved by up to a fifth.
    public init() {}

    /// The wait after so many attempts.
    package func wait(
        after attempts: Int, random: inout some RandomNumberGenerator
    ) -> Int64 {
        let number = max(1, attempts)
        var wait: Double
        switch shape {
        case .fixed: wait = Double(base)
        case .linear: wait = Double(base) * Double(number)
        case .exponential(let factor): wait = exponential(factor, number)
        case .function: wait = exponential(2, number)
        case .list(let waits):
            wait = Double(waits.isEmpty ? base : waits[min(number, waits.count) - 1])
        }
        wait = min(wait, Double(cap))
        if jitter > 0 { wait *= 1 + Double.random(in: -jitter...jitter, using: &random) }
        return max(0, Int64(min(wait, Double(cap)).rounded()))
    }

    private func exponential(_ factor: Double, _ number: Int) -> Double {
        var wait = Double(base)
        var step = 1
        // Beyond the cap it would only overflow.
        while step < number, wait < Double(cap) {
            wait *= factor
            step += 1
        }
        return wait
    }
}
