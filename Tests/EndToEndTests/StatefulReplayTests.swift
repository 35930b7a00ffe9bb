import Foundation
import Records
import TestKit
import Testing

/// Dead letters that are run again by rules with state: what is counted is what happened.
@Suite(.timeLimit(.minutes(30))) struct StatefulReplayTests {
    private func folder() -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl, follow: true}}
            time: {field: at}
            key: user
            reload: {watch: false}
            stages:
              - {name: shape, transform: rules/shape.lua}
              - {name: copies, from: shape.copies, transform: rules/copies.lua}
              - name: totals
                from: shape
                aggregate: {key: user, window: {tumbling: 1m}, compute: {n: count, sum: sum(n)}}
            sinks:
              - {from: shape, file: {path: out/shape.jsonl}}
              - {from: copies, file: {path: out/copies.jsonl}}
              - {from: totals, file: {path: out/totals.jsonl}}
              - {from: dead_letters, file: {path: out/dead.jsonl}}
            """, to: "pipeline.yaml")
        // The second letter of an open user is dropped, and the fourth fails until the fifth has
        // gone through: what becomes of one depends on those before it.
        folder.write(
            """
            function process(r, meta)
              if r.open then
                state:set("open." .. r.user, true)
                return
              end
              if not state:get("open." .. r.user) then return reject("closed") end
              if r.k == 2 then return drop("second") end
              if r.k == 4 and not state:get("five." .. r.user) then error("too early") end
              if r.k == 5 then state:set("five." .. r.user, true) end
              r.n = state:incr("n." .. r.user)
              for copy = 1, r.copies or 0 do
                emit({user = r.user, at = r.at, copy = copy}, "copies")
              end
              if r.timer then state:timer("t." .. r.user .. r.k, meta.time + 1000) end
              r.id, r.line, r.position = meta.id, meta.line, meta.position
            end
            function on_timer(name, at) error("timers fail") end
            """, to: "rules/shape.lua")
        folder.write(
            "function process(r) if r.copy > 1 then return drop(\"a copy\") end end",
            to: "rules/copies.lua")
        return folder
    }

    /// The record of a user and second; `more` is put behind its fields.
    private func line(_ user: Int, _ second: Int, _ more: String = "") -> String {
        "{\"user\":\"u\(user)\",\"at\":\"\(EventTime.text(second * 1000))\"\(more)}"
    }

    /// Lets records of five users fail, then opens all but the last of them.
    private func running(workers: Int, _ more: String = "") throws -> FollowedRun {
        let running = try FollowedRun(folder(), workers: workers, "--drain")
        try running.append((0..<25).map { line($0 % 5, $0, ",\"k\":\($0 / 5 + 1)\(more)") })
        try running.wait("25 letters") { try letters(running).count == 25 }
        for user in 0..<4 {
            try running.pass([line(user, 30, ",\"open\":true")], until: "open", in: "shape")
        }
        return running
    }

    private func letters(_ running: FollowedRun) throws -> [Record] {
        try running.tool("dlq", "ls").output.split(separator: "\n").map {
            try Record(json: String($0))
        }
    }

    /// What `dlq replay` answers, without what only a trial tells.
    private func replay(_ running: FollowedRun) throws -> [Value?] {
        let run = try running.tool("dlq", "replay")
        #expect(run.status == 0, "\(run.errors)")
        let answer = try Record(json: run.output.trimmingCharacters(in: .newlines))
        return ["total", "delivered", "dropped", "dead"].map { answer[$0] }
    }

    @Test(arguments: [1, 2, 4])
    func `each letter meets the state that those before it left`(workers: Int) throws {
        let running = try running(workers: workers)
        // Of each open user: delivered, dropped, delivered, dead, delivered; all of the last: dead.
        #expect(try replay(running) == [25, 12, 4, 9])
        #expect(try letters(running).count == 9)
        // The fifth has gone through by now, so the fourth can.
        #expect(try replay(running) == [9, 4, 0, 5])
        let left = try letters(running)
        #expect(left.map { $0["reason"] } == Array(repeating: "closed", count: 5))
        let outcome = try running.stop()
        #expect(outcome.summary["dropped"] == ["second": 4])
        // 25 at first, 4 that open, and those that were run again.
        #expect(outcome.summary["read"] == .integer(25 + 4 + 25 + 9))
        #expect(outcome["totals"].filter { $0.contains(#""n":5,"sum":10,"#) }.count == 4)
    }

    @Test(arguments: [1, 2, 4])
    func `a letter counts once, whatever its copies and timers do`(workers: Int) throws {
        let running = try running(workers: workers, ",\"copies\":3,\"timer\":true")
        // Two of three copies are dropped behind, and every timer fails: those are no letters that
        // were run again.
        #expect(try replay(running) == [25, 12, 4, 9])
        let left = try letters(running)
        #expect(left.filter { $0["reason"] == "closed" }.count == 5)
        #expect(left.filter { $0["reason"]?.text.contains("too early") == true }.count == 4)
        // The timers that event time has passed: those of the first, third and fifth letters.
        #expect(left.filter { $0["reason"]?.text.contains("timers fail") == true }.count == 12)
        let outcome = try running.stop()
        #expect(outcome["copies"].count == 12)
        #expect(outcome.summary["dropped"] == ["a copy": 24, "second": 4])
    }

    @Test func `rows of letters come in the order of the letters, for any number of workers`()
        throws
    {
        var outcomes: [PipelineOutcome] = []
        for workers in [1, 2, 4] {
            let running = try running(workers: workers, ",\"copies\":1")
            _ = try replay(running)
            _ = try replay(running)
            outcomes.append(try running.stop())
        }
        let lines = try outcomes[0]["shape"].map { try Record(json: $0)["line"] }
        // Those that open come first, then each letter under its line, and at last the fourths.
        let first = (0..<25).filter { ![1, 3].contains($0 / 5) && $0 % 5 < 4 }
        let numbers: [Int] = first + Array(15..<19)
        let expected: [Value?] = numbers.map { .integer(Int64($0 + 1)) }
        #expect(lines == [nil, nil, nil, nil] + expected)
        for outcome in outcomes { #expect(outcome.differences(from: outcomes[0]) == []) }
    }
}
