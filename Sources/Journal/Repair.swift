/// Damaged bytes that `repair` moved away.
public struct Quarantined: Hashable, Sendable {
    /// The segment's file.
    public var segmentPath: String
    /// Where the bytes began, and how many they were.
    public var offset: Int
    /// How many bytes were moved.
    public var count: Int
    /// The file that holds them now.
    public var path: String
}

/// What can be done to a store that nobody has open. One thread.
public enum StoreTool {
    /// Reads everything a start would read, changes nothing. Throws what is wrong.
    public static func verify<Place: Disk>(
        _ directory: String, on disk: Place
    ) throws(JournalError) {
        let layout = StoreLayout(directory)
        let store = try existing(layout, disk)
        let folder = SnapshotFolder(disk: disk, layout: layout, store: store)
        let snapshots = try JournalError.wrap { () throws(DiskError) in try folder.sequences() }
        _ = try RecoveryPlan(layout, disk, store, covered: snapshots.last ?? 0, 0) {
            (_) throws(JournalError) in
        }
        let reach = try RecoveryPlan.reach(layout, disk)
        _ = try RecoveryPlan.chooseSnapshot(snapshots, reach, folder) {
            (_) throws(JournalError) in
        }
    }

    /// Moves damaged bytes into files of the quarantine and keeps all other frames; what was moved
    /// is safe there before the segment changes. A torn tail is left to the next start. Throws when
    /// another process has the store, or what the disk says.
    public static func repair<Place: Disk>(
        _ directory: String, on disk: Place
    ) throws(JournalError) -> [Quarantined] {
        let layout = StoreLayout(directory)
        let store = try existing(layout, disk)
        let lock = try OpenedLog<Place>.own(layout, disk)
        let moved = try JournalError.wrap { () throws(DiskError) in
            try disk.makeDirectory(layout.quarantine)
            let numbers = try disk.names(in: layout.journal)
                .compactMap(StoreLayout.segmentNumber).sorted()
            var moved: [Quarantined] = []
            for (index, number) in numbers.enumerated() {
                let next = index + 1 < numbers.count ? numbers[index + 1] : nil
                moved += try SegmentRepair(layout, disk, store).run(number, next)
            }
            return moved
        }
        withExtendedLifetime(lock) {}
        return moved
    }

    static func existing<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place
    ) throws(JournalError) -> StoreIdentity {
        let bytes = try JournalError.wrap { () throws(DiskError) in
            try disk.contents(layout.format)
        }
        return try StoreFormat.read(bytes, path: layout.format).store
    }
}

/// Repairs one segment: gap after gap until only valid frames are left.
private struct SegmentRepair<Place: Disk> {
    let layout: StoreLayout
    let disk: Place
    let store: StoreIdentity

    init(_ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity) {
        self.layout = layout
        self.disk = disk
        self.store = store
    }

    func run(_ number: UInt32, _ next: UInt32?) throws(DiskError) -> [Quarantined] {
        let path = layout.segment(number)
        var moved: [Quarantined] = []
        while true {
            let bytes = try disk.contents(path)
            guard case .header(let header) = SegmentHeader.read(bytes) else {
                let mended = try mendHeader(bytes, number, isLast: next == nil)
                guard let mended else { return moved }
                moved.append(mended)
                continue
            }
            var scan = SegmentScan(bytes, header)
            while scan.next() != nil {}
            let end = scan.end()
            guard end == .damaged || (next != nil && end == .torn) else { return moved }
            guard let place = try resumption(scan, next) else { return moved }
            moved.append(try quarantine(bytes, scan.offset..<place.offset, number))
            try overwrite(
                path, scan.gap(upTo: place.offset, lostSequence: place.lostSequence),
                at: scan.offset)
        }
    }

    /// Where valid frames go on behind the damage: in this segment, or else in the next one.
    private func resumption(
        _ scan: SegmentScan, _ next: UInt32?
    ) throws(DiskError) -> SegmentScan.Resumption? {
        if let found = scan.resumption() { return found }
        guard let next, let first = try firstSequence(next) else { return nil }
        let stop = scan.offset + max(FrameHeader.size, (scan.tornByteCount + 7) & ~7)
        return SegmentScan.Resumption(
            offset: stop, lostSequence: max(scan.sequence, first - 1))
    }

    private func firstSequence(_ number: UInt32) throws(DiskError) -> UInt64? {
        let bytes = try disk.open(layout.segment(number), .read)
            .bytes(at: 0, count: SegmentHeader.size)
        guard case .header(let header) = SegmentHeader.read(bytes) else { return nil }
        return header.firstSequence
    }

    /// Writes a new header when the frames behind it say what it was.
    private func mendHeader(
        _ bytes: [UInt8], _ number: UInt32, isLast: Bool
    ) throws(DiskError) -> Quarantined? {
        if case .newerFormat = SegmentHeader.read(bytes) { return nil }
        var header = SegmentHeader(
            number: number, store: store, firstSequence: 1, isRecycled: false)
        guard let first = SegmentScan(bytes, header).firstTransaction else { return nil }
        header.firstSequence = first
        let moved = try quarantine(bytes, 0..<min(SegmentHeader.size, bytes.count), number)
        try overwrite(layout.segment(number), header.encoded(), at: 0)
        return moved
    }

    private func quarantine(
        _ bytes: [UInt8], _ range: Range<Int>, _ number: UInt32
    ) throws(DiskError) -> Quarantined {
        let name = "\(StoreLayout.segmentName(number))-\(range.lowerBound)"
        let kept = Array(bytes[range.clamped(to: 0..<bytes.count)])
        try disk.writeAtomically(kept, to: name, in: layout.quarantine)
        return Quarantined(
            segmentPath: layout.segment(number), offset: range.lowerBound, count: kept.count,
            path: layout.quarantine + "/" + name)
    }

    private func overwrite(_ path: String, _ bytes: [UInt8], at offset: Int) throws(DiskError) {
        var target = path
        // A backup may share the bytes; it keeps them as they were.
        if try disk.open(path, .read).linkCount() > 1 {
            target = path + ".tmp"
            let copy = try disk.open(target, .create)
            let shared = try disk.contents(path)
            try unsafe copy.writeAll(shared.span.bytes, at: 0)
        }
        let file = try disk.open(target, .update)
        try unsafe file.writeAll(bytes.span.bytes, at: offset)
        try file.sync()
        if target != path {
            try disk.rename(target, to: path)
            try disk.syncDirectory(layout.journal)
        }
    }
}
