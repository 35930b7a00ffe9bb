import Foundation
import Records
import TestKit
import Testing

/// Timers fire when event time passes them, while the stream runs, whichever worker they are at.
@Suite(.timeLimit(.minutes(30))) struct LiveTimerTests {
    private static let rule = """
        function process(r, meta)
          if r.set then state:timer(r.user, meta.time + r.set) end
        end
        function on_timer(name, at)
          emit({timer = name, user = name, at = time.format(at), n = state:incr("n." .. name)})
        end
        """

    private func folder(stages: String, sinks: [String], sources: String? = nil) -> TemporaryFolder
    {
        let folder = TemporaryFolder()
        let list = sinks.map {
            "\n  - {from: \($0), file: {path: out/\($0.replacing(".", with: "_")).jsonl}}"
        }
        folder.write(
            """
            \(sources ?? "source: {file: {path: in.jsonl, follow: true}}\ntime: {field: at}")
            key: user
            stages:
            \(stages)
            sinks:\(list.joined())

            """, to: "pipeline.yaml")
        folder.write(Self.rule, to: "rules/shape.lua")
        return folder
    }

    /// A record of a user and a time in seconds; `set` is how many milliseconds later its timer is.
    private func line(_ user: Int, _ second: Int, set: Int? = nil) -> String {
        let timer = set.map { ",\"set\":\($0)" } ?? ""
        return "{\"user\":\"u\(user)\",\"at\":\"\(EventTime.text(second * 1000))\"\(timer)}"
    }

    private func timers(_ rows: some Sequence<some StringProtocol>) throws -> [String] {
        try rows.map { try Record(json: String($0)) }.compactMap { row in
            row["timer"].map { "\($0.text) \(row["at"]?.text ?? "") \(row["n"]?.text ?? "")" }
        }
    }

    @Test(arguments: [1, 2, 4])
    func `timers of quiet keys fire as soon as a record of another has passed them`(
        workers: Int
    ) throws {
        let folder = folder(
            stages: "  - {name: shape, transform: rules/shape.lua}", sinks: ["shape"])
        let running = try FollowedRun(folder, workers: workers)
        // Sixteen keys set a timer each, the later ones an earlier one, and fall silent.
        try running.append((0..<16).map { line($0, 0, set: 1000 * (16 - $0) - 500) })
        try running.append([line(99, 8)])
        try running.wait("eight timers") { try timers(running.rows("shape")).count >= 8 }
        try running.append([line(98, 20)])
        try running.wait("all timers") { try timers(running.rows("shape")).count >= 16 }
        let outcome = try running.stop()
        let expected = (0..<16).map { "u\(15 - $0) \(EventTime.text($0 * 1000 + 500)) 1" }
        #expect(try timers(outcome["shape"]) == expected, "in the order of time")
        // Each stands where time has passed it: before the record that came next.
        let order = try outcome["shape"].map { try Record(json: $0) }.map {
            $0["timer"] == nil ? "record" : "timer"
        }
        let parts = order.split { $0 == "record" }.map(\.count)
        #expect(order.prefix(17).allSatisfy { $0 == "record" } && parts == [8, 8])
        #expect(outcome.summary["emitted"] == 16)
        #expect(outcome.summary["state_keys"] == 16, "the counts of names, and no timer")
    }

    @Test(arguments: [1, 2, 4])
    func `a timer that has fired is gone, and one that has not survives a kill`(
        workers: Int
    ) throws {
        let folder = folder(
            stages: "  - {name: shape, transform: rules/shape.lua}", sinks: ["shape"])
        let first = try FollowedRun(folder, workers: workers)
        try first.append((0..<16).map { line($0, 0, set: $0 < 8 ? 1000 : 60_000) })
        try first.append([line(99, 8)])
        try first.wait("eight timers") { try timers(first.rows("shape")).count >= 8 }
        first.kill()
        let second = try FollowedRun(
            folder, workers: 5 - workers, keepsInput: true, continues: true)
        try second.append([line(98, 61)])
        try second.wait("all timers") { try timers(second.rows("shape")).count >= 16 }
        let outcome = try second.stop()
        let expected =
            (0..<16).map { "u\($0) \(EventTime.text($0 < 8 ? 1000 : 60_000)) 1" }.sorted()
        #expect(try timers(outcome["shape"]).sorted() == expected, "each of them once")
    }

    @Test(arguments: [1, 2, 4])
    func `a row of a timer is in time for the windows that were open when it fired`(
        workers: Int
    ) throws {
        let folder = folder(
            stages: """
                  - {name: shape, transform: rules/shape.lua}
                  - name: totals
                    from: shape
                    aggregate: {window: {tumbling: 10s}, compute: {n: count, fired: count(timer)}}
                """, sinks: ["totals", "totals.late"])
        let running = try FollowedRun(folder, workers: workers)
        try running.append(
            (0..<16).map { line($0, 0, set: 1000) } + [line(99, 5), line(99, 30), line(99, 60)])
        try running.wait("two windows") { running.rows("totals").count == 2 }
        let rows = running.rows("totals").map(String.init)
        #expect(rows[0].hasPrefix(#"{"n":33,"fired":16,"#), "\(rows[0])")
        let outcome = try running.stop()
        #expect(outcome["totals_late"] == [] && outcome.summary["late"] == 0)
    }

    @Test(arguments: [1, 2, 4])
    func `rows of timers behind a window reach the window behind them`(workers: Int) throws {
        let folder = folder(
            stages: """
                  - name: pairs
                    aggregate: {key: user, window: {count: {size: 2}}, compute: {n: count}}
                  - {name: shape, from: pairs, transform: rules/behind.lua}
                  - name: totals
                    from: shape
                    aggregate: {window: {tumbling: 60s}, compute: {n: count}}
                """, sinks: ["shape", "totals", "totals.late"])
        folder.write(
            """
            function process(r, meta) state:timer(r.user, meta.time + 2000) end
            function on_timer(name, at)
              emit({timer = name, at = time.format(at), n = state:incr("n." .. name)})
            end
            """, to: "rules/behind.lua")
        let running = try FollowedRun(folder, workers: workers)
        try running.append((0..<8).map { line($0 % 4, $0) } + [line(99, 20)])
        try running.wait("four timers") { try timers(running.rows("shape")).count >= 4 }
        try running.append([line(99, 61)])
        try running.wait("a window") { running.rows("totals").count == 1 }
        // Four pairs, and a timer of each.
        #expect(running.rows("totals")[0].hasPrefix(#"{"n":8,"#), "\(running.rows("totals")[0])")
        let outcome = try running.stop()
        let expected = (0..<4).map { "u\($0) \(EventTime.text(($0 + 6) * 1000)) 1" }
        #expect(try timers(outcome["shape"]) == expected)
        #expect(outcome["totals_late"] == [])
        #expect(outcome.summary["aggregated"] == ["pairs": 10, "totals": 9])
    }

    @Test(arguments: [1, 2, 4])
    func `a source that falls silent does not hold timers back`(workers: Int) throws {
        let folder = folder(
            stages: "  - {name: shape, transform: rules/shape.lua}", sinks: ["shape"],
            sources: """
                sources:
                  one: {file: {path: in.jsonl, follow: true}}
                  two: {file: {path: in1.jsonl, follow: true}}
                time: {field: at, idle_after: 20ms}
                """)
        folder.write(line(50, 0) + "\n", to: "in1.jsonl")
        let running = try FollowedRun(folder, workers: workers)
        try running.append(
            (0..<16).map { line($0, 0, set: 1000 * (16 - $0) - 500) } + [line(99, 30)])
        try running.wait("all timers") { try timers(running.rows("shape")).count >= 16 }
        let outcome = try running.stop()
        let expected = (0..<16).map { "u\(15 - $0) \(EventTime.text($0 * 1000 + 500)) 1" }
        #expect(try timers(outcome["shape"]) == expected)
    }
}
