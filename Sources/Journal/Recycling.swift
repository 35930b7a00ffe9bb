/// Segments that nobody needs are kept for the log to be written into again: a file whose blocks
/// are there already is synced faster than one that grows. Their old bytes can do no harm, since a
/// frame's checksum begins with the number of its segment and its offset.
struct SparePool<Place: Disk> {
    let disk: Place
    let layout: StoreLayout
    let segmentSize: Int
    /// So many are kept; the others give their room back.
    static var limit: Int { 2 }

    /// Takes a segment away that nobody needs, or keeps its file as a spare. The names are durable
    /// once the directory is synced.
    func release(_ number: UInt32) throws(DiskError) {
        let path = layout.segment(number)
        if try numbers().count < Self.limit, try isFit(path) {
            try disk.rename(path, to: layout.spare(number))
        } else {
            try disk.removeInSteps(path, in: layout.journal)
        }
    }

    /// A spare becomes the segment that the header names; nil when there is none.
    func take(_ header: SegmentHeader) throws(DiskError) -> Place.Handle? {
        for number in try numbers() {
            let path = layout.spare(number)
            guard try isFit(path) else {
                try disk.remove(path)
                continue
            }
            // Another thread may just have made it one: after a power cut its old name must not
            // lead to a new segment.
            try disk.syncDirectory(layout.journal)
            let file = try disk.open(path, .update)
            try unsafe file.writeAll(header.encoded().span.bytes, at: 0)
            // Whoever sees the segment's name must find its header.
            try file.sync()
            try disk.rename(path, to: layout.segment(header.number))
            try disk.syncDirectory(layout.journal)
            return file
        }
        return nil
    }

    /// Gives the room of all but `count` spares back.
    func keep(_ count: Int) throws(DiskError) {
        for number in try numbers().dropFirst(count) { try disk.remove(layout.spare(number)) }
    }

    /// Goes over the log while others append to it; returns how many segments were freed.
    func freeSegments(
        of store: StoreIdentity, live: Set<UInt32>, _ manifest: ManifestKeeper<Place>
    ) throws(JournalError) -> Int {
        try JournalError.wrap { () throws(DiskError) in
            let folder = SnapshotFolder(disk: disk, layout: layout, store: store)
            let kept = try folder.sequences().suffix(2)
            guard kept.count == 2, let first = kept.first,
                let older = try folder.beginning(of: first)
            else { return 0 }
            let numbers = try disk.names(in: layout.journal)
                .compactMap(StoreLayout.segmentNumber).sorted()
            var freed: [UInt32] = []
            for (number, next) in zip(numbers, numbers.dropFirst()) where !live.contains(number) {
                let head = try disk.open(layout.segment(next), .read)
                    .bytes(at: 0, count: SegmentHeader.size)
                guard case .header(let header) = SegmentHeader.read(head),
                    header.firstSequence <= older + 1
                else { break }
                freed.append(number)
            }
            try manifest.forget(segments: freed)
            for number in freed { try release(number) }
            if !freed.isEmpty { try disk.syncDirectory(layout.journal) }
            return freed.count
        }
    }

    func numbers() throws(DiskError) -> [UInt32] {
        try disk.names(in: layout.journal).compactMap(StoreLayout.spareNumber)
    }

    /// Large enough to be worth it, and no backup has its bytes under another name.
    private func isFit(_ path: String) throws(DiskError) -> Bool {
        let file = try disk.open(path, .read)
        guard try file.linkCount() == 1 else { return false }
        return try file.size() >= segmentSize / 4 * 3
    }
}

extension LogWriter {
    /// Takes segments away that both snapshots cover and where nothing the owner still needs lies,
    /// or keeps them to be written again; returns how many. `live` holds the numbers of the
    /// segments it needs.
    public func freeSegments(live: Set<UInt32>) throws(JournalError) -> Int {
        try spares.freeSegments(of: store, live: live, manifest)
    }

    var spares: SparePool<Place> {
        SparePool(disk: disk, layout: layout, segmentSize: settings.segmentSize)
    }

    /// A segment in a spare file or a new one, and how far its bytes are there.
    static func makeSegment(
        _ spares: SparePool<Place>, _ store: StoreIdentity, _ number: UInt32, _ first: UInt64
    ) throws(DiskError) -> (file: Place.Handle, end: Int) {
        var header = SegmentHeader(
            number: number, store: store, firstSequence: first, isRecycled: true)
        if let file = try spares.take(header) { return (file, try file.size()) }
        header.isRecycled = false
        let file = try spares.disk.open(spares.layout.segment(number), .create)
        try unsafe file.writeAll(header.encoded().span.bytes, at: 0)
        try file.sync()
        try spares.disk.syncDirectory(spares.layout.journal)
        return (file, SegmentHeader.size)
    }
}
