extension StoreTool {
    /// Copies a store as it was after transaction `sequence` into a new directory; `.max` takes all
    /// there is. Also while another process runs it, when `sequence` is durable and no segment is
    /// freed meanwhile. `sharesSegments` gives finished segments a second name instead of copying
    /// them, which needs the same file system; a restore must not share. Throws when the target is
    /// a store already, when the log no longer reaches back so far, or what the disk says.
    public static func copy<Place: Disk>(
        _ directory: String, to target: String, upTo sequence: UInt64 = .max,
        sharesSegments: Bool, on disk: Place
    ) throws(JournalError) {
        let from = StoreLayout(directory)
        let into = StoreLayout(target)
        let store = try existing(from, disk)
        let isTaken = try JournalError.wrap { () throws(DiskError) in try disk.exists(into.format) }
        if isTaken {
            throw JournalError(.misuse, "\(target): there is a store already; name a new directory")
        }
        let copier = StoreCopier(disk: disk, from: from, into: into, store: store)
        try JournalError.wrap { () throws(DiskError) in
            for path in [target, into.journal, into.snapshots] { try disk.makeDirectory(path) }
            try copier.copySnapshots(upTo: sequence)
            try copier.copySegments(upTo: sequence, shares: sharesSegments)
            try disk.syncDirectory(into.journal)
            try disk.syncDirectory(into.snapshots)
            try disk.syncDirectory(into.parent)
            // Last, so that a copy that was cut short is no store.
            let format = StoreFormat(store: store).encoded()
            try disk.writeAtomically(format, to: "FORMAT", in: target)
        }
        try verify(target, on: disk)
    }
}

/// The steps of a copy.
private struct StoreCopier<Place: Disk> {
    let disk: Place
    let from: StoreLayout
    let into: StoreLayout
    let store: StoreIdentity

    func copySnapshots(upTo sequence: UInt64) throws(DiskError) {
        let folder = SnapshotFolder(disk: disk, layout: from, store: store)
        for found in try folder.sequences() where found <= sequence {
            try write(disk.contents(from.snapshot(found)), to: into.snapshot(found))
        }
    }

    func copySegments(upTo sequence: UInt64, shares: Bool) throws(DiskError) {
        let numbers = try disk.names(in: from.journal)
            .compactMap(StoreLayout.segmentNumber).sorted()
        for number in numbers {
            let bytes = try disk.contents(from.segment(number))
            guard case .header(let header) = SegmentHeader.read(bytes),
                header.firstSequence <= sequence || number == numbers.first
            else { continue }
            var scan = SegmentScan(bytes, header)
            while scan.sequence < sequence, scan.next() != nil {}
            let isWhole = number != numbers.last && scan.sequence < sequence
            if isWhole && shares {
                try disk.link(from.segment(number), to: into.segment(number))
            } else {
                // Damage goes along, so that the copy shows it as the original does.
                let end = isWhole || scan.end() == .damaged && sequence == .max
                try write(
                    end ? bytes : Array(bytes[..<scan.offset]), to: into.segment(number))
            }
        }
    }

    /// Gives a segment a second name; false where the file systems differ.
    private func links(_ number: UInt32) throws(DiskError) -> Bool {
        do throws(DiskError) {
            try disk.link(from.segment(number), to: into.segment(number))
            return true
        } catch {
            if error.cannotLink { return false }
            throw error
        }
    }

    private func write(_ bytes: [UInt8], to path: String) throws(DiskError) {
        let file = try disk.open(path, .create)
        try unsafe file.writeAll(bytes.span.bytes, at: 0)
        try file.sync()
    }
}
