/// The owner's whole state at one transaction, as opaque bytes in checksummed blocks.
///
///     magic u64 | format u32 | store 16 bytes | sequence u64 | CRC32C of the 36 bytes u32
///     blocks: length u32 | CRC32C u32 | bytes
///     end: 0xFFFFFFFF | CRC32C of the block count u64 | block count u64
public struct SnapshotWriter<Handle: File> {
    static var magic: UInt64 { 0x5041_4E53_4454_0A0D }
    static var headerSize: Int { 40 }
    static var endMark: UInt32 { .max }
    private static var blockSize: Int { 64 << 10 }

    private let file: Handle
    private var buffer: [UInt8] = []
    private var offset = 0
    private var blockCount: UInt64 = 0

    init(_ file: Handle, _ store: StoreIdentity, _ sequence: UInt64) throws(DiskError) {
        self.file = file
        var header: [UInt8] = []
        header.put(Self.magic)
        header.put(SegmentHeader.format)
        header += store.bytes
        header.put(sequence)
        let checksum = unsafe Checksum.of(header.span.bytes)
        header.put(checksum)
        try emit(header)
    }

    /// Adds bytes; they come back in pieces of the same order, cut elsewhere. Throws the disk's
    /// reason.
    public mutating func write(_ bytes: RawSpan) throws(JournalError) {
        buffer.put(bytes)
        if buffer.count >= Self.blockSize {
            do throws(DiskError) { try emitBlock() } catch { throw JournalError(error) }
        }
    }

    mutating func finish() throws(DiskError) {
        if !buffer.isEmpty { try emitBlock() }
        var count: [UInt8] = []
        count.put(blockCount)
        var end: [UInt8] = []
        end.put(Self.endMark)
        end.put(unsafe Checksum.of(count.span.bytes))
        try emit(end + count)
        try file.sync()
    }

    private mutating func emitBlock() throws(DiskError) {
        var head: [UInt8] = []
        head.put(UInt32(buffer.count))
        head.put(unsafe Checksum.of(buffer.span.bytes))
        try emit(head)
        try emit(buffer)
        buffer.removeAll(keepingCapacity: true)
        blockCount += 1
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

    /// Writes a snapshot so that it is there wholly or not at all, then lets the third go.
    func write(
        _ sequence: UInt64,
        _ fill: (inout SnapshotWriter<Place.Handle>) throws(JournalError) -> Void
    ) throws(JournalError) {
        let temporary = layout.snapshots + "/snapshot.tmp"
        var writer = try JournalError.wrap { () throws(DiskError) in
            try disk.makeDirectory(layout.snapshots)
            try disk.syncDirectory(layout.directory)
            return try SnapshotWriter(try disk.open(temporary, .create), store, sequence)
        }
        try fill(&writer)
        do throws(DiskError) {
            try writer.finish()
            try disk.rename(temporary, to: layout.snapshot(sequence))
            try disk.syncDirectory(layout.snapshots)
            for old in try sequences().dropLast(2) { try disk.remove(layout.snapshot(old)) }
        } catch { throw JournalError(error) }
    }

    /// The sequences of the snapshots there are, in order, valid or not.
    func sequences() throws(DiskError) -> [UInt64] {
        try disk.names(in: layout.snapshots).compactMap(StoreLayout.snapshotSequence).sorted()
    }

    /// The blocks of a snapshot, or nil when any byte of it has changed.
    func blocks(_ sequence: UInt64) throws(DiskError) -> [[UInt8]]? {
        let bytes = try disk.contents(layout.snapshot(sequence))
        return Self.blocks(bytes, store, sequence)
    }

    static func blocks(
        _ bytes: [UInt8], _ store: StoreIdentity, _ sequence: UInt64
    ) -> [[UInt8]]? {
        typealias Writer = SnapshotWriter<Place.Handle>
        let span = unsafe bytes.span.bytes
        guard span.byteCount >= Writer.headerSize + 16,
            span.number(UInt64.self, at: 0) == Writer.magic,
            span.number(UInt32.self, at: 36) == Checksum.of(span.extracting(0..<36)),
            Array(bytes[12..<28]) == store.bytes,
            span.number(UInt64.self, at: 28) == sequence
        else { return nil }
        var blocks: [[UInt8]] = []
        var offset = Writer.headerSize
        while offset + 8 <= span.byteCount {
            let length = span.number(UInt32.self, at: offset)
            let checksum = span.number(UInt32.self, at: offset + 4)
            let start = offset + 8
            if length == Writer.endMark {
                guard span.byteCount == start + 8,
                    Checksum.of(span.extracting(start..<(start + 8))) == checksum,
                    span.number(UInt64.self, at: start) == UInt64(blocks.count)
                else { return nil }
                return blocks
            }
            guard start + Int(length) <= span.byteCount,
                Checksum.of(span.extracting(start..<(start + Int(length)))) == checksum
            else { return nil }
            blocks.append(Array(bytes[start..<(start + Int(length))]))
            offset = start + Int(length)
        }
        return nil
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
        try SnapshotFolder(disk: disk, layout: layout, store: store).write(appendedSequence, fill)
    }

    /// Removes segments that both snapshots cover and where nothing the owner still needs lies;
    /// returns how many. `live` holds the numbers of the segments it needs.
    public func freeSegments(live: Set<UInt32>) throws(JournalError) -> Int {
        try JournalError.wrap { () throws(DiskError) in
            let folder = SnapshotFolder(disk: disk, layout: layout, store: store)
            let kept = try folder.sequences().suffix(2)
            guard kept.count == 2, let older = kept.first else { return 0 }
            let numbers = try disk.names(in: layout.journal)
                .compactMap(StoreLayout.segmentNumber).sorted()
            var freed = 0
            for (number, next) in zip(numbers, numbers.dropFirst()) where !live.contains(number) {
                let head = try disk.open(layout.segment(next), .read)
                    .bytes(at: 0, count: SegmentHeader.size)
                guard case .header(let header) = SegmentHeader.read(head),
                    header.firstSequence <= older + 1
                else { break }
                try disk.remove(layout.segment(number))
                freed += 1
            }
            if freed > 0 { try disk.syncDirectory(layout.journal) }
            return freed
        }
    }
}
