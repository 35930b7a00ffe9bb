/// An opened store: what recovery found, and the writer that goes on from there. While it lives,
/// no other process can open the store.
public struct OpenedLog<Place: Disk>: ~Copyable {
    /// Goes on behind the last transaction.
    public var writer: LogWriter<Place>
    /// How many bytes of a torn tail were cut off; zero when there was none. To be reported once.
    public let truncatedBytes: Int
    private let lock: Place.Handle

    /// Opens or makes a store, hands the newest snapshot that the log reaches to `restore` and
    /// every transaction behind it to `replay`, in order, and cuts a torn tail.
    /// Throws, having changed nothing, when another process has the store, when a newer version
    /// wrote it, or when bytes changed in the middle.
    public init<Random: RandomNumberGenerator>(
        _ directory: String, on disk: Place, settings: LogSettings = LogSettings(),
        random: inout Random,
        restore: (RawSpan) throws(JournalError) -> Void = { (_) throws(JournalError) in },
        replay: (StoredFrame) throws(JournalError) -> Void
    ) throws(JournalError) {
        let layout = StoreLayout(directory)
        let lock = try Self.own(layout, disk)
        let store = try Self.identity(layout, disk, &random)
        let folder = SnapshotFolder(disk: disk, layout: layout, store: store)
        let snapshots = try JournalError.wrap { () throws(DiskError) in try folder.sequences() }
        var plan = try RecoveryPlan(layout, disk, store, covered: snapshots.last ?? 0, 0) {
            (_) throws(JournalError) in
        }
        let sequence = try plan.chooseSnapshot(snapshots, folder, restore)
        // Read again now that it is known where the state begins.
        plan = try RecoveryPlan(layout, disk, store, covered: snapshots.last ?? 0, sequence, replay)
        plan.staleSnapshots = snapshots.filter { $0 > plan.end.sequence }
        let writer = try JournalError.wrap { () throws(DiskError) in
            try plan.apply(layout, disk)
            return try LogWriter(disk, layout, store, settings, end: plan.end)
        }
        self.lock = lock
        self.writer = writer
        truncatedBytes = plan.truncatedBytes
    }

    static func own(
        _ layout: StoreLayout, _ disk: Place
    ) throws(JournalError) -> Place.Handle {
        let handle = try JournalError.wrap { () throws(DiskError) in
            try disk.makeDirectory(layout.directory)
            return try disk.lock(layout.lock)
        }
        guard let handle else {
            throw JournalError(
                .owned,
                "\(layout.directory): another process has this store; stop it or use its socket")
        }
        return handle
    }

    static func identity<Random: RandomNumberGenerator>(
        _ layout: StoreLayout, _ disk: Place, _ random: inout Random
    ) throws(JournalError) -> StoreIdentity {
        let isThere = try JournalError.wrap { () throws(DiskError) in
            try disk.exists(layout.format)
        }
        if isThere {
            let bytes = try JournalError.wrap { () throws(DiskError) in
                try disk.contents(layout.format)
            }
            return try StoreFormat.read(bytes, path: layout.format).store
        }
        do throws(DiskError) {
            let store = StoreIdentity(random: &random)
            // Before FORMAT is there nothing counts; once it is, the way to it must be, too.
            try disk.syncDirectory(layout.parent)
            try disk.makeDirectory(layout.journal)
            try disk.writeAtomically(
                StoreFormat(store: store).encoded(), to: "FORMAT", in: layout.directory)
            return store
        } catch { throw JournalError(error) }
    }
}

/// What recovery will do: decided by reading only, so a refusal changes nothing.
struct RecoveryPlan {
    private(set) var end = LogEnd(segment: 1, offset: 0, sequence: 0)
    private(set) var truncatedBytes = 0
    /// Snapshots of transactions that are gone, whose numbers will be given again.
    var staleSnapshots: [UInt64] = []
    private let covered: UInt64
    private let replayAfter: UInt64
    /// The last transaction of a segment that was freed: a snapshot must cover it.
    private var freedSequence: UInt64 = 0
    private var cutsTail = false
    private var unbornSegment: UInt32?

    init<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity,
        covered: UInt64, _ replayAfter: UInt64,
        _ replay: (StoredFrame) throws(JournalError) -> Void
    ) throws(JournalError) {
        self.covered = covered
        self.replayAfter = replayAfter
        let names = try JournalError.wrap { () throws(DiskError) in
            try disk.names(in: layout.journal)
        }
        let numbers = names.compactMap(StoreLayout.segmentNumber).sorted()
        for (index, number) in numbers.enumerated() {
            try read(number, isLast: index == numbers.count - 1, layout, disk, store, replay)
        }
    }

    private mutating func read<Place: Disk>(
        _ number: UInt32, isLast: Bool, _ layout: StoreLayout, _ disk: Place,
        _ store: StoreIdentity, _ replay: (StoredFrame) throws(JournalError) -> Void
    ) throws(JournalError) {
        let path = layout.segment(number)
        let bytes = try JournalError.wrap { () throws(DiskError) in try disk.contents(path) }
        let header: SegmentHeader
        switch SegmentHeader.read(bytes) {
        case .newerFormat(let format): throw .newer(path, Int(format))
        case .header(let found) where found.number == number && found.store == store:
            header = found
        default:
            let guess = SegmentHeader(
                number: number, store: store, firstSequence: end.sequence + 1, isRecycled: false)
            var scan = SegmentScan(bytes, guess)
            guard isLast, scan.next() == nil, scan.end() != .damaged else {
                throw .damaged(path, at: 0, "the header of the segment is not valid")
            }
            // A header is synced before the first frame: this one was cut, or never finished.
            unbornSegment = number
            truncatedBytes += bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
            if end.offset == 0 { end.segment = number }
            return
        }
        if header.firstSequence > end.sequence + 1, header.firstSequence <= covered + 1 {
            freedSequence = header.firstSequence - 1
            end.sequence = freedSequence
        }
        guard header.firstSequence == end.sequence + 1 else {
            // The log before this segment was durable when the segment was made.
            throw .damaged(
                end.offset == 0 ? path : layout.segment(end.segment), at: end.offset,
                "transactions \(end.sequence + 1) to \(header.firstSequence - 1) are missing")
        }
        var scan = SegmentScan(bytes, header)
        while let frame = scan.next() { if frame.sequence > replayAfter { try replay(frame) } }
        end = LogEnd(segment: number, offset: scan.offset, sequence: scan.sequence)
        guard isLast else {
            if scan.end() == .clean { return }
            throw .damaged(path, at: scan.offset, "a frame that was durable")
        }
        switch scan.end() {
        case .clean: break
        case .damaged: throw .damaged(path, at: scan.offset, "a frame that was durable")
        case .torn:
            cutsTail = true
            truncatedBytes += scan.tornByteCount
        }
    }

    func apply<Place: Disk>(_ layout: StoreLayout, _ disk: Place) throws(DiskError) {
        try disk.makeDirectory(layout.journal)
        try disk.syncDirectory(layout.directory)
        for sequence in staleSnapshots { try disk.remove(layout.snapshot(sequence)) }
        if !staleSnapshots.isEmpty { try disk.syncDirectory(layout.snapshots) }
        if let unbornSegment {
            try disk.remove(layout.segment(unbornSegment))
            try disk.syncDirectory(layout.journal)
        }
        if cutsTail {
            let file = try disk.open(layout.segment(end.segment), .update)
            try file.truncate(to: end.offset)
            try file.sync()
        }
    }

    /// Restores the newest valid snapshot that the log reaches; returns its sequence, or zero.
    func chooseSnapshot<Place: Disk>(
        _ snapshots: [UInt64], _ folder: SnapshotFolder<Place>,
        _ restore: (RawSpan) throws(JournalError) -> Void
    ) throws(JournalError) -> UInt64 {
        for sequence in snapshots.reversed() where sequence <= end.sequence {
            let found = try JournalError.wrap { () throws(DiskError) in
                try folder.blocks(sequence)
            }
            guard let found, sequence >= freedSequence else { continue }
            for block in found { try restore(unsafe block.span.bytes) }
            return sequence
        }
        guard freedSequence == 0 else {
            throw JournalError(
                .damaged,
                "\(folder.layout.snapshots): no valid snapshot, and transactions up to "
                    + "\(freedSequence) are in none of the segments; restore a backup")
        }
        return 0
    }
}
