import Foundation
import Records
import TestKit
import Testing

/// Windows as users meet them, against a model that is as plain as the contract.
@Suite struct WindowCommandTests {
    private struct Event {
        var user: String
        var time: Int
        var value: Int
        var line: String
    }

    private static let base = 1_735_689_600_000  // 2025-01-01T00:00:00Z

    private static func stamp(_ time: Int) -> String {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        formatter.timeZone = TimeZone(identifier: "UTC")
        return formatter.string(from: Date(timeIntervalSince1970: Double(base + time) / 1000))
    }

    private static func events(_ random: inout SeededRandom, count: Int) -> [Event] {
        (0..<count).map { index in
            // One in twenty comes up to 50 s late, which is beyond the disorder of 10 s.
            let delay = Int.random(in: 0..<20, using: &random) == 0 ? 50_000 : 10_000
            let time = index * 100 - Int.random(in: 0..<delay, using: &random)
            let user = "u\(Int.random(in: 0..<12, using: &random))"
            let value = Int.random(in: -1000..<1000, using: &random)
            return Event(
                user: user, time: time, value: value,
                line: "{\"user\":\"\(user)\",\"at\":\"\(stamp(time))\",\"v\":\(value)}")
        }
    }

    /// Windows of 20 s by key, record by record, as the contract says.
    private static func model(_ events: [Event]) -> (rows: Set<String>, late: [String]) {
        struct Window: Hashable {
            var user: String
            var start: Int
        }
        var windows: [Window: (count: Int, sum: Int)] = [:]
        var late: [String] = []
        var newest: Int?
        for event in events {
            let start = Int((Double(event.time) / 20_000).rounded(.down)) * 20_000
            if let newest, newest - 10_000 >= start + 20_000 {
                late.append(event.line)
            } else {
                let known = windows[Window(user: event.user, start: start)] ?? (0, 0)
                windows[Window(user: event.user, start: start)] =
                    (known.count + 1, known.sum + event.value)
            }
            newest = max(newest ?? event.time, event.time)
        }
        let rows = windows.map { window, value in
            "{\"user\":\"\(window.user)\",\"n\":\(value.count),\"total\":\(value.sum),"
                + "\"window_start\":\"\(stamp(window.start))\","
                + "\"window_end\":\"\(stamp(window.start + 20_000))\"}"
        }
        return (Set(rows), late)
    }

    private func pipeline(_ folder: TemporaryFolder, records: Int, rule: Bool) {
        let shape = rule ? "  - {name: shape, transform: rules/shape.lua}\n" : ""
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at, out_of_orderness: 10s}
            key: user
            commit: {every: 10s, records: \(records)}
            stages:
            \(shape)  - name: agg
                aggregate:
                  key: user
                  window: {tumbling: 20s}
                  compute: {n: count, total: sum(v)}
            sinks:
              - {from: agg, file: {path: out.jsonl}}
              - {from: agg.late, file: {path: late.jsonl}}
            """, to: "pipeline.yaml")
        folder.write("function process(r) state:incr(r.user) end", to: "rules/shape.lua")
    }

    @Test func `rows are those of the model, whatever the workers and the batches`() throws {
        var random = SeededRandom(seed: 20_260_101)
        let folder = TemporaryFolder()
        // More than one batch of the engine's own size.
        let events = Self.events(&random, count: 8000)
        folder.write(events.map { $0.line + "\n" }.joined(), to: "in.jsonl")
        let expected = Self.model(events)
        #expect(expected.late.count > 50, "the stream must have late records")
        var first: [String]?
        for (workers, records, rule) in [
            (1, 5000, false), (1, 1, true), (2, 7, true), (4, 1000, false),
        ] {
            pipeline(folder, records: records, rule: rule)
            let run = try Tool.run(
                "run", folder.path, "--once", "--workers", "\(workers)", "--summary",
                folder("s.json"), "--overwrite", "--data", folder("data\(workers)-\(records)"))
            #expect(run.status == 0, "\(run.errors)")
            let rows = folder.text("out.jsonl").split(separator: "\n").map(String.init)
            #expect(Set(rows) == expected.rows, "\(random) workers \(workers)")
            #expect(rows.count == expected.rows.count)
            #expect(
                folder.text("late.jsonl").split(separator: "\n").map(String.init) == expected.late)
            #expect(rows == first ?? rows, "also the order is the same")
            first = rows
            let summary = try Record(json: folder.text("s.json").trimmingCharacters(in: .newlines))
            #expect(summary["late"] == .integer(Int64(expected.late.count)))
            #expect(summary["read"] == 8000)
        }
    }

    @Test func `a record without a time is a dead letter, and so is one without a key`() throws {
        let folder = TemporaryFolder()
        pipeline(folder, records: 5, rule: false)
        folder.write(
            """
            {"user":"a","v":1}
            {"user":"a","at":null,"v":1}
            {"user":"a","at":"2025-01-01","v":1}
            {"user":"a","at":1735689600,"v":1}
            {"at":"2025-01-01T00:00:00Z","v":1}
            {"user":null,"at":"2025-01-01T00:00:00Z","v":1}
            {"user":{"id":1},"at":"2025-01-01T00:00:00Z","v":1}
            {"user":"a","at":"2025-01-01T00:00:00Z","v":"1"}
            {"user":"a","at":"2025-01-01T00:00:00Z","v":1e400}
            {"user":"a","at":"2025-01-01T01:00:00.5+01:00","v":null}

            """, to: "in.jsonl")
        let yaml = folder.text("pipeline.yaml")
        folder.write(
            yaml + "\n  - {from: dead_letters, file: {path: dead.jsonl}}", to: "pipeline.yaml")
        let run = try Tool.run("run", folder.path, "--once")
        #expect(run.status == 0, "\(run.errors)")
        let letters = try folder.text("dead.jsonl").split(separator: "\n").map {
            try Record(json: String($0))
        }
        #expect(
            letters.map { $0["field"] } == [
                "at", "at", "at", "at", "user", "user", "user", "v", "v",
            ])
        #expect(
            letters.map { $0["stage"] }.prefix(5) == [
                "source", "source", "source", "source", "agg",
            ])
        #expect(letters.last?["reason"] == #"field "v" is beyond the range of numbers"#)
        #expect(
            folder.text("out.jsonl")
                == #"{"user":"a","n":1,"total":null,"window_start":"2025-01-01T00:00:00.000Z","#
                + #""window_end":"2025-01-01T00:00:20.000Z"}"# + "\n")
    }

    @Test(arguments: ["1", "3"])
    func `dead letters can be counted, also those without a time`(workers: String) throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at}
            stages:
              - name: bad
                from: dead_letters
                aggregate: {key: kind, window: {tumbling: 1h}, compute: {n: count}}
            sinks:
              - {from: source, file: {path: out.jsonl}}
              - {from: bad, file: {path: bad.jsonl}}
            """, to: "pipeline.yaml")
        folder.write(
            #"{"at":"2025-01-01T00:10:00Z"}"# + "\n{\n{\"at\":7}\nnonsense\n"
                + #"{"at":"2025-01-01T01:10:00Z"}"# + "\n{\n", to: "in.jsonl")
        let run = try Tool.run("run", folder.path, "--once", "--workers", workers)
        #expect(run.status == 0, "\(run.errors)")
        let rows = try folder.text("bad.jsonl").split(separator: "\n").map { line in
            let row = try Record(json: String(line))
            let fields = ["kind", "n", "window_start"]
            return fields.map { row[$0]?.text ?? "" }.joined(separator: " ")
        }
        #expect(
            rows == [
                "malformed 2 2025-01-01T00:00:00.000Z", "invalid 1 2025-01-01T00:00:00.000Z",
                "malformed 1 2025-01-01T01:00:00.000Z",
            ])
    }

    @Test func `an error in an aggregate in Lua undoes its record everywhere`() throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at}
            stages:
              - {name: shape, transform: shape.lua}
              - name: agg
                aggregate:
                  window: {tumbling: 20s}
                  compute: {n: count, spread: spread.lua}
              - {name: other, from: shape, transform: other.lua}
            sinks:
              - {from: agg, file: {path: out.jsonl}}
              - {from: other, file: {path: other.jsonl}}
              - {from: dead_letters, file: {path: dead.jsonl}}
            """, to: "pipeline.yaml")
        folder.write("function process(r) emit(r:copy()) end", to: "shape.lua")
        folder.write("function process(r) r.seen = state:incr('n') end", to: "other.lua")
        folder.write(
            """
            return {
              init = function() return {least = math.huge, most = -math.huge} end,
              add = function(a, r)
                if r.v == 13 then error("unlucky") end
                a.least, a.most = math.min(a.least, r.v), math.max(a.most, r.v)
                return a
              end,
              merge = function(a, b)
                a.least, a.most = math.min(a.least, b.least), math.max(a.most, b.most)
                return a
              end,
              result = function(a, w) return {a.least, a.most, w.window_start} end,
            }
            """, to: "spread.lua")
        let lines = [5, 13, 7].map { "{\"at\":\"2025-01-01T00:00:00Z\",\"v\":\($0)}\n" }
        folder.write(lines.joined(), to: "in.jsonl")
        let run = try Tool.run("run", folder.path, "--once", "--workers", "2")
        #expect(run.status == 0, "\(run.errors)")
        #expect(
            folder.text("out.jsonl")
                == #"{"n":4,"spread":[5,7,"2025-01-01T00:00:00.000Z"],"#
                + #""window_start":"2025-01-01T00:00:00.000Z","#
                + #""window_end":"2025-01-01T00:00:20.000Z"}"# + "\n")
        let others = try folder.text("other.jsonl").split(separator: "\n").map {
            try Record(json: String($0))
        }
        #expect(others.map { $0["v"] } == [5, 5, 7, 7])
        #expect(others.map { $0["seen"] } == [1, 2, 3, 4], "state has not seen the failed record")
        let letter = try Record(json: folder.text("dead.jsonl").trimmingCharacters(in: .newlines))
        #expect(letter["stage"] == "agg")
        #expect(letter["file"] == "spread.lua")
        #expect(letter["line"] == 4)
        #expect(letter["original"]?.text == lines[1].trimmingCharacters(in: .newlines))
    }

    @Test(
        arguments: [
            ("merge = function(a, b) return a end,", "tumbling: 20s", "merging two parts gives"),
            (
                "merge = function(a, b) return a + b.x end,", "tumbling: 20s",
                "spread.lua:3: attempt to index a number value"
            ),
            ("", "session: {gap: 20s}", "a session window needs the function \"merge\""),
            ("merge = 7,", "tumbling: 20s", "the aggregate has no function \"merge\""),
            ("merg = function(a, b) return a end,", "tumbling: 20s", "has no \"merg\""),
            ("init = function() error('no') end,", "tumbling: 20s", "spread.lua:3: no"),
            ("add = function(a, r) a = a + 1 end,", "tumbling: 20s", "add returned nothing"),
        ])
    func `an aggregate in Lua that cannot be right is refused`(
        merge: String, window: String, message: String
    ) throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at}
            stages: [{name: agg, aggregate: {window: {\(window)}, compute: {s: spread.lua}}}]
            sinks: [{from: agg, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write(
            """
            return {
              init = function() return 0 end, add = function(a, r) return a + r.v end,
              \(merge)
              result = function(a) return a end,
            }
            """, to: "spread.lua")
        folder.write("{}\n", to: "in.jsonl")
        let run = try Tool.run("run", folder.path, "--once")
        #expect(run.status == 2)
        #expect(run.errors.contains(message), "\(run.errors)")
    }

    @Test(arguments: [false, true])
    func `a stop keeps windows open, and drain closes them`(drains: Bool) throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {generate: {script: g.lua, rate: 1000}}
            time: {field: at}
            stages: [{name: agg, aggregate: {window: {tumbling: 1h}, compute: {n: count}}}]
            sinks: [{from: source, file: {path: in.jsonl}}, {from: agg, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write(
            "function generate(i) return {at = time.format(1735689600000 + i)} end", to: "g.lua")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path] + (drains ? ["--drain"] : [])
        try process.run()
        while folder.text("in.jsonl").utf8.count < 100 { sched_yield() }
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let read = folder.text("in.jsonl").split(separator: "\n").count
        let rows = folder.text("out.jsonl").split(separator: "\n")
        #expect(rows.count == (drains ? 1 : 0))
        if drains { #expect(rows[0].hasPrefix("{\"n\":\(read),")) }
    }

    @Test func `time waits for the slower of two sources`() throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            sources:
              fast: {file: {path: fast.jsonl}}
              slow: {file: {path: slow.jsonl}}
            time: {field: at}
            stages: [{name: agg, aggregate: {window: {tumbling: 10s}, compute: {n: count}}}]
            sinks: [{from: agg, file: {path: out.jsonl}}, {from: agg.late, file: {path: late.jsonl}}]
            """, to: "pipeline.yaml")
        let fast = (0..<3600).map { "{\"at\":\"\(Self.stamp($0 * 1000))\"}\n" }.joined()
        let slow = (0..<3600).map { "{\"at\":\"\(Self.stamp($0 * 1000 + 500))\"}\n" }.joined()
        folder.write(fast, to: "fast.jsonl")
        folder.write(slow, to: "slow.jsonl")
        for workers in ["1", "3"] {
            let run = try Tool.run("run", folder.path, "--once", "--workers", workers)
            #expect(run.status == 0, "\(run.errors)")
            #expect(folder.text("late.jsonl").isEmpty)
            let rows = folder.text("out.jsonl").split(separator: "\n")
            #expect(rows.count == 360)
            #expect(rows.allSatisfy { $0.hasPrefix("{\"n\":20,") })
        }
    }

    @Test func `a clock that is far ahead does not make the others late`() throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at, max_future_skew: 1h}
            stages: [{name: agg, aggregate: {window: {tumbling: 10s}, compute: {n: count}}}]
            sinks:
              - {from: agg, file: {path: out.jsonl}}
              - {from: dead_letters, file: {path: dead.jsonl}}
            """, to: "pipeline.yaml")
        folder.write(
            #"{"at":"2025-01-01T00:00:01Z"}"# + "\n" + #"{"at":"2999-01-01T00:00:01Z"}"# + "\n"
                + #"{"at":"2025-01-01T00:00:02Z"}"# + "\n", to: "in.jsonl")
        let run = try Tool.run("run", folder.path, "--once")
        #expect(run.status == 0, "\(run.errors)")
        #expect(folder.text("out.jsonl").hasPrefix("{\"n\":2,"))
        #expect(folder.text("dead.jsonl").contains("further ahead of the clock"))
    }
}
