/// The end of the log: places frames, writes groups of them, syncs. One thread at a time; it has
/// no thread of its own, so a simulation can drive every step. After any error it stays failed.
public struct LogWriter<Place: Disk> {
    let disk: Place
    let layout: StoreLayout
    let store: StoreIdentity
    let settings: LogSettings
    private var file: Place.Handle
    private var seed: SegmentSeed
    /// The number of the segment being written.
    public private(set) var segment: UInt32
    private var pending: [UInt8] = []
    private var spare: [UInt8] = []
    private(set) var writtenEnd: Int
    private var allocatedEnd: Int
    private var isUnsynced = false
    private var mayPrewrite = true
    private var markedSequence: UInt64
    private var failure: JournalError?
    let manifest: ManifestKeeper<Place>
    /// What the manifest tells of the segment being written.
    private var listing: StoreManifest.Segment
    private var notedSequence: UInt64
    /// The last transaction placed, and the last one that survives a power cut.
    public private(set) var appendedSequence: UInt64
    /// The last transaction that survives a power cut; only this far may be acknowledged.
    public private(set) var durableSequence: UInt64

    init(
        _ disk: Place, _ layout: StoreLayout, _ store: StoreIdentity, _ settings: LogSettings,
        end: LogEnd, _ known: StoreManifest, written: StoreManifest?
    ) throws(DiskError) {
        self.disk = disk
        self.layout = layout
        self.store = store
        self.settings = settings
        segment = end.segment
        seed = SegmentSeed(store: store, segment: end.segment)
        appendedSequence = end.sequence
        durableSequence = end.sequence
        markedSequence = end.sequence
        notedSequence = end.sequence
        manifest = ManifestKeeper(disk, layout, known, written: written)
        listing =
            known.segments.last { $0.number == end.segment }
            ?? StoreManifest.Segment(
                number: end.segment, firstSequence: end.sequence + 1, lastSequence: end.sequence)
        if end.offset == 0 {
            let spares = SparePool(disk: disk, layout: layout, segmentSize: settings.segmentSize)
            (file, allocatedEnd) = try Self.makeSegment(
                spares, store, end.segment, end.sequence + 1)
            writtenEnd = SegmentHeader.size
        } else {
            file = try disk.open(layout.segment(end.segment), .update)
            writtenEnd = end.offset
            allocatedEnd = max(end.offset, try file.size())
            // What recovery read may be in the system's memory only, its name too; nothing new may
            // rest on it.
            try file.sync()
            try disk.syncDirectory(layout.journal)
        }
        listing.end = writtenEnd
        try manifest.write(listing, durable: end.sequence)
    }

    /// Places a transaction behind the others, in memory; `flush` and `sync` move it on. Throws
    /// when the next segment cannot be made.
    public mutating func append(_ frame: borrowing Frame) throws(JournalError) -> AppendedFrame {
        if let failure { throw failure }
        if needsRoll(frame) { try roll() }
        let offset = writtenEnd + pending.count
        let padding = FrameHeader.padded(frame.body.count) - frame.body.count
        var checksum = unsafe Checksum.of(frame.body.span.bytes)
        if padding > 0 {
            let zeros = [UInt8](repeating: 0, count: padding)
            checksum = unsafe Checksum.of(zeros.span.bytes, from: checksum)
        }
        put(.transaction, bodyLength: frame.body.count, checksum, appendedSequence + 1)
        pending += frame.body
        for _ in 0..<padding { pending.append(0) }
        appendedSequence += 1
        listing.lastSequence = appendedSequence
        listing.messages += UInt64(frame.messageCount)
        return AppendedFrame(
            sequence: appendedSequence, segment: segment,
            bodyOffset: UInt32(offset + FrameHeader.size))
    }

    private mutating func put(
        _ kind: FrameHeader.Kind, bodyLength: Int, _ checksum: UInt32, _ sequence: UInt64
    ) {
        let now = disk.now()
        if kind == .transaction {
            listing.lastTime = now
            if listing.firstTime == 0 { listing.firstTime = now }
        }
        let header = FrameHeader(
            kind, bodyLength: bodyLength, bodyChecksum: checksum, sequence: sequence,
            durableSequence: durableSequence, timeMicroseconds: now)
        pending += header.encoded(seed, at: writtenEnd + pending.count)
    }

    /// Hands what was placed to the system. Throws the system's reason, and is failed from then on.
    public mutating func flush() throws(JournalError) {
        try guarded { writer throws(DiskError) in try writer.writePending() }
    }

    /// Waits until everything placed is on stable storage. An error is final: the system may have
    /// dropped the bytes, so nothing is acknowledged any more.
    public mutating func sync() throws(JournalError) {
        try guarded { writer throws(DiskError) in try writer.syncAll() }
    }

    /// Writes down, without waiting, up to where the log is durable: with it a changed byte in the
    /// last group is told from a group that a power cut tore. To be called before acknowledging.
    public mutating func mark() throws(JournalError) {
        try notePosition()
        guard markedSequence < durableSequence, pending.isEmpty else { return }
        put(.mark, bodyLength: 0, 0, appendedSequence)
        try guarded { writer throws(DiskError) in
            // A mark behind a large group would lay zeros where the next one is written at once.
            var group = writer.beginGroup(prewrites: false)
            try group.write()
            writer.endGroup(group, isSynced: false)
        }
        markedSequence = durableSequence
    }

    /// Writes down beside the log, without waiting, how far it is durable.
    mutating func notePosition() throws(JournalError) {
        guard notedSequence < durableSequence else { return }
        try guarded { writer throws(DiskError) in
            try writer.manifest.note(writer.currentListing, durable: writer.durableSequence)
            writer.notedSequence = writer.durableSequence
        }
    }

    /// Writes down what there is when the store is closed.
    func writeManifest() throws(DiskError) {
        try manifest.write(currentListing, durable: durableSequence)
    }

    private var currentListing: StoreManifest.Segment {
        var current = listing
        current.end = writtenEnd
        return current
    }

    private mutating func roll() throws(JournalError) {
        try guarded { writer throws(DiskError) in
            // A new segment says that all before it is durable, so there is one torn tail at most.
            try writer.syncAll()
            let next = writer.segment + 1
            let finished = writer.currentListing
            (writer.file, writer.allocatedEnd) = try Self.makeSegment(
                writer.spares, writer.store, next, writer.appendedSequence + 1)
            writer.segment = next
            writer.seed = SegmentSeed(store: writer.store, segment: next)
            writer.writtenEnd = SegmentHeader.size
            writer.mayPrewrite = true
            writer.listing = StoreManifest.Segment(
                number: next, firstSequence: writer.appendedSequence + 1,
                lastSequence: writer.appendedSequence)
            try writer.manifest.write(
                writer.listing, after: finished, durable: writer.durableSequence)
        }
    }

    private mutating func guarded(
        _ body: (inout Self) throws(DiskError) -> Void
    ) throws(JournalError) {
        if let failure { throw failure }
        do throws(DiskError) { try body(&self) } catch {
            failure = JournalError(error)
            throw JournalError(error)
        }
    }

    private mutating func syncAll() throws(DiskError) {
        var group = beginGroup()
        try group.write()
        if isUnsynced { try group.file.sync() }
        endGroup(group, isSynced: true)
    }

    private mutating func writePending() throws(DiskError) {
        var group = beginGroup()
        try group.write()
        endGroup(group, isSynced: false)
    }

    /// True when nothing waits to be written.
    var isPendingEmpty: Bool { pending.isEmpty }

    /// True when the frame goes into a new segment, which needs everything before it synced.
    func needsRoll(_ frame: borrowing Frame) -> Bool {
        let end = writtenEnd + pending.count
        let size = FrameHeader.size + FrameHeader.padded(frame.body.count)
        return end > SegmentHeader.size && end + size > settings.segmentSize
    }

    /// Takes what is pending away, to be written without holding up `append`. The next group
    /// begins only after `endGroup`.
    mutating func beginGroup(prewrites: Bool = true) -> CommitGroup<Place.Handle> {
        let start = writtenEnd
        var bytes = spare
        spare = []
        swap(&bytes, &pending)
        writtenEnd += bytes.count
        if !bytes.isEmpty { isUnsynced = true }
        var zeroEnd = 0
        if writtenEnd > allocatedEnd {
            allocatedEnd = writtenEnd
            // Zeros make small groups cheaper to sync; large ones would be written twice.
            if prewrites, mayPrewrite, bytes.count <= settings.prewriteSize / 4 {
                zeroEnd = min(writtenEnd + settings.prewriteSize, settings.segmentSize)
            }
        }
        return CommitGroup(
            file: file, bytes: bytes, offset: start, sequence: appendedSequence, zeroEnd: zeroEnd)
    }

    /// Notes what became of a group that was written, and whether it was synced.
    mutating func endGroup(_ group: consuming CommitGroup<Place.Handle>, isSynced: Bool) {
        if group.zeroEnd > allocatedEnd { allocatedEnd = group.zeroEnd }
        if group.isOutOfRoom { mayPrewrite = false }
        if isSynced {
            durableSequence = max(durableSequence, group.sequence)
            isUnsynced = false
        }
        group.bytes.removeAll(keepingCapacity: true)
        spare = group.bytes
    }

    /// Fails for good: the first reason stays.
    mutating func fail(_ error: DiskError) {
        if failure == nil { failure = JournalError(error) }
    }

    /// The same for a reason that is not the disk's.
    mutating func fail(_ error: JournalError) {
        if failure == nil { failure = error }
    }

    /// Why it failed, or nil.
    var failed: JournalError? { failure }
}

/// How the log is written. Sizes are bytes.
public struct LogSettings: Hashable, Sendable {
    /// How large a segment gets; a larger frame has a segment of its own.
    public var segmentSize: Int
    /// How far zeros are written ahead of small groups.
    public var prewriteSize: Int

    /// The defaults are 64 MiB and 1 MiB.
    public init(segmentSize: Int = 64 << 20, prewriteSize: Int = 1 << 20) {
        precondition(segmentSize >= 1024 && prewriteSize >= 0, "a segment has 1 KiB at least")
        self.segmentSize = segmentSize
        self.prewriteSize = prewriteSize
    }
}

/// Where the next frame goes; an offset of zero means into a new segment.
struct LogEnd: Hashable {
    var segment: UInt32
    var offset: Int
    var sequence: UInt64
}
