import Definitions
import TestKit
import Testing

@testable import Engine

/// The committed state in memory, against a dictionary.
@Suite struct StateImageTests {
    private static func entries(_ image: borrowing StateImage, slice: Int) -> [[UInt8]: [UInt8]] {
        var found: [[UInt8]: [UInt8]] = [:]
        var next: Int? = 0
        while let start = next {
            next = image.slice(from: start, limit: slice) { key, value in
                found[key.array] = value.array
            }
        }
        return found
    }

    @Test(arguments: 1...20)
    func `it holds what a dictionary holds`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var image = StateImage()
        var model: [[UInt8]: [UInt8]] = [:]
        let keys = Int.random(in: 1...300, using: &random)
        for _ in 0..<3000 {
            let prefix: [UInt8] = [1, UInt8.random(in: 0...1, using: &random)]
            let number = Int.random(in: 0..<keys, using: &random)
            let key = Array("key \(number)".utf8)
            if Int.random(in: 0..<4, using: &random) == 0 {
                image.remove(prefix, key.span.bytes)
                model[prefix + key] = nil
            } else {
                let length = Int.random(in: 0...40, using: &random)
                let value = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
                image.put(prefix, key.span.bytes, value.span.bytes)
                model[prefix + key] = value
            }
        }
        let count = image.count
        let found = Self.entries(image, slice: 7)
        #expect(count == model.count, "\(random)")
        #expect(found == model, "\(random)")
    }

    @Test func `memory is given back`() {
        var image = StateImage()
        let value = [UInt8](repeating: 7, count: 100)
        for round in 0..<50 {
            for number in 0..<2000 {
                let key = Array("\(round) \(number)".utf8)
                image.put([0], key.span.bytes, value.span.bytes)
            }
            for number in 0..<2000 {
                let key = Array("\(round) \(number)".utf8)
                image.remove([0], key.span.bytes)
            }
        }
        let (count, size) = (image.count, image.byteCount)
        #expect(count == 0)
        #expect(size < 2 << 20, "\(size)")
    }

    @Test func `a snapshot gives back all that was committed`() {
        let state = PipelineState()
        var positions: [UInt8] = []
        StoreEntry.add(Array("source in\0a.jsonl".utf8), Array("12 3 1 0 0".utf8), to: &positions)
        var windows: [UInt8] = []
        StoreEntry.add(Array("per_user".utf8), [], to: &windows)
        for number in 0..<10_000 {
            StoreEntry.add(Array("key \(number)".utf8), [UInt8(number % 251)], to: &windows)
        }
        StoreEntry.add(Array("key 17".utf8), nil, to: &windows)
        var times = CommittedTimes()
        times.watermark = -5
        times.newest = ["in": 1_735_689_600_000]
        times.positions = ["per_user": 9]
        state.apply(StoreEntry.Kind.positions.rawValue, positions.span.bytes)
        state.apply(StoreEntry.Kind.windows.rawValue, windows.span.bytes)
        let encoded = Array(times.encoded.utf8)
        state.apply(StoreEntry.Kind.times.rawValue, encoded.span.bytes)
        let copy = PipelineState()
        var place: SnapshotPlace? = .beginning
        while let start = place {
            place = state.snapshotSlice(from: start) { kind, bytes in
                copy.apply(kind.rawValue, bytes.span.bytes)
            }
        }
        #expect(copy.positions == ["source in": ["a.jsonl": Array("12 3 1 0 0".utf8)]])
        #expect(copy.times == times)
        var found: [[UInt8]: [UInt8]] = [:]
        copy.forEachWindow(of: "per_user") { key, value in found[key] = value }
        #expect(found.count == 9999 && found[Array("key 18".utf8)] == [18])
        copy.forEachWindow(of: "per") { _, _ in Issue.record("another stage's entry") }
    }

    @Test func `a commit is due by records or by time`() {
        var settings = Commit()
        settings.records = 100
        settings.everyNanoseconds = 1000
        var pacer = CommitPacer(settings, now: 0)
        #expect(!pacer.isDue(now: 5000))
        pacer.note(99)
        #expect(!pacer.isDue(now: 999) && pacer.isDue(now: 1000))
        pacer.note(1)
        #expect(pacer.isDue(now: 1))
        pacer.hasCommitted(now: 2000)
        #expect(!pacer.isDue(now: 9000))
        pacer.note(99)
        #expect(!pacer.isFull)
        pacer.note(1)
        #expect(pacer.isFull, "one commit holds no more")
    }

    @Test func `a version on probation is judged by its share of failures`() {
        func verdict(_ failures: Int, _ seen: Int) -> Probation.Verdict {
            Probation.verdict(on: failures, of: seen, until: 1000, errorRate: 0.05)
        }
        #expect(verdict(50, 100) == .stays && verdict(51, 100) == .failed)
        #expect(verdict(50, 1000) == .passed && verdict(51, 1000) == .failed)
        // One batch has brought ten times as many records as were wanted.
        #expect(verdict(105, 10_500) == .passed && verdict(600, 10_500) == .failed)
    }

    @Test func `of versions one is active, and the last word counts`() {
        var table = VersionTable()
        func row(_ version: String, _ state: VersionRow.State) -> VersionRow {
            VersionRow(version, state, .activated, by: "watch", user: "someone")
        }
        var tested = row("aaa", .active)
        tested.tests = TestCount(passed: 2, total: 3)
        tested.shadow = ShadowReport()
        tested.shadow?.records = 7
        tested.shadow?.fields = [".a": 2]
        table.add(tested)
        table.add(row("bbb", .active))
        table.add(row("ccc", .rejected))
        table.add(row("bbb", .rejected))
        table.add(row("bbb", .rolledBack))
        table.add(row("aaa", .active))
        #expect(table.active == "aaa")
        #expect(table.rows.map(\.version) == ["ccc", "bbb", "aaa"])
        #expect(table.rows.map(\.state) == [.rejected, .rolledBack, .active])
        var copy = VersionTable()
        copy.restoreRows(table.encodedRows)
        #expect(copy.rows == table.rows)
        #expect(copy.rows.last?.tests == tested.tests && copy.rows.last?.shadow == tested.shadow)
    }
}
