/// The part of the keys that one set of windows has, when several share the rows of a stage.
public struct WindowSlot: Sendable, Hashable {
    /// Which part it is, from 0.
    public let index: Int
    /// How many parts there are.
    public let count: Int

    /// All keys.
    public static let whole = WindowSlot(index: 0, count: 1)

    /// Creates a slot.
    public init(index: Int, count: Int) {
        precondition(count > 0 && index >= 0 && index < count, "a slot is one of several")
        self.index = index
        self.count = count
    }

    /// True when a key with this tag belongs to the slot.
    @inline(__always)
    func owns(_ tag: UInt32) -> Bool { count == 1 || Int(tag) % count == index }
}

/// Where a row of windows stands among those of all slots: sorted by it, they are in the order in
/// which one set of windows with all keys would have written them.
public struct RowOrder: Sendable, Hashable, Comparable {
    /// What has made a row come out.
    enum Cause: UInt8, Comparable {
        /// A record, whose row it follows.
        case record
        /// Its window has ended, or its time to live.
        case due
        /// It has changed, and a period of `emit: {every: …}` has ended.
        case tick

        static func < (left: Cause, right: Cause) -> Bool { left.rawValue < right.rawValue }
    }

    /// How many records had reached the stage.
    var sequence: UInt64
    var isByTime: Bool
    /// How far time had come within the step that was being taken.
    var clock: Int64
    var cause: Cause
    /// Decides between rows of one moment: a time, then an order of arrival.
    var major: Int64
    var minor: UInt64

    /// The order of writing.
    public static func < (left: RowOrder, right: RowOrder) -> Bool {
        if left.sequence != right.sequence { return left.sequence < right.sequence }
        if left.isByTime != right.isByTime { return right.isByTime }
        if left.clock != right.clock { return left.clock < right.clock }
        if left.cause != right.cause { return left.cause < right.cause }
        return (left.major, left.minor) < (right.major, right.minor)
    }
}
