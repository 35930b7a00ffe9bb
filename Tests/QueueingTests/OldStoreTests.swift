import Foundation
import Journal
import TestKit
import Testing

@testable import Queueing

/// A store that an older version wrote, before deaths were told apart and counts were kept.
@Suite struct OldStoreTests {
    private func disk() throws -> FaultyDisk {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let file = folder.appendingPathComponent("Fixtures/store-before-trials.txt")
        let disk = FaultyDisk()
        for folder in ["store", "store/journal", "store/snapshots"] {
            try disk.makeDirectory(folder)
        }
        var path = ""
        var bytes: [UInt8] = []
        func write() throws {
            guard !path.isEmpty else { return }
            _ = try disk.open(path, .create)
            disk.replace(path, with: bytes)
        }
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            if line.hasPrefix("store/") {
                try write()
                (path, bytes) = (String(line), [])
                continue
            }
            let digits = Array(line.utf8.drop { $0 == 0x20 })
            for place in stride(from: 0, to: digits.count, by: 2) {
                let pair = String(decoding: digits[place..<(place + 2)], as: UTF8.self)
                bytes.append(try #require(UInt8(pair, radix: 16)))
            }
        }
        try write()
        return disk
    }

    @Test func `entries keep their meaning, and a count of deaths proves nothing`() throws {
        var settings = QueueSettings("jobs")
        settings.retry.jitter = 0
        settings.deduplicate = 600_000
        // Its time is that of the test's begin, and ten seconds have passed in it.
        let time = ManualTime()
        time.pass(10_010)
        let bench = try Bench([settings], disk: try disk(), time: time)
        let jobs = try bench.store.queue("jobs")
        let found = try bench.store.peek(jobs, max: 20)
        #expect(
            found.map(\.text) == [
                "twice", "outside", "failed", "delayed", "keyed 1", "keyed 2", "known",
            ])
        #expect(
            found.map(\.state) == [
                .ready, .leased, .retrying, .scheduled, .ready, .ready, .ready,
            ])
        // It was in three processes that died, twice by the old count: once, by what is proved.
        #expect(bench.store.core.transaction.queues.trial.suspects.values.map(\.deaths) == [1])
        #expect(found[0].attempt == 2 && found[2].history?.attempts.map(\.error) == ["boom"])
        #expect(found[3].headers == [Header("a", "b")])
        let dead = try bench.store.peek(try bench.store.queue("jobs.dead"))
        #expect(dead.map(\.text) == ["dead"] && dead.first?.history?.reason == "rejected")
        let status = try #require(try bench.store.status(of: jobs))
        #expect(status.isPublishPaused)
        // It is counted from its opening on.
        #expect(status.totals.since == time.microseconds / 1000 && status.totals.published == 0)
        #expect(try bench.receive(9, isOwned: true).map(\.text) == ["twice"])
        #expect(try bench.payloads(9) == ["keyed 1", "known"])
        bench.pass(5)
        try bench.restart()
        let later = try #require(try bench.store.status(of: jobs)).totals
        #expect(later.since == status.totals.since && later.delivered == 3)
    }
}
