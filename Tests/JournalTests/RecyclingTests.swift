import TestKit
import Testing

@testable import Journal

/// Segments that nobody needs become files of new ones.
@Suite struct RecyclingTests {
    private static let settings = LogSettings(segmentSize: 2048, prewriteSize: 512)
    private let disk = FaultyDisk()

    private func open(
        _ disk: FaultyDisk, replay: (StoredFrame) throws(JournalError) -> Void = { _ in }
    ) throws -> OpenedLog<FaultyDisk> {
        var random = SeededRandom(seed: 5)
        return try OpenedLog(
            "store", on: disk, settings: Self.settings, random: &random, replay: replay)
    }

    private func append(_ log: inout OpenedLog<FaultyDisk>, size: Int = 200) throws {
        var frame = Frame()
        let sequence = log.writer.appendedSequence + 1
        frame.add(kind: 2, [UInt8](repeating: UInt8(truncatingIfNeeded: sequence), count: size))
        _ = try log.writer.append(frame)
    }

    private func appendDurably(_ log: inout OpenedLog<FaultyDisk>, size: Int = 200) throws {
        try append(&log, size: size)
        try log.writer.sync()
        try log.writer.mark()
    }

    private func snapshot(_ log: inout OpenedLog<FaultyDisk>) throws {
        try log.writer.snapshot { (writer) throws(JournalError) in
            try writer.write([1, 2, 3].span.bytes)
        }
    }

    /// A store whose last segment is in an old file, and how many transactions there are.
    private func filled() throws -> UInt64 {
        var log = try open(disk)
        for round in 0..<40 {
            try appendDurably(&log)
            if round % 8 == 7 {
                try snapshot(&log)
                _ = try log.writer.freeSegments(live: [])
            }
        }
        for _ in 0..<3 { try appendDurably(&log) }
        return log.writer.appendedSequence
    }

    private func segments(_ disk: FaultyDisk) throws -> [String] {
        try disk.names(in: "store/journal").filter { $0.hasSuffix(".seg") }.map {
            "store/journal/" + $0
        }
    }

    private func spares(_ disk: FaultyDisk) throws -> [String] {
        try disk.names(in: "store/journal").filter { StoreLayout.spareNumber($0) != nil }
    }

    private func header(_ bytes: [UInt8]) throws -> SegmentHeader {
        guard case .header(let header) = SegmentHeader.read(bytes) else {
            throw DiskError("read", "header", code: 5)
        }
        return header
    }

    @Test func `a clean end over old bytes is no torn one`() throws {
        let count = try filled()
        let last = try #require(try segments(disk).last)
        let bytes = try #require(disk.bytes(last))
        #expect(try header(bytes).isRecycled)
        // There are old bytes behind the end, or this test is about nothing.
        var scan = SegmentScan(bytes, try header(bytes))
        while scan.next() != nil {}
        #expect(bytes[scan.offset...].contains { $0 != 0 })
        #expect(scan.end() == .clean && scan.tornByteCount == 0)
        try StoreTool.verify("store", on: disk)
        var seen: UInt64 = 0
        let log = try open(disk) { frame in seen = frame.sequence }
        #expect(seen == count && log.truncatedBytes == 0)
        #expect(try open(disk.afterProcessDeath()).truncatedBytes == 0)
        #expect(try spares(disk).count <= 2)
    }

    @Test func `any cut of an old file's frames is a torn tail, reported once`() throws {
        let count = try filled()
        // Otherwise it is known that they were acknowledged.
        try disk.remove("store/POSITION")
        let last = try #require(try segments(disk).last)
        let sound = try #require(disk.bytes(last))
        var scan = SegmentScan(sound, try header(sound))
        var ends: [Int: UInt64] = [SegmentHeader.size: scan.sequence]
        while scan.next() != nil { ends[scan.offset] = scan.sequence }
        let end = scan.offset
        for cut in SegmentHeader.size..<(end + 60) {
            disk.replace(last, with: Array(sound[..<cut]))
            var seen: UInt64 = 0
            let truncated = try open(disk) { frame in seen = frame.sequence }.truncatedBytes
            let expected = ends.filter { $0.key <= cut }.values.max() ?? 0
            #expect(seen == expected || seen == 0, "cut at \(cut)")
            // Of less than a header behind the end nobody knows whether a frame was begun there.
            if cut == end || cut >= end + FrameHeader.size {
                #expect(truncated == 0 && seen == count, "cut at \(cut)")
            }
            if truncated > 0 { #expect(try open(disk).truncatedBytes == 0) }
            let isInsideTransaction = ends.keys.contains { $0 > cut && $0 - 256 < cut - 4 }
            if isInsideTransaction { #expect(truncated > 0, "cut at \(cut) of \(end)") }
        }
    }

    @Test func `a changed byte before a valid frame refuses in an old file, too`() throws {
        _ = try filled()
        let last = try #require(try segments(disk).last)
        let sound = try #require(disk.bytes(last))
        var scan = SegmentScan(sound, try header(sound))
        var before = SegmentHeader.size
        while scan.next() != nil { before = scan.offset }
        for place in 0..<(before - 8) {
            var bytes = sound
            bytes[place] ^= 0x10
            disk.replace(last, with: bytes)
            #expect(throws: JournalError.self, "byte \(place) of \(before)") { _ = try open(disk) }
            #expect(disk.bytes(last) == bytes)
        }
    }

    @Test func `a backup's bytes are never written into`() throws {
        var log = try open(disk)
        for _ in 0..<20 { try appendDurably(&log) }
        let shared = try segments(disk)[0]
        try disk.link(shared, to: "store/copy")
        let bytes = try #require(disk.bytes("store/copy"))
        for _ in 0..<6 {
            try snapshot(&log)
            for _ in 0..<8 { try appendDurably(&log) }
            _ = try log.writer.freeSegments(live: [])
        }
        #expect(!(try segments(disk).contains(shared)))
        #expect(disk.bytes("store/copy") == bytes)
        #expect(try segments(disk).contains { try header(disk.bytes($0) ?? []).isRecycled })
    }

    /// Two frames of which the first was lost: the second must not come back behind another first
    /// one of the same size.
    @Test(arguments: [true, false]) func `frames behind a torn one are gone`(cuts: Bool) throws {
        let count = try filled()
        let last = try #require(try segments(disk).last)
        var log: OpenedLog<FaultyDisk>? = try open(disk)
        let before = try #require(disk.bytes(last))
        try append(&log!, size: 40)
        try append(&log!, size: 40)
        try log!.writer.sync()
        log = nil
        var bytes = try #require(disk.bytes(last))
        var scan = SegmentScan(before, try header(before))
        while scan.next() != nil {}
        // The first one's header is as it was before.
        for place in scan.offset..<(scan.offset + FrameHeader.size) { bytes[place] = 0x5A }
        disk.replace(last, with: bytes)
        if cuts {
            var torn = try open(disk)
            #expect(torn.truncatedBytes > 0)
            try append(&torn, size: 40)
            try torn.writer.sync()
        } else {
            // The control: a writer that goes on without a cut.
            var frame = Frame()
            frame.add(kind: 2, [UInt8](repeating: 9, count: 40))
            let seed = SegmentSeed(
                store: try header(bytes).store, segment: try header(bytes).number)
            let padding = FrameHeader.padded(frame.body.count) - frame.body.count
            let body = frame.body + [UInt8](repeating: 0, count: padding)
            let head = FrameHeader(
                .transaction, bodyLength: frame.body.count,
                bodyChecksum: Checksum.of(body.span.bytes), sequence: count + 1,
                durableSequence: count, timeMicroseconds: 0)
            let all = head.encoded(seed, at: scan.offset) + body
            bytes.replaceSubrange(scan.offset..<(scan.offset + all.count), with: all)
            disk.replace(last, with: bytes)
        }
        var seen: UInt64 = 0
        _ = try open(disk) { frame in seen = frame.sequence }
        #expect(seen == (cuts ? count + 1 : count + 2))
    }

    /// Segments are freed by one thread while another one rolls: the directory need not be synced
    /// in between.
    @Test(arguments: 0..<40) func `a power cut between release and use leaves the log whole`(
        call: Int
    ) throws {
        var log: OpenedLog<FaultyDisk>? = try open(disk)
        for _ in 0..<2 {
            for _ in 0..<16 { try appendDurably(&log!) }
            try snapshot(&log!)
        }
        log = nil
        // The calls of the opening come first; the power goes at one behind them.
        let whole = disk.afterProcessDeath()
        var acknowledged = try open(whole).writer.durableSequence
        var faults = FaultyDisk.Faults()
        faults.powerCutAtCall = whole.callCount + call
        let cut = disk.afterProcessDeath(faults: faults)
        do {
            var log = try open(cut)
            try log.writer.manifest.forget(segments: [1])
            try log.writer.spares.release(1)
            for _ in 0..<10 {
                try appendDurably(&log)
                acknowledged = log.writer.durableSequence
            }
        } catch {
            // The power is gone; what was told before stays told.
        }
        for seed in 0..<12 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let disk = cut.afterPowerCut(&random)
            let found = try open(disk).writer.appendedSequence
            #expect(found >= acknowledged, "call \(call), seed \(seed)")
            try StoreTool.verify("store", on: disk)
        }
    }

    @Test func `no more than two spares are kept, and they are no part of the log`() throws {
        _ = try filled()
        for number in 900...905 {
            let file = try disk.open("store/journal/spare-00000\(number)", .create)
            try file.writeAll([1, 2, 3].span.bytes, at: 0)
        }
        #expect(try spares(disk).count >= 6)
        #expect(try open(disk).truncatedBytes == 0)
        #expect(try spares(disk).count == 2)
        // Those are too small to be written into.
        var log = try open(disk)
        for _ in 0..<20 { try appendDurably(&log) }
        #expect(try spares(disk).allSatisfy { disk.bytes("store/journal/" + $0)?.count != 3 })
        let listed = try StoreTool.segments("store", on: disk)
        #expect(listed.count == (try segments(disk).count))
    }
}
