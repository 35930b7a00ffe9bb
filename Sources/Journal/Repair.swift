/// Damaged bytes that `repair` moved away.
public struct Quarantined: Hashable, Sendable {
    /// The segment's file.
    public var segmentPath: String
    /// Where the bytes began, and how many they were.
    public var offset: Int
    /// How many bytes were moved.
    public var count: Int
    /// The file that holds them now; empty when there was nothing left to move.
    public var path: String
    /// The first and the last transaction that were lost with them; nil when none was.
    public var lost: ClosedRange<UInt64>?
}

/// What can be done to a store that nobody has open. One thread.
public enum StoreTool {
    /// Reads everything a start would read, changes nothing. Throws what is wrong.
    public static func verify<Place: Disk>(
        _ directory: String, on disk: Place
    ) throws(JournalError) {
        let layout = StoreLayout(directory)
        let store = try existing(layout, disk)
        let manifest = try StoreManifest.checked(layout, disk, store)
        let folder = SnapshotFolder(disk: disk, layout: layout, store: store)
        let snapshots = try JournalError.wrap { () throws(DiskError) in try folder.sequences() }
        let plan = try RecoveryPlan(layout, disk, store, covered: snapshots.last ?? 0, 0) {
            (_) throws(JournalError) in
        }
        try RecoveryPlan.checkEnd(plan.end.sequence, manifest, snapshots, layout)
        let reach = try RecoveryPlan.reach(layout, disk)
        _ = try RecoveryPlan.chooseSnapshot(snapshots, reach, folder) {
            (_) throws(JournalError) in
        }
    }

    /// Moves damaged bytes into files of the quarantine and keeps all other frames; what was moved
    /// is safe there before anything else changes. Segments that are gone are replaced by ones that
    /// say so. Afterwards the store can be opened. A torn tail is left to the next start. Throws
    /// when another process has the store, or what the disk says.
    ///
    /// To see what it would do, give it a `ReadingDisk`.
    public static func repair<Place: Disk>(
        _ directory: String, on disk: Place
    ) throws(JournalError) -> [Quarantined] {
        let layout = StoreLayout(directory)
        let lock = try OpenedLog<Place>.own(layout, disk)
        let moved = try JournalError.wrap { () throws(DiskError) in
            let hadFormat = try hasFormat(layout, disk)
            guard let store = try identity(layout, disk) else { return [Quarantined]() }
            var moved = try StoreRepair(layout, disk, store).run()
            if !hadFormat {
                moved.append(
                    Quarantined(segmentPath: layout.format, offset: 0, count: 0, path: ""))
            }
            return moved
        }
        withExtendedLifetime(lock) {}
        return moved
    }

    private static func hasFormat<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place
    ) throws(DiskError) -> Bool {
        guard try disk.exists(layout.format) else { return false }
        let bytes = try disk.contents(layout.format)
        do throws(JournalError) {
            _ = try StoreFormat.read(bytes, path: layout.format)
            return true
        } catch {
            // What a newer version wrote is not written over.
            return error.code == .newerFormat
        }
    }

    /// Who the store is: as FORMAT says, or else as whatever else is left of it does; FORMAT is
    /// written anew then. Nil when nothing is left.
    private static func identity<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place
    ) throws(DiskError) -> StoreIdentity? {
        if try hasFormat(layout, disk) {
            return try? StoreFormat.read(disk.contents(layout.format), path: layout.format).store
        }
        var found: StoreIdentity?
        for name in StoreManifest.names where try disk.exists("\(layout.directory)/\(name)") {
            let bytes = try disk.contents("\(layout.directory)/\(name)")
            found = found ?? StoreManifest(bytes)?.store
        }
        for number in try disk.names(in: layout.journal).compactMap(StoreLayout.segmentNumber) {
            let head = try disk.open(layout.segment(number), .read)
                .bytes(at: 0, count: SegmentHeader.size)
            if case .header(let header) = SegmentHeader.read(head) { found = found ?? header.store }
        }
        guard let found else { return nil }
        try disk.writeAtomically(
            StoreFormat(store: found).encoded(), to: "FORMAT", in: layout.directory)
        return found
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
