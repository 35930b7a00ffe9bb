/// The owner's whole state, as opaque bytes in checksummed blocks. It may be taken in pieces while
/// transactions go on: replay starts behind the one before the first piece, and the state is whole
/// where the log reaches the one after the last piece, whose sequence the file is named by.
///
///     magic u64 | format u32 | store 16 bytes | sequence u64 | begin u64 | CRC32C of 44 bytes u32
///     blocks: length u32 | CRC32C u32 | bytes
///     end: 0xFFFFFFFF | CRC32C of the block count u64 | block count u64
public struct SnapshotWriter<Handle: File> {
    static var magic: UInt64 { 0x5041_4E53_4454_0A0D }
    static var headerSize: Int { 48 }
    static var endMark: UInt32 { .max }
    private static var blockSize: Int { 64 << 10 }
    /// After so much the disk is waited for: a file system that writes all of a large file before
    /// somebody else's sync returns would hold up every commit.
    private static var syncSize: Int { 256 << 10 }

    private let file: Handle
    private var buffer: [UInt8] = []
    private let store: StoreIdentity
    /// Replay starts behind this transaction.
    let begin: UInt64
    private var offset = Self.headerSize
    private var syncedOffset = 0
    private var blockCount: UInt64 = 0

    init(_ file: Handle, _ store: StoreIdentity, begin: UInt64) {
        self.file = file
        self.store = store
        self.begin = begin
    }

    /// Adds bytes; they come back in pieces of the same order, cut elsewhere. Throws the disk's
    /// reason.
    public mutating func write(_ bytes: RawSpan) throws(JournalError) {
        buffer.put(bytes)
        if buffer.count >= Self.blockSize {
            do throws(DiskError) { try emitBlock() } catch { throw JournalError(error) }
        }
    }

    /// Ends the file: with transaction `sequence` its state is whole.
    mutating func finish(_ sequence: UInt64) throws(DiskError) {
        if !buffer.isEmpty { try emitBlock() }
        var count: [UInt8] = []
        count.put(blockCount)
        var end: [UInt8] = []
        end.put(Self.endMark)
        end.put(unsafe Checksum.of(count.span.bytes))
        try emit(end + count)
        try writeHeader(sequence)
        try file.sync()
    }

    private func writeHeader(_ sequence: UInt64) throws(DiskError) {
        var header: [UInt8] = []
        header.put(Self.magic)
        header.put(SegmentHeader.format)
        header += store.bytes
        header.put(sequence)
        header.put(begin)
        let checksum = unsafe Checksum.of(header.span.bytes)
        header.put(checksum)
        try unsafe file.writeAll(header.span.bytes, at: 0)
    }

    private mutating func emitBlock() throws(DiskError) {
        var head: [UInt8] = []
        head.put(UInt32(buffer.count))
        head.put(unsafe Checksum.of(buffer.span.bytes))
        try emit(head)
        try emit(buffer)
        buffer.removeAll(keepingCapacity: true)
        blockCount += 1
        if offset >= syncedOffset + Self.syncSize {
            try file.sync()
            syncedOffset = offset
        }
    }

    private mutating func emit(_ bytes: [UInt8]) throws(DiskError) {
        try unsafe file.writeAll(bytes.span.bytes, at: offset)
        offset += bytes.count
    }
}

/// The snapshots of a store: two are kept, so one may be damaged.
struct SnapshotFolder<Place: Disk> {
    let disk: Place
    let layout: StoreLayout
    let store: StoreIdentity

    private var temporary: String { layout.snapshots + "/snapshot.tmp" }

    /// Begins a snapshot in a file that is none yet.
    func begin(_ sequence: UInt64) throws(JournalError) -> SnapshotWriter<Place.Handle> {
        try JournalError.wrap { () throws(DiskError) in
            try disk.makeDirectory(layout.snapshots)
            try disk.syncDirectory(layout.directory)
            return SnapshotWriter(try disk.open(temporary, .create), store, begin: sequence)
        }
    }

    /// Makes it one, wholly or not at all, then lets the third go.
    func finish(
        _ writer: inout SnapshotWriter<Place.Handle>, at sequence: UInt64,
        _ manifest: ManifestKeeper<Place>
    ) throws(JournalError) {
        do throws(DiskError) {
            try writer.finish(sequence)
            try disk.rename(temporary, to: layout.snapshot(sequence))
            try disk.syncDirectory(layout.snapshots)
            let all = try sequences()
            try manifest.keep(snapshots: all.suffix(2))
            for old in all.dropLast(2) {
                try disk.removeInSteps(layout.snapshot(old), in: layout.snapshots)
            }
        } catch { throw JournalError(error) }
    }

    /// Behind which transaction replay starts for a snapshot; nil when its header is not valid.
    func beginning(of sequence: UInt64) throws(DiskError) -> UInt64? {
        let bytes = try disk.open(layout.snapshot(sequence), .read)
            .bytes(at: 0, count: SnapshotWriter<Place.Handle>.headerSize)
        return Self.beginning(bytes, store, sequence)
    }

    static func beginning(
        _ bytes: [UInt8], _ store: StoreIdentity, _ sequence: UInt64
    ) -> UInt64? {
        typealias Writer = SnapshotWriter<Place.Handle>
        let span = unsafe bytes.span.bytes
        guard span.byteCount >= Writer.headerSize, span.number(UInt64.self, at: 0) == Writer.magic,
            span.number(UInt32.self, at: 44) == Checksum.of(span.extracting(0..<44)),
            Array(bytes[12..<28]) == store.bytes,
            span.number(UInt64.self, at: 28) == sequence
        else { return nil }
        return span.number(UInt64.self, at: 36)
    }

    /// The sequences of the snapshots there are, in order, valid or not.
    func sequences() throws(DiskError) -> [UInt64] {
        try disk.names(in: layout.snapshots).compactMap(StoreLayout.snapshotSequence).sorted()
    }
}

extension LogWriter {
    /// Keeps the owner's state as of the last transaction appended: syncs the log up to it, then
    /// writes what `fill` gives. Throws the disk's reason; the older snapshots stay then.
    public mutating func snapshot(
        _ fill: (inout SnapshotWriter<Place.Handle>) throws(JournalError) -> Void
    ) throws(JournalError) {
        // The state names places in the log, so these must be there before it is.
        try sync()
        let folder = SnapshotFolder(disk: disk, layout: layout, store: store)
        var writer = try folder.begin(appendedSequence)
        try fill(&writer)
        try folder.finish(&writer, at: appendedSequence, manifest)
    }
}
