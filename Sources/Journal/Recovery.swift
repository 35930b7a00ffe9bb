/// An opened store: what recovery found, and the writer that goes on from there. While it lives,
/// no other process can open the store.
public struct OpenedLog<Place: Disk>: ~Copyable {
    /// Goes on behind the last transaction.
    public var writer: LogWriter<Place>
    /// How many bytes of a torn tail were cut off; zero when there was none. To be reported once.
    public let truncatedBytes: Int
    private let lock: Place.Handle

    /// Opens or makes a store, hands every transaction to `replay` in order, cuts a torn tail.
    /// Throws, having changed nothing, when another process has the store, when a newer version
    /// wrote it, or when bytes changed in the middle.
    public init<Random: RandomNumberGenerator>(
        _ directory: String, on disk: Place, settings: LogSettings = LogSettings(),
        random: inout Random, replay: (StoredFrame) throws(JournalError) -> Void
    ) throws(JournalError) {
        let layout = StoreLayout(directory)
        let lock = try Self.own(layout, disk)
        let store = try Self.identity(layout, disk, &random)
        let plan = try RecoveryPlan(layout, disk, store, replay)
        let writer = try JournalError.wrap { () throws(DiskError) in
            try plan.apply(layout, disk)
            return try LogWriter(disk, layout, store, settings, end: plan.end)
        }
        self.lock = lock
        self.writer = writer
        truncatedBytes = plan.truncatedBytes
    }

    private static func own(
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

    private static func identity<Random: RandomNumberGenerator>(
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
    private var cutsTail = false
    private var unbornSegment: UInt32?

    init<Place: Disk>(
        _ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity,
        _ replay: (StoredFrame) throws(JournalError) -> Void
    ) throws(JournalError) {
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
        guard header.firstSequence == end.sequence + 1 else {
            // The log before this segment was durable when the segment was made.
            throw .damaged(
                end.offset == 0 ? path : layout.segment(end.segment), at: end.offset,
                "transactions \(end.sequence + 1) to \(header.firstSequence - 1) are missing")
        }
        var scan = SegmentScan(bytes, header)
        while let frame = scan.next() { try replay(frame) }
        end = LogEnd(segment: number, offset: scan.offset, sequence: scan.sequence)
        guard isLast else { return }
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
}
