import Glibc
import Synchronization
import TestKit
import Testing

@testable import Journal

@Suite struct JournalTests {
    static let path = "store/journal/00000001.seg"

    private func open(
        _ disk: FaultyDisk, replay: (StoredFrame) throws(JournalError) -> Void = { _ in }
    ) throws -> OpenedLog<FaultyDisk> {
        var random = SeededRandom(seed: 5)
        return try OpenedLog(
            "store", on: disk, settings: LogSettings(segmentSize: 1 << 20, prewriteSize: 4096),
            random: &random, replay: replay)
    }

    /// A store with so many transactions, each synced and marked; where their bodies begin.
    private func filled(_ disk: FaultyDisk, count: Int) throws -> [Int] {
        var log = try open(disk)
        var offsets: [Int] = []
        for index in 0..<count {
            var frame = Frame()
            frame.add(kind: 2, Array("payload \(index)".utf8))
            offsets.append(Int(try log.writer.append(frame).bodyOffset))
            try log.writer.sync()
            try log.writer.mark()
        }
        return offsets
    }

    @Test func `a changed byte before a valid frame refuses, names the place, changes nothing`()
        throws
    {
        let disk = FaultyDisk()
        let offsets = try filled(disk, count: 4)
        let sound = try #require(disk.bytes(Self.path))
        for place in 0..<(offsets[3] + 24) {
            var bytes = sound
            bytes[place] ^= 0x10
            disk.replace(Self.path, with: bytes)
            var message = ""
            do { _ = try open(disk) } catch { message = "\(error)" }
            #expect(message.contains("00000001.seg: damaged at byte"), "byte \(place): \(message)")
            #expect(disk.bytes(Self.path) == bytes)
        }
    }

    @Test func `a start reads what it replays, verify reads all`() throws {
        let disk = FaultyDisk()
        var random = SeededRandom(seed: 5)
        let settings = LogSettings(segmentSize: 1024, prewriteSize: 0)
        var log: OpenedLog<FaultyDisk>? = try OpenedLog(
            "store", on: disk, settings: settings, random: &random, replay: { _ in })
        func append(_ count: Int) throws {
            for _ in 0..<count {
                var frame = Frame()
                frame.add(kind: 2, [UInt8](repeating: 7, count: 200))
                _ = try log?.writer.append(frame)
                try log?.writer.sync()
            }
        }
        try append(20)
        try log?.writer.snapshot { writer throws(JournalError) in
            try writer.write(([1, 2, 3] as [UInt8]).span.bytes)
        }
        try append(10)
        log = nil

        func damage(_ name: String) throws -> FaultyDisk {
            let copy = disk.afterProcessDeath()
            var bytes = try #require(copy.bytes("store/journal/\(name)"))
            bytes[SegmentHeader.size + FrameHeader.size + 20] ^= 1
            copy.replace("store/journal/\(name)", with: bytes)
            return copy
        }
        let covered = try damage("00000002.seg")
        var restored = 0
        var replayed: [UInt64] = []
        _ = try OpenedLog(
            "store", on: covered, settings: settings, random: &random,
            restore: { restored += $0.byteCount }, replay: { replayed.append($0.sequence) })
        #expect(restored == 3)
        #expect(replayed == Array(21...30))
        #expect(throws: JournalError.self) { try StoreTool.verify("store", on: covered) }

        let needed = try damage("00000009.seg")
        #expect(throws: JournalError.self) {
            _ = try OpenedLog(
                "store", on: needed, settings: settings, random: &random, replay: { _ in })
        }
    }

    @Test func `repair moves damaged bytes away and keeps all other frames`() throws {
        let disk = FaultyDisk()
        let offsets = try filled(disk, count: 5)
        let sound = try #require(disk.bytes(Self.path))
        for place in 0..<(offsets[3] + 24) {
            let copy = disk.afterProcessDeath()
            var bytes = sound
            bytes[place] ^= 0x10
            copy.replace(Self.path, with: bytes)
            #expect(throws: JournalError.self) { try StoreTool.verify("store", on: copy) }
            let moved = try StoreTool.repair("store", on: copy)
            #expect(moved.count == 1)
            let kept = moved.first.flatMap { copy.bytes($0.path) }
            #expect(kept.map { bytes.contains($0) } == true)
            try StoreTool.verify("store", on: copy)
            var found: [UInt64] = []
            _ = try open(copy) { (frame) throws(JournalError) in found.append(frame.sequence) }
            #expect(found.count >= 4 && found.last == 5, "byte \(place): \(found)")
            #expect(try StoreTool.repair("store", on: copy).isEmpty)
        }
    }

    @Test(arguments: [0, 1, 3, 5, UInt64.max] as [UInt64], [true, false])
    func `a copy holds the store as it was`(sequence: UInt64, shares: Bool) throws {
        let disk = FaultyDisk()
        _ = try filled(disk, count: 5)
        try StoreTool.copy(
            "store", to: "copy", upTo: sequence, sharesSegments: shares, on: disk)
        var random = SeededRandom(seed: 9)
        let log = try OpenedLog("copy", on: disk, random: &random) {
            (_) throws(JournalError) in
        }
        #expect(log.writer.appendedSequence == min(sequence, 5))
        #expect(throws: JournalError.self) {
            try StoreTool.copy("store", to: "copy", sharesSegments: shares, on: disk)
        }
    }

    @Test func `any cut of the last segment is a torn tail, reported once`() throws {
        let disk = FaultyDisk()
        let offsets = try filled(disk, count: 4)
        let sound = try #require(disk.bytes(Self.path))
        let end = try #require(sound.lastIndex { $0 != 0 }) + 1
        // The acknowledged ones are in it; only the last is not, as after a power cut.
        try disk.remove("store/POSITION")
        for cut in 1..<end {
            let copy = disk.afterProcessDeath()
            copy.replace(Self.path, with: Array(sound[..<cut]))
            guard cut >= SegmentHeader.size else {
                #expect(throws: JournalError.self) { _ = try open(copy) }
                continue
            }
            var count = 0
            _ = try open(copy) { (_) throws(JournalError) in count += 1 }
            #expect(count <= offsets.count { $0 < cut }, "cut \(cut)")
            let again = try open(copy.afterProcessDeath())
            #expect(again.truncatedBytes == 0, "cut \(cut)")
        }
        let copy = disk.afterProcessDeath()
        copy.replace(Self.path, with: Array(sound[..<(offsets[3] + 5)]))
        let log = try open(copy)
        #expect(log.truncatedBytes > 0)
        #expect(log.writer.appendedSequence == 3)
    }

    @Test func `a cut below what was acknowledged is no torn tail`() throws {
        let disk = FaultyDisk()
        let offsets = try filled(disk, count: 4)
        let sound = try #require(disk.bytes(Self.path))
        for cut in 1..<offsets[3] {
            let copy = disk.afterProcessDeath()
            copy.replace(Self.path, with: Array(sound[..<cut]))
            var message = ""
            do { _ = try open(copy) } catch { message = "\(error)" }
            #expect(message.contains("00000001.seg: "), "cut \(cut): \(message)")
            #expect(copy.bytes(Self.path)?.count == cut)
        }
    }

    @Test func `one process owns a store`() throws {
        let disk = FaultyDisk()
        let first = try open(disk)
        #expect(throws: JournalError.self) { _ = try open(disk) }
        #expect(first.truncatedBytes == 0)
    }

    @Test func `a journal that was closed lets go of its store`() throws {
        let disk = FaultyDisk()
        let journal = try Journal(open(disk))
        #expect(throws: JournalError.self) { _ = try open(disk) }
        try journal.close()
        #expect(try open(disk).truncatedBytes == 0)
        withExtendedLifetime(journal) {}
    }

    @Test func `a newer format is refused`() throws {
        let disk = FaultyDisk()
        _ = try filled(disk, count: 1)
        disk.replace("store/FORMAT", with: Array("format 2\nstore 00\n".utf8))
        var message = ""
        do { _ = try open(disk) } catch { message = "\(error)" }
        #expect(message.contains("format 2 is newer than 1"))
    }

    @Test(arguments: [(ENOSPC, "no space left"), (EFBIG, "file too large"), (EIO, "input/output")])
    func `an error of the disk is final, in words, and nothing is acknowledged`(
        code: Int32, words: String
    ) throws {
        let probe = FaultyDisk()
        _ = try filled(probe, count: 2)
        for call in (probe.callCount - 6)..<probe.callCount {
            var faults = FaultyDisk.Faults()
            faults.failure = (call, code)
            let disk = FaultyDisk(faults)
            var log = try open(disk)
            var acknowledged: UInt64 = 0
            var message = ""
            do {
                for index in 0..<3 {
                    var frame = Frame()
                    frame.add(kind: 2, Array("payload \(index)".utf8))
                    _ = try log.writer.append(frame)
                    try log.writer.sync()
                    acknowledged = log.writer.durableSequence
                    try log.writer.mark()
                }
            } catch { message = "\(error)" }
            if message.isEmpty {
                // Only the zeros ahead found no room: the file grows instead.
                #expect(code != EIO && acknowledged == 3, "call \(call)")
                continue
            }
            #expect(message.contains(words), "call \(call): \(message)")
            #expect(throws: JournalError.self) { try log.writer.sync() }
            var count: UInt64 = 0
            var random = SeededRandom(seed: UInt64(call))
            _ = try open(disk.afterPowerCut(&random)) { (_) throws(JournalError) in count += 1 }
            #expect(count >= acknowledged)
        }
    }

    @Test func `a full disk goes on in a growing file, then says so`() throws {
        var faults = FaultyDisk.Faults()
        faults.capacity = 2000
        let disk = FaultyDisk(faults)
        var log = try open(disk)
        var message = ""
        do {
            for _ in 0..<100 {
                var frame = Frame()
                frame.add(kind: 1, [UInt8](repeating: 7, count: 100))
                _ = try log.writer.append(frame)
                try log.writer.sync()
            }
        } catch { message = "\(error)" }
        #expect(message.contains("no space left"))
        #expect(log.writer.durableSequence >= 8)
    }

    @Test func `threads append together, and what they were told is there`() throws {
        let folder = TemporaryFolder()
        var random = SystemRandomNumberGenerator()
        let journal = try Journal(
            OpenedLog(
                folder("store"), on: SystemDisk(), settings: LogSettings(segmentSize: 1 << 20),
                random: &random, replay: { _ in }))
        let called = Atomic<Int>(0)
        let threads = Channelled(count: 4) { number in
            var frame = Frame()
            for index in 0..<100 {
                frame.removeAll()
                let entry = frame.add(kind: 1, Array("\(number):\(index)".utf8))
                let appended = try journal.append(frame)
                journal.whenDurable(appended.sequence) { error in
                    if error == nil { called.add(1, ordering: .relaxed) }
                }
                try journal.waitUntilDurable(appended.sequence)
                let bytes = try journal.read(appended.position(of: entry))
                if bytes != Array("\(number):\(index)".utf8) {
                    throw JournalError(.misuse, "bytes")
                }
            }
        }
        #expect(threads.join() == 0)
        var snapshot = try journal.beginSnapshot()
        try snapshot.write(Array("all".utf8).span.bytes)
        try journal.finishSnapshot(&snapshot)
        #expect(try journal.freeSegments(live: []) == 0)
        try journal.close()
        #expect(called.load(ordering: .relaxed) == 400)
        #expect(journal.durableSequence == 400)
    }
}

/// Some threads that run the same body; counts those that threw.
private final class Channelled: Sendable {
    private let failed = Atomic<Int>(0)
    private let ended = Atomic<Int>(0)
    private let count: Int

    init(count: Int, _ body: @escaping @Sendable (Int) throws -> Void) {
        self.count = count
        for number in 0..<count {
            let thread = startCommitter {
                do { try body(number) } catch { self.failed.add(1, ordering: .relaxed) }
                self.ended.add(1, ordering: .releasing)
            }
            if let thread { pthread_detach(thread) }
        }
    }

    func join() -> Int {
        while ended.load(ordering: .acquiring) < count { sched_yield() }
        return failed.load(ordering: .relaxed)
    }
}
