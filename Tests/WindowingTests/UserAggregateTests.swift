import TestKit
import Testing

@testable import Windowing

/// Aggregates in Lua as windows see them: accumulators are texts, results show how they came about.
final class FakeAggregates: UserAggregates {
    var merges = true
    var retracts = false
    var retractions = 0
    var calls = 0

    func create(_ index: Int) throws(UserAggregateError) -> [UInt8] { Array("\(index):".utf8) }

    /// Keeps the values of the records in the order of adding; a value of 13 fails.
    func add(
        _ index: Int, _ accumulator: [UInt8], _ record: UnsafeRawBufferPointer
    ) throws(UserAggregateError) -> [UInt8] {
        calls += 1
        let text = String(decoding: record, as: UTF8.self)
        let value = fields(text).last?.value.dropFirst().dropLast() ?? ""
        if value == "13" { throw UserAggregateError(message: "bad luck", file: "x.lua", line: 3) }
        return accumulator + Array("\(value);".utf8)
    }

    func merge(
        _ index: Int, _ left: [UInt8], _ right: [UInt8]
    ) throws(UserAggregateError) -> [UInt8] { left + right.dropFirst(2) }

    func retract(
        _ index: Int, _ accumulator: [UInt8], _ record: UnsafeRawBufferPointer
    ) throws(UserAggregateError) -> [UInt8] {
        retractions += 1
        let text = String(decoding: record, as: UTF8.self)
        let value = String(fields(text).last?.value.dropFirst().dropLast() ?? "")
        if value == "77" { throw UserAggregateError(message: "cannot take back") }
        var values = String(decoding: accumulator, as: UTF8.self).dropFirst(2)
            .split(separator: ";").map(String.init)
        guard let place = values.firstIndex(of: value) else {
            throw UserAggregateError(message: "\(value) was never added")
        }
        values.remove(at: place)
        return accumulator.prefix(2) + Array(values.map { $0 + ";" }.joined().utf8)
    }

    /// The sorted values; windows that hold 99 fail.
    func result(
        _ index: Int, _ accumulator: [UInt8], start: Int64, end: Int64
    ) throws(UserAggregateError) -> [UInt8] {
        let text = String(decoding: accumulator, as: UTF8.self)
        let values = text.dropFirst(2).split(separator: ";").sorted()
        if values.contains("99") { throw UserAggregateError(message: "no result") }
        return Array("[\(values.joined(separator: ","))]".utf8)
    }

    func canMerge(_ index: Int) -> Bool { merges }
    func canRetract(_ index: Int) -> Bool { retracts }
}

struct UserAggregateTests {
    private func stage(_ kind: WindowKind, lateness: Int64 = 0) -> AggregateDefinition {
        WindowingTests.stage(kind, [.count, .user(0)], lateness: lateness, ttl: 10_000)
    }

    private func line(_ line: String, _ definition: AggregateDefinition, merges: Bool = true)
        -> String
    {
        let users = FakeAggregates()
        users.merges = merges
        return marbles(run(definition, marbles(line), users: users).rows)
    }

    @Test func `every kind of window has accumulators of its own`() {
        #expect(
            line("a1@1 b2@2 a3@3 a4@60", stage(.tumbling(size: 60_000)))
                == "a 2 [1,3] 0-60 | b 1 [2] 0-60 | a 1 [4] 60-120")
        #expect(
            line("a1@1 a2@10 a3@4 a4@30", stage(.session(gap: 8000)))
                == "a 1 [1] 1-9 | a 2 [2,3] 4-18 | a 1 [4] 30-38")
        #expect(
            line("a1@1 a2@2 a3@3", stage(.count(size: 2))) == "a 2 [1,2] 1-2 | a 1 [3] 3-3")
        #expect(line("a1@1 a2@2", stage(.global)) == "a 2 [1,2] 1-2")
    }

    @Test(arguments: [true, false])
    func `with merge or without, hopping and rolling windows are the same`(_ merges: Bool) {
        #expect(
            line("a1@10 a2@40 a3@95", stage(.hopping(size: 60_000, every: 30_000)), merges: merges)
                == "a 1 [1] -30-30 | a 2 [1,2] 0-60 | a 1 [2] 30-90 | a 1 [3] 60-120"
                + " | a 1 [3] 90-150")
        #expect(
            line("a1@0 a2@5 a3@10", stage(.rolling(range: 10_000)), merges: merges)
                == "a 1 [1] -10-0 | a 2 [1,2] -5-5 | a 2 [2,3] 0-10")
    }

    private static let rolling: [AggregateDefinition] = [
        WindowingTests.stage(.rolling(range: 400), [.count, .user(0), .user(1)]),
        WindowingTests.stage(.rollingRows(5), [.user(0)], ttl: 300),
    ]

    private static func stream(_ seed: UInt64) -> [Event] {
        var random = SeededRandom(seed: seed)
        return (0..<400).map { index in
            let key = "\"k\(Int.random(in: 0..<3, using: &random))\""
            let time = Int64(index * 20) - Int64.random(in: 0..<90, using: &random)
            // Some cannot be taken back, which costs the row that needed it, and no other.
            let value = Int.random(in: 60..<80, using: &random)
            return Event(key, time, ["\(value)"])
        }
    }

    @Test(arguments: 1...10, [0, 1])
    func `taking back gives what merging gives, also after a restart`(_ seed: UInt64, _ place: Int)
    {
        let definition = Self.rolling[place]
        let events = Self.stream(seed)
        let sound = events.filter { $0.values[0] != "77" }
        let merging = FakeAggregates()
        let retracting = FakeAggregates()
        retracting.retracts = true
        let merged = run(definition, sound, disorder: 100, users: merging)
        let taken = run(definition, sound, disorder: 100, users: retracting)
        #expect(taken == merged, "seed \(seed): \(taken.difference(from: merged))")
        #expect(merged.rows.count > 300)
        // Each record is added once to see that it can be, and once for good; each leaves once.
        let fields = definition.computes.count { $0.function != .count }
        #expect(retracting.retractions > 200 && retracting.retractions <= sound.count * fields)
        #expect(retracting.calls == merged.rows.count * fields * 2)
        let restored = runRestoring(
            definition, events, disorder: 100, chunk: 7, users: retracting)
        #expect(restored == run(definition, events, disorder: 100, users: retracting))
        #expect(!restored.failures.isEmpty)
    }

    @Test func `panes are shared when there is a merge`() {
        let users = FakeAggregates()
        let hopping = stage(.hopping(size: 3_600_000, every: 60_000))
        let events = marbles("a1@10 a2@40 a3@95")
        let shared = run(hopping, events, users: users)
        #expect(users.calls == 3)
        users.merges = false
        let single = run(hopping, events, users: users)
        #expect(users.calls == 3 + 180)
        #expect(shared.rows == single.rows)
    }

    @Test(arguments: allKinds.filter { $0 != .hopping(size: 200, every: 500) })
    func `a record whose add fails counts nowhere`(_ kind: WindowKind) {
        let definition = stage(kind)
        let events = marbles("a1@1 a2@1.2 a13@1.3 b4@1.4 a5@9")
        let given = run(definition, events, disorder: 500, users: FakeAggregates())
        let without = run(
            definition, events.filter { $0.values[0] != "13" }, disorder: 500,
            users: FakeAggregates())
        #expect(given.rows == without.rows)
        #expect(given.failures.count == 1)
        #expect(given.failures.first?.hasPrefix("bad luck {\"key\":[\"a\"],\"time\":1300") == true)
    }

    @Test func `a result that fails costs its row only`() {
        let given = run(
            stage(.tumbling(size: 60_000)), marbles("a99@1 b2@2"), users: FakeAggregates())
        #expect(marbles(given.rows) == "b 1 [2] 0-60")
        #expect(
            given.failures == [
                #"no result {"k":"a","window_start":"1970-01-01T00:00:00.000Z","#
                    + #""window_end":"1970-01-01T00:01:00.000Z"}"#
            ])
    }

    @Test(arguments: allKinds)
    func `rows of one record are prepared together, and dropped together`(_ kind: WindowKind) {
        let definition = stage(kind)
        let users = FakeAggregates()
        let plain = run(definition, marbles("a1@1 a2@1.01 a3@1.02 a4@1.5"), users: users)
        let windows = WindowOperator(definition, users: users)
        var output = WindowOutput()
        func prepare(_ line: String) throws {
            for arrival in arrivals(marbles(line), disorder: 0) {
                let arrival = Arrival(event: arrival.event, watermark: .min)
                try OwnedBlock([arrival]).withBlock {
                    try windows.prepare(0, of: $0, into: &output)
                }
            }
        }
        func commit(_ line: String) {
            for event in marbles(line) {
                OwnedBlock([Arrival(event: event, watermark: .min)]).withBlock {
                    windows.process($0, into: &output)
                }
            }
        }
        #expect(throws: UserAggregateError.self) { try prepare("a7@1 a13@1.01") }
        windows.discardPrepared()
        #expect(windows.keyCount == 0)
        #expect(throws: Never.self) { try prepare("a1@1 a2@1.01 a3@1.02") }
        commit("a1@1 a2@1.01 a3@1.02")
        #expect(throws: Never.self) { try prepare("a4@1.5") }
        commit("a4@1.5")
        windows.finish(into: &output)
        var given = Given()
        given.take(&output)
        #expect(given.rows.sorted() == plain.rows.sorted())
    }

    @Test(arguments: allKinds)
    func `accumulators come back from a journal`(_ kind: WindowKind) {
        let events = marbles("a1@1 a2@1.2 b4@1.4 a5@1.1 a6@2 b7@3 a8@9")
        for merges in [true, false] {
            let users = FakeAggregates()
            users.merges = merges
            let whole = run(stage(kind), events, disorder: 500, users: users)
            let given = runRestoring(stage(kind), events, disorder: 500, chunk: 2, users: users)
            #expect(given.difference(from: whole) == nil)
        }
    }
}
