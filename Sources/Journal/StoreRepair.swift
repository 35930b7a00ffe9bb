/// Repairs a store as a whole: every segment that there is or was, the snapshots, and what names
/// them.
struct StoreRepair<Place: Disk> {
    private let layout: StoreLayout
    private let disk: Place
    private let store: StoreIdentity
    private let folder: SnapshotFolder<Place>

    init(_ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity) {
        self.layout = layout
        self.disk = disk
        self.store = store
        folder = SnapshotFolder(disk: disk, layout: layout, store: store)
    }

    func run() throws(DiskError) -> [Quarantined] {
        try disk.makeDirectory(layout.quarantine)
        try disk.makeDirectory(layout.journal)
        let manifest = try StoreManifest.read(layout, disk, store)
        var moved = try moveSnapshots()
        let snapshots = try folder.sequences()
        let last = max(manifest?.durableSequence ?? 0, snapshots.last ?? 0)
        moved += try repairSegments(manifest, last: last)
        moved += try reachBack(snapshots)
        if !moved.isEmpty { try forgetManifest() }
        return moved
    }

    /// Snapshots that cannot be read are of no use, and hide that others could be.
    private func moveSnapshots() throws(DiskError) -> [Quarantined] {
        var moved: [Quarantined] = []
        for sequence in try folder.sequences() {
            let isValid = (try? folder.read(sequence) { (_) throws(JournalError) in }) ?? false
            guard !isValid else { continue }
            let path = layout.snapshot(sequence)
            let bytes = try disk.contents(path)
            let name = StoreLayout.snapshotName(sequence)
            try disk.writeAtomically(bytes, to: name, in: layout.quarantine)
            try disk.remove(path)
            try disk.syncDirectory(layout.snapshots)
            moved.append(
                Quarantined(
                    segmentPath: path, offset: 0, count: bytes.count,
                    path: layout.quarantine + "/" + name))
        }
        return moved
    }

    private func repairSegments(
        _ manifest: StoreManifest?, last: UInt64
    ) throws(DiskError) -> [Quarantined] {
        let there = try disk.names(in: layout.journal).compactMap(StoreLayout.segmentNumber)
        let known = manifest?.segments ?? []
        var numbers = Set(there).union(known.map(\.number)).sorted()
        if numbers.isEmpty, last > 0 { numbers = [1] }
        let repair = SegmentRepair(layout, disk, store)
        var moved: [Quarantined] = []
        var end: UInt64?
        for (index, number) in numbers.enumerated() {
            let listed = known.last { $0.number == number }
            let next = index + 1 < numbers.count ? numbers[index + 1] : nil
            let first = listed?.firstSequence ?? (end ?? 0) + 1
            var least = next == nil ? last : listed?.lastSequence ?? 0
            if let next, let begin = try firstSequence(next, known) {
                least = max(least, begin - 1)
            }
            moved += try repair.run(number, next, first: first, last: least)
            end = try lastSequence(number) ?? end
        }
        return moved
    }

    private func firstSequence(
        _ number: UInt32, _ known: [StoreManifest.Segment]
    ) throws(DiskError) -> UInt64? {
        let path = layout.segment(number)
        if try disk.exists(path) {
            let head = try disk.open(path, .read).bytes(at: 0, count: SegmentHeader.size)
            if case .header(let header) = SegmentHeader.read(head), header.store == store {
                return header.firstSequence
            }
        }
        return known.last { $0.number == number }?.firstSequence
    }

    private func lastSequence(_ number: UInt32) throws(DiskError) -> UInt64? {
        let bytes = try disk.contents(layout.segment(number))
        guard case .header(let header) = SegmentHeader.read(bytes) else { return nil }
        var scan = SegmentScan(bytes, header)
        while scan.next() != nil {}
        return scan.sequence
    }

    /// Where the first segment begins in the middle and no snapshot covers what was before, one
    /// that has lost all of it is put before.
    private func reachBack(_ snapshots: [UInt64]) throws(DiskError) -> [Quarantined] {
        let numbers = try disk.names(in: layout.journal).compactMap(StoreLayout.segmentNumber)
        guard let number = numbers.min(), number > 0, let first = try firstSequence(number, []),
            first > 1
        else { return [] }
        for sequence in snapshots {
            if let begin = try folder.beginning(of: sequence), begin >= first - 1 { return [] }
        }
        let repair = SegmentRepair(layout, disk, store)
        return [try repair.replace(number - 1, [], first: 1, last: first - 1)]
    }

    /// What it named is no longer what there is; the next start writes it anew.
    private func forgetManifest() throws(DiskError) {
        let names = StoreManifest.names.map { "\(layout.directory)/\($0)" } + [layout.position]
        for path in names where try disk.exists(path) { try disk.remove(path) }
        try disk.syncDirectory(layout.directory)
    }
}
