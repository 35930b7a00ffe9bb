import TestKit
import Testing

@testable import Windowing

/// What other engines got wrong, by the numbers of the list in the research on windows.
struct RegressionTests {
    @Test func `5: a partly late record goes into live windows only and spoils no sum`() {
        let hopping = stage(.hopping(size: 60_000, every: 20_000), [.count, .sum])
        // When a9@41 comes, time has passed 80: the windows that end at 60 and 80 are closed.
        #expect(
            marbles("a1@5 a2@45 a4@81 a8@82 a9@41 a1@100", hopping)
                == "a 1 1 -40-20 | a 1 1 -20-40 | a 2 3 0-60 | a 1 2 20-80 | a 4 23 40-100"
                + " | a 3 13 60-120 | a 3 13 80-140 | a 1 1 100-160")
    }

    @Test func `6: a late record opens no session behind time`() {
        let sessions = stage(.session(gap: 10_000), [.count, .sum])
        #expect(
            marbles("a1@0 a2@5 a4@30 a8@41 a5@6 a6@35", sessions)
                == "a 2 3 0-15 | a 1 4 30-40 | a 2 14 35-51 late 1")
    }

    @Test func `6: sessions that touch stay apart in every order`() {
        let sessions = stage(.session(gap: 10_000), [.count])
        #expect(marbles("a@0 a@10", sessions, disorder: 20_000) == "a 1 0-10 | a 1 10-20")
        #expect(marbles("a@10 a@0", sessions, disorder: 20_000) == "a 1 0-10 | a 1 10-20")
        #expect(marbles("a@10 a@0 a@9.999", sessions, disorder: 20_000) == "a 3 0-20")
    }

    @Test func `6: every order of seven events gives the same sessions`() {
        let sessions = stage(.session(gap: 10_000), [.count, .sum, .first, .last])
        for seed in UInt64(1)...3 {
            var random = SeededRandom(seed: seed)
            let events = (0..<7).map { index in
                let time = Int64.random(in: 0...50, using: &random) * 1000
                return Event("\"a\"", time * 10 + Int64(index), ["\(1 << index)"])
            }
            let wanted = run(sessions, events, disorder: 1_000_000).rows.sorted()
            var problem: [Event]?
            permute(events) { order in
                if run(sessions, order, disorder: 1_000_000).rows.sorted() != wanted {
                    problem = order
                }
            }
            #expect(problem == nil, "\(random)")
        }
    }

    private func permute(_ events: [Event], _ body: ([Event]) -> Void) {
        var list = events
        func step(_ size: Int) {
            if size == 1 { return body(list) }
            for index in 0..<size {
                step(size - 1)
                list.swapAt(size % 2 == 0 ? index : 0, size - 1)
            }
        }
        step(list.count)
    }

    @Test func `7: sessions do not split where a block ends`() {
        let sessions = stage(.session(gap: 10_000), [.count])
        let events = (0..<40).map { Event("\"a\"", Int64($0) * 9000, [nil]) }
        for chunk in [1, 7, 1000] {
            let given = run(sessions, events, chunk: chunk)
            #expect(given.rows.count == 1, "chunk \(chunk)")
        }
    }

    @Test func `8: who is replaced by a merge is taken back before the merged row`() {
        let sessions = stage(.session(gap: 10_000), [.count], emission: .update)
        #expect(
            marbles("a@0 a@15 a@8", sessions, disorder: 60_000)
                == "a 1 0-10 #1 open | a 1 15-25 #1 open | a 1 15-25 #2 final gone"
                + " | a 3 0-25 #3 open | a 3 0-25 #4 final")
        #expect(
            marbles("a@5 a@1", sessions, disorder: 60_000)
                == "a 1 5-15 #1 open | a 1 5-15 #2 final gone | a 2 1-15 #3 open"
                + " | a 2 1-15 #4 final")
    }

    @Test func `10: windows are aligned to 1970, not to the start of the process`() {
        let hours = stage(.tumbling(size: 3_600_000), [.count])
        let events = [Event("1", 1_800_001, [nil]), Event("1", 4_102_444_799_999, [nil])]
        let given = run(hours, events)
        #expect(given.rows[0].contains("\"window_start\":\"1970-01-01T00:00:00.000Z\""))
        #expect(given.rows[1].contains("\"window_start\":\"2099-12-31T23:00:00.000Z\""))
        // Made anew in the middle of a window, it is the same window.
        let restored = runRestoring(hours, events, disorder: 0, chunk: 1)
        #expect(restored == given)
    }

    @Test(arguments: allKinds)
    func `11: keys that were seen once leave nothing behind`(_ kind: WindowKind) {
        let definition = AggregateDefinition(
            keys: ["k"], window: kind,
            computes: [
                ComputeDefinition("n", .count), ComputeDefinition("d", .countDistinct, column: 0),
                ComputeDefinition("l", .last, column: 0),
            ], columns: [ColumnDefinition("v")], timeToLive: 1000)
        let windows = WindowOperator(definition)
        windows.tracksChanges = true
        var output = WindowOutput()
        var known: Set<[UInt8]> = []
        var most = 0
        var time: Int64 = 0
        for block in 0..<20 {
            let events = (0..<500).map { index in
                time += 5
                return Event("\"key \(block) \(index)\"", time, ["\"v\(index)\""])
            }
            OwnedBlock(arrivals(events, disorder: 100)).withBlock {
                windows.process($0, into: &output)
            }
            windows.takeChanges { key, value in
                if value == nil { known.remove(key) } else { known.insert(key) }
            }
            most = max(most, windows.keyCount)
            output.removeAll()
        }
        #expect(most <= 1300, "windows of a few seconds hold some hundred keys")
        windows.advance(to: time + 10_000, into: &output)
        windows.takeChanges { key, value in
            if value == nil { known.remove(key) } else { known.insert(key) }
        }
        #expect(windows.keyCount == 0)
        #expect(windows.byteCount < 40_000, "\(windows.byteCount)")
        #expect(known.count == 1, "only the meta entry is left")
    }

    @Test func `11: a key costs at most a hundred bytes beyond its values`() {
        // A count is 8 bytes, a mean 24; the key itself has 12.
        let windows = WindowOperator(stage(.tumbling(size: 3_600_000), [.count, .average]))
        var output = WindowOutput()
        var most = 0
        for block in 0..<40 {
            let events = (0..<500).map { index in
                Event("\"key_\(100_000 + block * 500 + index)\"", 1000, ["1"])
            }
            OwnedBlock(arrivals(events, disorder: 0)).withBlock {
                windows.process($0, into: &output)
            }
            if block > 3 { most = max(most, windows.byteCount / windows.keyCount) }
        }
        #expect(windows.keyCount == 20_000)
        #expect(most - 32 <= 100, "\(most)")
    }

    @Test func `13: what is put back twice is counted once`() {
        let counted = stage(.tumbling(size: 60_000), [.count])
        let events = (0..<10).map { Event("\"a\"", Int64($0) * 1000, ["1"]) }
        let once = runRestoring(counted, events, disorder: 0, chunk: 3)
        #expect(marbles(once.rows) == "a 10 0-60")
    }

    @Test func `16: what was given to the journal does not change later`() {
        let collected = stage(.tumbling(size: 60_000), [.collect(10)])
        let windows = WindowOperator(collected)
        windows.tracksChanges = true
        var output = WindowOutput()
        var first: [[UInt8]: [UInt8]] = [:]
        let events = arrivals(marbles("a1@1 a2@2 a3@3"), disorder: 0)
        OwnedBlock(events[..<1]).withBlock { windows.process($0, into: &output) }
        windows.takeChanges { first[$0] = $1 }
        let copy = first
        OwnedBlock(events[1...]).withBlock { windows.process($0, into: &output) }
        #expect(first == copy)
        let again = WindowOperator(collected)
        for (key, value) in first { again.restore(key: key, value: value) }
        again.finish(into: &output)
        var given = Given()
        given.take(&output)
        #expect(marbles(given.rows) == "a [1] 0-60")
    }

    @Test func `17: a row is an event one millisecond before the end of its window`() {
        for kind in [
            WindowKind.tumbling(size: 5000), .hopping(size: 5000, every: 1000), .session(gap: 3000),
        ] {
            let given = run(stage(kind, [.count]), marbles("a@1 a@2 a@11 b@30"), disorder: 500)
            for (row, time) in zip(given.rows, given.times) {
                let end = milliseconds(fields(row).last?.value ?? "")
                #expect(time == end - 1, "\(kind)")
            }
            // So a stage behind finds none of them late.
            for (time, watermark) in zip(given.times, given.watermarks) {
                #expect(watermark < time, "\(kind)")
            }
        }
    }
}
