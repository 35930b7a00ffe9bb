internal import Definitions

/// Finds how much to read at once, so that a lane gives control back after the time of a slice.
///
/// Lanes that work on different batches cannot stop in the middle of one: the others have gone on
/// meanwhile. So batches are small at first, grow while they are quick, and shrink when they were
/// slow. A pure value; times are nanoseconds.
package struct SlicePacer: Sendable {
    /// What one batch may take.
    private let target: UInt64
    /// The most and the least that is read at once, in bytes.
    package static let most = 256 << 10
    static let least = 4 << 10
    /// The most records of one batch.
    static let recordLimit = 1000

    private(set) var bytes = least
    private(set) var records = recordLimit

    /// - Parameter limits: say how long a slice may take.
    init(_ limits: Limits) { target = UInt64(max(1000, limits.sliceNanoseconds)) }

    /// The rules have changed, so nothing is known any more.
    mutating func reset() {
        bytes = Self.least
        records = Self.recordLimit
    }

    /// A batch of so many bytes and records has taken so long.
    mutating func note(bytes count: Int, records run: Int, nanoseconds: UInt64) {
        guard count > 0, run > 0 else { return }
        if nanoseconds > target {
            bytes = max(1, count * Int(target / 1000) / max(1, Int(nanoseconds / 1000)))
            records = max(1, run * Int(target / 1000) / max(1, Int(nanoseconds / 1000)))
        } else if nanoseconds < target / 4 {
            if count * 2 >= bytes { bytes = min(Self.most, max(bytes, count) * 4) }
            if run * 2 >= records { records = min(Self.recordLimit, max(records, run) * 4) }
        }
    }
}
