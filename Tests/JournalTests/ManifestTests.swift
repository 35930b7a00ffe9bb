import TestKit
import Testing

@testable import Journal

/// A store knows what it had: whatever goes missing is told, and `repair` ends with a store that
/// can be opened.
@Suite struct ManifestTests {
    private static let settings = LogSettings(segmentSize: 4096, prewriteSize: 0)

    /// A store of several segments and two snapshots, closed in order or not.
    private static func store(closed: Bool) throws -> FaultyDisk {
        var disk = FaultyDisk()
        for part in 0..<3 {
            var random = SeededRandom(seed: UInt64(part))
            let journal = try Journal(
                OpenedLog("store", on: disk, settings: settings, random: &random) {
                    (_) throws(JournalError) in
                })
            for number in 0..<40 {
                var frame = Frame(messageKind: 1)
                frame.add(kind: 1, [UInt8](repeating: UInt8(number), count: 200))
                let appended = try journal.append(frame)
                try journal.waitUntilDurable(appended.sequence)
            }
            if part > 0 {
                var snapshot = try journal.beginSnapshot()
                try unsafe snapshot.write([1, 2, 3].span.bytes)
                try journal.finishSnapshot(&snapshot)
            }
            if part < 2 || closed { try journal.close() } else { disk = disk.afterProcessDeath() }
        }
        return disk
    }

    private static func open(_ disk: FaultyDisk) throws -> UInt64 {
        var random = SeededRandom(seed: 9)
        let log = try OpenedLog("store", on: disk, settings: settings, random: &random) {
            (_) throws(JournalError) in
        }
        return log.writer.appendedSequence
    }

    private static func message(_ disk: FaultyDisk) -> String? {
        do {
            _ = try open(disk)
            return nil
        } catch { return "\(error)" }
    }

    /// What can happen to a file.
    enum Loss: String, CaseIterable, CustomTestStringConvertible {
        case removed, emptied, halved, zeroed, headZeroed
        var testDescription: String { rawValue }

        func happen(to path: String, on disk: FaultyDisk) throws {
            let file = try disk.open(path, .update)
            let size = try file.size()
            switch self {
            case .removed: try disk.remove(path)
            case .emptied: try file.truncate(to: 0)
            case .halved: try file.truncate(to: size / 2)
            case .zeroed:
                try file.truncate(to: 0)
                try file.truncate(to: size)
            case .headZeroed:
                try unsafe file.writeAll([UInt8](repeating: 0, count: 64).span.bytes, at: 0)
            }
        }
    }

    @Test(arguments: Loss.allCases, [true, false])
    func `a segment that is gone is told with what it held`(loss: Loss, closed: Bool) throws {
        let whole = try Self.store(closed: closed)
        let names = try whole.names(in: "store/journal").filter { $0.hasSuffix(".seg") }
        #expect(names.count > 5)
        for name in names {
            let disk = whole.afterProcessDeath()
            try loss.happen(to: "store/journal/" + name, on: disk)
            let before = try disk.names(in: "store/journal")
            let message = try #require(Self.message(disk), "\(name) is lost without a word")
            #expect(message.contains(name) || message.contains("transactions"), "\(message)")
            #expect(message.contains("store repair"), "\(message)")
            #expect(try disk.names(in: "store/journal") == before)
            #expect(throws: JournalError.self) { try StoreTool.verify("store", on: disk) }
        }
    }

    @Test(arguments: Loss.allCases)
    func `repair gives up what is gone, and no more`(loss: Loss) throws {
        let whole = try Self.store(closed: true)
        let end = try Self.open(whole.afterProcessDeath())
        let names = try whole.names(in: "store/journal").filter { $0.hasSuffix(".seg") }
        for name in names {
            let disk = whole.afterProcessDeath()
            try loss.happen(to: "store/journal/" + name, on: disk)
            let moved = try StoreTool.repair("store", on: disk)
            #expect(!moved.isEmpty)
            #expect(moved.allSatisfy { $0.segmentPath.hasSuffix(name) }, "\(moved)")
            #expect(try StoreTool.repair("store", on: disk).isEmpty)
            try StoreTool.verify("store", on: disk)
            // Numbers go on behind those that were given once.
            #expect(try Self.open(disk) == end, "\(name)")
        }
    }

    @Test func `a log that is gone as a whole is told and given up`() throws {
        let disk = try Self.store(closed: true)
        let end = try Self.open(disk.afterProcessDeath())
        for name in try disk.names(in: "store/journal") { try disk.remove("store/journal/" + name) }
        let message = try #require(Self.message(disk))
        #expect(message.contains("the segment is missing") && message.contains("more"))
        #expect(message.contains("messages") && message.contains("Z to "))
        _ = try StoreTool.repair("store", on: disk)
        #expect(try Self.open(disk) == end)
    }

    @Test func `a store without FORMAT is no new store`() throws {
        let disk = try Self.store(closed: true)
        let end = try Self.open(disk.afterProcessDeath())
        try disk.remove("store/FORMAT")
        #expect(try #require(Self.message(disk)).contains("FORMAT is missing"))
        _ = try StoreTool.repair("store", on: disk)
        #expect(try Self.open(disk) == end)
    }

    @Test(arguments: ["MANIFEST.a", "MANIFEST.b", "POSITION"])
    func `each of the files that name the others can be lost`(name: String) throws {
        for loss in Loss.allCases {
            let disk = try Self.store(closed: true)
            let end = try Self.open(disk.afterProcessDeath())
            try loss.happen(to: "store/" + name, on: disk)
            #expect(try Self.open(disk) == end, "\(loss)")
        }
    }

    @Test func `a store of before manifests is opened, and has one from then on`() throws {
        let disk = try Self.store(closed: true)
        for name in ["MANIFEST.a", "MANIFEST.b", "POSITION"] { try disk.remove("store/" + name) }
        _ = try Self.open(disk)
        #expect(try disk.exists("store/MANIFEST.a") || disk.exists("store/MANIFEST.b"))
    }

    @Test func `a manifest reads back as written, and not when a byte has changed`() throws {
        var random = SeededRandom(seed: 4)
        var manifest = StoreManifest(store: StoreIdentity(random: &random))
        manifest.generation = 7
        manifest.durableSequence = 961
        manifest.segments = [
            StoreManifest.Segment(
                number: 3, firstSequence: 1, lastSequence: 961, end: 4000,
                firstTime: 1_700_000_000_000_000, lastTime: 1_700_000_001_000_000, messages: 960)
        ]
        manifest.snapshots = [500, 900]
        let bytes = manifest.encoded()
        #expect(StoreManifest(bytes) == manifest)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            #expect(StoreManifest(changed) != manifest)
            #expect(StoreManifest(Array(bytes[..<index])) == nil)
        }
        #expect(
            manifest.segments[0].text
                == "frames 1 to 961, 960 messages, 2023-11-14T22:13:20Z to 2023-11-14T22:13:21Z")
    }

    @Test func `a snapshot of what the log does not hold any more is not thrown away`() throws {
        let disk = try Self.store(closed: true)
        let names = try disk.names(in: "store/snapshots")
        for name in ["MANIFEST.a", "MANIFEST.b", "POSITION"] { try disk.remove("store/" + name) }
        let last = try #require(
            disk.names(in: "store/journal").last { $0.hasSuffix(".seg") })
        try Loss.emptied.happen(to: "store/journal/" + last, on: disk)
        let message = try #require(Self.message(disk))
        #expect(message.contains("a snapshot holds transaction"), "\(message)")
        #expect(try disk.names(in: "store/snapshots") == names)
    }
}
