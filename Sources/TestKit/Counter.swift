internal import Synchronization

/// A number that several threads count up.
public final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    /// Begins with zero.
    public init() {}

    /// The number now.
    public var value: Int { count.load(ordering: .acquiring) }

    /// Adds one; the number it has become.
    @discardableResult
    public func add() -> Int { count.add(1, ordering: .acquiringAndReleasing).newValue }
}
