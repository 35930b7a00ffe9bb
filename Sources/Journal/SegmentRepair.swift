/// Repairs one segment: gap after gap until only valid frames are left.
struct SegmentRepair<Place: Disk> {
    let layout: StoreLayout
    let disk: Place
    let store: StoreIdentity

    init(_ layout: StoreLayout, _ disk: Place, _ store: StoreIdentity) {
        self.layout = layout
        self.disk = disk
        self.store = store
    }

    /// - Parameter first: the sequence that the segment begins with, should it not say so itself.
    /// - Parameter last: the last sequence that is to be in it, or lost in it.
    func run(
        _ number: UInt32, _ next: UInt32?, first: UInt64, last: UInt64
    ) throws(DiskError) -> [Quarantined] {
        let path = layout.segment(number)
        guard try disk.exists(path) else {
            return [try replace(number, [], first: first, last: last)]
        }
        var moved: [Quarantined] = []
        while true {
            let bytes = try disk.contents(path)
            guard case .header(let header) = SegmentHeader.read(bytes), header.number == number,
                header.store == store
            else {
                if case .newerFormat = SegmentHeader.read(bytes) { return moved }
                if let mended = try mendHeader(bytes, number) {
                    moved.append(mended)
                } else {
                    moved.append(try replace(number, bytes, first: first, last: last))
                }
                continue
            }
            var scan = SegmentScan(bytes, header)
            while scan.next() != nil {}
            let end = scan.end()
            let isShort = scan.sequence < last
            guard end == .damaged || isShort || (next != nil && end == .torn) else { return moved }
            let place = try resumption(scan, next, last: last)
            var part = try quarantine(bytes, scan.offset..<place.offset, number)
            if place.lostSequence > scan.sequence {
                part.lost = scan.sequence + 1...place.lostSequence
            }
            moved.append(part)
            try overwrite(
                path, scan.gap(upTo: place.offset, lostSequence: place.lostSequence),
                at: scan.offset)
        }
    }

    /// A segment of which nothing is left, but that transactions are lost in it.
    func replace(
        _ number: UInt32, _ bytes: [UInt8], first: UInt64, last: UInt64
    ) throws(DiskError) -> Quarantined {
        var moved = Quarantined(
            segmentPath: layout.segment(number), offset: 0, count: bytes.count, path: "")
        if !bytes.isEmpty { moved = try quarantine(bytes, 0..<bytes.count, number) }
        let header = SegmentHeader(
            number: number, store: store, firstSequence: first, isRecycled: false)
        var scan = SegmentScan(header.encoded(), header)
        var content = header.encoded()
        if last >= first {
            content += scan.gap(
                upTo: SegmentHeader.size + FrameHeader.size, lostSequence: last)
            moved.lost = first...last
        }
        _ = scan.next()
        try disk.writeAtomically(
            content, to: StoreLayout.segmentName(number), in: layout.journal)
        return moved
    }

    /// Where valid frames go on behind the damage: in this segment, or else in the next one.
    private func resumption(
        _ scan: SegmentScan, _ next: UInt32?, last: UInt64
    ) throws(DiskError) -> SegmentScan.Resumption {
        if let found = scan.resumption() { return found }
        var lost = max(scan.sequence, last)
        if let next, let first = try firstSequence(next) { lost = max(scan.sequence, first - 1) }
        let stop = scan.offset + max(FrameHeader.size, (scan.tornByteCount + 7) & ~7)
        return SegmentScan.Resumption(offset: stop, lostSequence: lost)
    }

    private func firstSequence(_ number: UInt32) throws(DiskError) -> UInt64? {
        let bytes = try disk.open(layout.segment(number), .read)
            .bytes(at: 0, count: SegmentHeader.size)
        guard case .header(let header) = SegmentHeader.read(bytes) else { return nil }
        return header.firstSequence
    }

    /// Writes a new header when the frames behind it say what it was.
    private func mendHeader(
        _ bytes: [UInt8], _ number: UInt32
    ) throws(DiskError) -> Quarantined? {
        var header = SegmentHeader(
            number: number, store: store, firstSequence: 1, isRecycled: false)
        guard let first = SegmentScan(bytes, header).firstTransaction else { return nil }
        header.firstSequence = first
        let moved = try quarantine(bytes, 0..<min(SegmentHeader.size, bytes.count), number)
        try overwrite(layout.segment(number), header.encoded(), at: 0)
        return moved
    }

    private func quarantine(
        _ bytes: [UInt8], _ range: Range<Int>, _ number: UInt32
    ) throws(DiskError) -> Quarantined {
        let name = "\(StoreLayout.segmentName(number))-\(range.lowerBound)"
        let kept = Array(bytes[range.clamped(to: 0..<bytes.count)])
        guard !kept.isEmpty else {
            return Quarantined(
                segmentPath: layout.segment(number), offset: range.lowerBound, count: 0, path: "")
        }
        try disk.writeAtomically(kept, to: name, in: layout.quarantine)
        return Quarantined(
            segmentPath: layout.segment(number), offset: range.lowerBound, count: kept.count,
            path: layout.quarantine + "/" + name)
    }

    private func overwrite(_ path: String, _ bytes: [UInt8], at offset: Int) throws(DiskError) {
        var target = path
        // A backup may share the bytes; it keeps them as they were.
        if try disk.open(path, .read).linkCount() > 1 {
            target = path + ".tmp"
            let copy = try disk.open(target, .create)
            let shared = try disk.contents(path)
            try unsafe copy.writeAll(shared.span.bytes, at: 0)
        }
        let file = try disk.open(target, .update)
        try unsafe file.writeAll(bytes.span.bytes, at: offset)
        try file.sync()
        if target != path {
            try disk.rename(target, to: path)
            try disk.syncDirectory(layout.journal)
        }
    }
}
