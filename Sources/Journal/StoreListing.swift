/// A segment as it lies in a store.
public struct SegmentListing: Sendable, Hashable {
    /// Its number.
    public var number: UInt32
    /// Its file.
    public var path: String
    /// How large the file is.
    public var byteCount: Int
    /// Its first transaction, and the last one; the last is before the first when it is empty.
    public var firstSequence: UInt64
    /// Its last transaction.
    public var lastSequence: UInt64
    /// When these were written, in microseconds since 1970; nil when it is empty.
    public var firstTime: Int64?
    /// When the last one was written.
    public var lastTime: Int64?
}

extension StoreTool {
    /// The segments of a store in their order. Throws what the disk says; damage only ends a
    /// segment early.
    public static func segments<Place: Disk>(
        _ directory: String, on disk: Place
    ) throws(JournalError) -> [SegmentListing] {
        let layout = StoreLayout(directory)
        _ = try existing(layout, disk)
        return try JournalError.wrap { () throws(DiskError) in
            let numbers = try disk.names(in: layout.journal)
                .compactMap(StoreLayout.segmentNumber).sorted()
            var found: [SegmentListing] = []
            for number in numbers {
                let path = layout.segment(number)
                let bytes = try disk.contents(path)
                guard case .header(let header) = SegmentHeader.read(bytes) else { continue }
                var listing = SegmentListing(
                    number: number, path: path, byteCount: bytes.count,
                    firstSequence: header.firstSequence, lastSequence: header.firstSequence - 1)
                var scan = SegmentScan(bytes, header)
                while let frame = scan.next() {
                    listing.lastSequence = frame.sequence
                    listing.firstTime = listing.firstTime ?? frame.timeMicroseconds
                    listing.lastTime = frame.timeMicroseconds
                }
                found.append(listing)
            }
            return found
        }
    }

    /// The sequences of the snapshots there are, in order.
    public static func snapshots<Place: Disk>(
        _ directory: String, on disk: Place
    ) throws(JournalError) -> [UInt64] {
        let layout = StoreLayout(directory)
        let store = try existing(layout, disk)
        return try JournalError.wrap { () throws(DiskError) in
            try SnapshotFolder(disk: disk, layout: layout, store: store).sequences()
        }
    }

    /// The last transaction that was written at `time` or before, in microseconds since 1970; zero
    /// when all came later.
    public static func sequence<Place: Disk>(
        atTime time: Int64, in directory: String, on disk: Place
    ) throws(JournalError) -> UInt64 {
        let layout = StoreLayout(directory)
        _ = try existing(layout, disk)
        return try JournalError.wrap { () throws(DiskError) in
            var last: UInt64 = 0
            let numbers = try disk.names(in: layout.journal)
                .compactMap(StoreLayout.segmentNumber).sorted()
            for number in numbers {
                let bytes = try disk.contents(layout.segment(number))
                guard case .header(let header) = SegmentHeader.read(bytes) else { continue }
                var scan = SegmentScan(bytes, header)
                while let frame = scan.next() {
                    if frame.timeMicroseconds <= time { last = frame.sequence }
                }
            }
            return last
        }
    }
}
