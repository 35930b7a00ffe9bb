/// An opened store: what recovery found, and the writer that goes on from there. While it lives,
/// or until it lets go, no other process can open the store.
public struct OpenedLog<Place: Disk>: ~Copyable {
    /// Goes on behind the last transaction.
    public var writer: LogWriter<Place>
    /// How many bytes of a torn tail were cut off; zero when there was none. To be reported once.
    public let truncatedBytes: Int
    /// How much was replayed, in bytes of segments.
    let replayedBytes: Int
    private var lock: Place.Handle?

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
        let manifest = try StoreManifest.checked(layout, disk, store)
        let folder = SnapshotFolder(disk: disk, layout: layout, store: store)
        let snapshots = try JournalError.wrap { () throws(DiskError) in try folder.sequences() }
        // The end says which snapshot holds, and the snapshot from where on frames count.
        let reach = try RecoveryPlan.reach(layout, disk)
        if !reach.isDamaged {
            try RecoveryPlan.checkEnd(reach.end, manifest, snapshots, layout)
        }
        let begin = try RecoveryPlan.chooseSnapshot(snapshots, reach, folder, restore)
        let plan = try RecoveryPlan(
            layout, disk, store, covered: snapshots.last ?? 0, begin, tail: reach.tail, manifest,
            replay)
        try RecoveryPlan.checkEnd(plan.end.sequence, manifest, snapshots, layout)
        let writer = try JournalError.wrap { () throws(DiskError) in
            try plan.apply(layout, disk)
            return try LogWriter(
                disk, layout, store, settings, end: plan.end,
                plan.manifest(store, manifest, snapshots), written: manifest)
        }
        self.lock = lock
        self.writer = writer
        truncatedBytes = plan.truncatedBytes
        replayedBytes = plan.replayedBytes
    }

    /// Others can have the store from here on; nothing more is written.
    mutating func letGo() { lock = nil }

    /// Throws when the file that holds the lock was removed or replaced, because another process
    /// may have the store then.
    func checkLock() throws(JournalError) {
        guard let lock else { return }
        let path = writer.layout.lock
        let isHeld = try JournalError.wrap { () throws(DiskError) in
            try writer.disk.isLocked(path, by: lock)
        }
        guard !isHeld else { return }
        throw JournalError(
            .owned,
            "\(path) was removed or replaced while this process has the store; it stops, so that "
                + "it does not write beside another one; start it again")
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
        try refuseOrphans(layout, disk)
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

extension OpenedLog {
    /// A directory with a log and without FORMAT is no new store.
    private static func refuseOrphans(
        _ layout: StoreLayout, _ disk: Place
    ) throws(JournalError) {
        let found = try JournalError.wrap { () throws(DiskError) in
            try disk.names(in: layout.journal).contains { StoreLayout.segmentNumber($0) != nil }
        }
        guard found else { return }
        throw JournalError(
            .damaged,
            "\(layout.format) is missing, and \(layout.journal) holds a log; nothing was changed; "
                + "restore the file from a backup, or run `tidewheel store repair`")
    }
}

/// What recovery will do: decided by reading only, so a refusal changes nothing.
struct RecoveryPlan {
    private(set) var end = LogEnd(segment: 1, offset: 0, sequence: 0)
    private(set) var truncatedBytes = 0
    private(set) var replayedBytes = 0
    /// What was read of each segment, or is known of it.
    private(set) var segments: [StoreManifest.Segment] = []
    private let known: StoreManifest?
    private let covered: UInt64
    private let replayAfter: UInt64
    private var cutsTail = false
    private var unbornSegment: UInt32?
    /// The last segment, if it was read already.
    private let tail: LogReach.Tail?

    init<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity,
        covered: UInt64, _ replayAfter: UInt64, tail: LogReach.Tail? = nil,
        _ known: StoreManifest? = nil, _ replay: (StoredFrame) throws(JournalError) -> Void
    ) throws(JournalError) {
        self.tail = tail
        self.known = known
        self.covered = covered
        self.replayAfter = replayAfter
        let names = try JournalError.wrap { () throws(DiskError) in
            try disk.names(in: layout.journal)
        }
        let numbers = names.compactMap(StoreLayout.segmentNumber).sorted()
        var buffer: [UInt8] = []
        for (index, number) in numbers.enumerated() {
            let isLast = index == numbers.count - 1
            if !isLast, try skip(number, before: numbers[index + 1], layout, disk, store) {
                continue
            }
            try read(number, isLast: isLast, layout, disk, store, &buffer, replay)
        }
    }

    /// Goes over a segment that the snapshot covers as a whole, by its header alone: a start takes
    /// as long as what is replayed, not as long as what is kept. `verify` reads such segments, and
    /// whoever reads an entry checks it. False when it has to be read.
    private mutating func skip<Place: Disk>(
        _ number: UInt32, before next: UInt32, _ layout: StoreLayout, _ disk: Place,
        _ store: StoreIdentity
    ) throws(JournalError) -> Bool {
        guard replayAfter > 0, let header = try Self.header(number, layout, disk, store),
            let following = try Self.header(next, layout, disk, store),
            following.firstSequence <= replayAfter + 1,
            header.firstSequence == end.sequence + 1 || header.firstSequence <= covered + 1,
            following.firstSequence > header.firstSequence
        else { return false }
        end = LogEnd(
            segment: number, offset: SegmentHeader.size, sequence: following.firstSequence - 1)
        segments.append(
            known?.segments.last { $0.number == number }
                ?? StoreManifest.Segment(
                    number: number, firstSequence: header.firstSequence,
                    lastSequence: following.firstSequence - 1))
        return true
    }

    /// The header of a segment, when it is the one that belongs there.
    private static func header<Place: Disk>(
        _ number: UInt32, _ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity
    ) throws(JournalError) -> SegmentHeader? {
        let bytes = try JournalError.wrap { () throws(DiskError) in
            try disk.open(layout.segment(number), .read).bytes(at: 0, count: SegmentHeader.size)
        }
        guard case .header(let header) = SegmentHeader.read(bytes), header.number == number,
            header.store == store
        else { return nil }
        return header
    }

    /// The first and the last transaction in the log, as far as it can be told without reading all
    /// of it. A frame that is damaged is found when all of it is read.
    static func reach<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place
    ) throws(JournalError) -> LogReach {
        try JournalError.wrap { () throws(DiskError) in
            let numbers = try disk.names(in: layout.journal)
                .compactMap(StoreLayout.segmentNumber).sorted()
            var reach = LogReach()
            if let first = numbers.first {
                let head = try disk.open(layout.segment(first), .read)
                    .bytes(at: 0, count: SegmentHeader.size)
                if case .header(let header) = SegmentHeader.read(head) {
                    reach.freed = header.firstSequence - 1
                    reach.end = reach.freed
                }
            }
            for number in numbers.reversed() {
                let bytes = try disk.contents(layout.segment(number))
                guard case .header(let header) = SegmentHeader.read(bytes) else { continue }
                var scan = SegmentScan(bytes, header)
                while scan.next() != nil {}
                reach.end = scan.sequence
                reach.isDamaged = scan.end() == .damaged
                reach.tail = LogReach.Tail(number: number, bytes: bytes)
                break
            }
            return reach
        }
    }

    private mutating func read<Place: Disk>(
        _ number: UInt32, isLast: Bool, _ layout: StoreLayout, _ disk: Place,
        _ store: StoreIdentity, _ buffer: inout [UInt8],
        _ replay: (StoredFrame) throws(JournalError) -> Void
    ) throws(JournalError) {
        let path = layout.segment(number)
        let isKnown = tail?.number == number
        if !isKnown {
            try JournalError.wrap { () throws(DiskError) in try disk.read(path, into: &buffer) }
        }
        let bytes = isKnown ? tail?.bytes ?? [] : buffer
        let header: SegmentHeader
        switch SegmentHeader.read(bytes) {
        case .newerFormat(let format): throw .newer(path, Int(format))
        case .header(let found) where found.number == number && found.store == store:
            header = found
        default:
            // What does not look like this store's frames says nothing: a spare's old bytes do not.
            let guess = SegmentHeader(
                number: number, store: store, firstSequence: end.sequence + 1, isRecycled: true)
            var scan = SegmentScan(bytes, guess)
            guard isLast, scan.next() == nil, scan.end() != .damaged else {
                throw .damaged(path, at: 0, "the header of the segment is not valid")
            }
            // A header is synced before the first frame: this one was cut, or never finished.
            unbornSegment = number
            let cut = bytes.prefix(SegmentHeader.size).lastIndex { $0 != 0 }
            truncatedBytes += (cut.map { $0 + 1 } ?? 0) + scan.tornByteCount
            if end.offset == 0 { end.segment = number }
            return
        }
        if header.firstSequence > end.sequence + 1, header.firstSequence <= covered + 1 {
            end.sequence = header.firstSequence - 1
        }
        guard header.firstSequence == end.sequence + 1 else {
            // The log before this segment was durable when the segment was made.
            throw .damaged(
                end.offset == 0 ? path : layout.segment(end.segment), at: end.offset,
                "transactions \(end.sequence + 1) to \(header.firstSequence - 1) are missing")
        }
        var scan = SegmentScan(bytes, header)
        var listing = StoreManifest.Segment(
            number: number, firstSequence: header.firstSequence,
            lastSequence: header.firstSequence - 1)
        listing.messages = known?.segments.last { $0.number == number }?.messages ?? 0
        defer {
            listing.lastSequence = scan.sequence
            listing.end = scan.offset
            segments.append(listing)
        }
        while let frame = scan.next() {
            listing.lastTime = frame.timeMicroseconds
            if listing.firstTime == 0 { listing.firstTime = frame.timeMicroseconds }
            guard frame.sequence > replayAfter else { continue }
            replayedBytes += frame.byteCount
            try replay(frame)
        }
        end = LogEnd(segment: number, offset: scan.offset, sequence: scan.sequence)
        guard isLast else {
            if scan.end() == .clean { return }
            throw .damaged(path, at: scan.offset, "a frame that was durable")
        }
        switch scan.end() {
        case .clean:
            // Frames over old bytes might once bring back others of this segment behind them.
            if header.isRecycled, scan.offset < bytes.count { cutsTail = true }
        case .damaged: throw .damaged(path, at: scan.offset, "a frame that was durable")
        case .torn:
            cutsTail = true
            truncatedBytes += scan.tornByteCount
        }
    }

    func apply<Place: Disk>(_ layout: StoreLayout, _ disk: Place) throws(DiskError) {
        try disk.makeDirectory(layout.journal)
        try disk.syncDirectory(layout.directory)
        if let unbornSegment {
            try disk.remove(layout.segment(unbornSegment))
            try disk.syncDirectory(layout.journal)
        }
        if cutsTail {
            let file = try disk.open(layout.segment(end.segment), .update)
            try file.truncate(to: end.offset)
            try file.sync()
        }
        try SparePool(disk: disk, layout: layout, segmentSize: 0).keep(SparePool<Place>.limit)
    }

    /// Restores the newest valid snapshot that the log reaches; returns behind which transaction
    /// replay starts.
    static func chooseSnapshot<Place: Disk>(
        _ snapshots: [UInt64], _ reach: LogReach, _ folder: SnapshotFolder<Place>,
        _ restore: (RawSpan) throws(JournalError) -> Void
    ) throws(JournalError) -> UInt64 {
        for sequence in snapshots.reversed() where sequence <= reach.end {
            let begin = try JournalError.wrap { () throws(DiskError) in
                try folder.beginning(of: sequence)
            }
            guard let begin, begin >= reach.freed, try folder.read(sequence, restore) else {
                continue
            }
            return begin
        }
        guard reach.freed == 0 else {
            throw JournalError(
                .damaged,
                "\(folder.layout.snapshots): no valid snapshot, and transactions up to "
                    + "\(reach.freed) are in none of the segments; restore a backup")
        }
        return 0
    }
}

/// From where to where a log goes.
struct LogReach {
    /// A segment's number, and all of its bytes.
    struct Tail {
        var number: UInt32
        var bytes: [UInt8]
    }

    /// The last transaction whose segment was freed: a snapshot must cover it.
    var freed: UInt64 = 0
    /// The last transaction.
    var end: UInt64 = 0
    /// Bytes changed behind it, which reading all of the log names better.
    var isDamaged = false
    /// The last segment with a valid header, which nobody has to read again.
    var tail: Tail?
}
