/// Where an entry lies in the log. Offsets and lengths are bytes, up to 4 GiB.
public struct LogPosition: Hashable, Sendable {
    /// The number of the segment, from 1.
    public var segment: UInt32
    /// Where the entry begins in the segment's file.
    public var offset: UInt32
    /// How many bytes the caller gave.
    public var length: UInt32

    /// Names a place.
    public init(segment: UInt32, offset: UInt32, length: UInt32) {
        self.segment = segment
        self.offset = offset
        self.length = length
    }
}

/// Where a frame went: what to wait for, and what entry positions count from.
public struct AppendedFrame: Hashable, Sendable {
    /// The number of the transaction, from 1 and without gaps.
    public var sequence: UInt64
    /// The number of the segment.
    public var segment: UInt32
    /// Where the frame's body begins in the segment's file, in bytes.
    public var bodyOffset: UInt32

    /// The place of an entry, from what `Frame.add` returned.
    public func position(of entry: Frame.Entry) -> LogPosition {
        LogPosition(segment: segment, offset: bodyOffset + entry.offset, length: entry.length)
    }
}
