import Foundation
import Records
import TestKit
import Testing

/// Windows over several runs to the end of the input.
@Suite struct WindowRunsTests {
    private static let windows = [
        "{session: {gap: 30m}}", "{tumbling: 30m}", "{hopping: {size: 30m, every: 10m}}",
        "{rolling: {range: 30m}}",
    ]

    private func folder(_ window: String, _ more: String = "") -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at, out_of_orderness: 1h}
            stages:
              - {name: w, aggregate: {key: u, window: \(window), compute: {n: count}}}
            sinks:
              - {name: rows, from: w, file: {path: out.jsonl, append: true}}
              - {name: late, from: w.late, file: {path: late.jsonl, append: true}}
            \(more)

            """, to: "pipeline.yaml")
        return folder
    }

    private func line(_ time: String) -> String { "{\"at\":\"2026-11-23T\(time)Z\",\"u\":\"a\"}\n" }

    private func run(
        _ folder: TemporaryFolder, workers: Int = 1
    ) throws -> (summary: Record, errors: String) {
        let run = try Tool.run(
            "run", folder.path, "--once", "--workers", "\(workers)", "--summary",
            folder("summary.json"))
        #expect(run.status == 0, "\(run.errors)")
        return (try Record(json: folder.text("summary.json")), run.errors)
    }

    @Test(arguments: windows, [1, 3])
    func `what an earlier run has closed is counted apart`(window: String, workers: Int) throws {
        let folder = folder(window)
        let first = line("10:01:00") + line("10:05:00")
        folder.write(first, to: "in.jsonl")
        let one = try run(folder, workers: workers)
        #expect(one.summary["late_after_close"] == 0)
        #expect(!one.errors.contains("hint"))
        // One into what is closed, one into a window of its own.
        folder.write(first + line("10:02:00") + line("11:45:00"), to: "in.jsonl")
        let before = folder.text("out.jsonl")
        let two = try run(folder, workers: workers)
        #expect(two.summary["late_after_close"] == 1)
        #expect(two.summary["late"] == 0)
        #expect(two.errors.split(separator: "\n").count { $0.contains("end_of_input: keep") } == 1)
        #expect(folder.text("late.jsonl") == line("10:02:00"))
        #expect(folder.text("out.jsonl").hasPrefix(before))
        #expect(folder.text("out.jsonl").count > before.count, "a later window has rows")
    }

    @Test(arguments: windows, [1, 3])
    func `windows that are kept go on in the next run`(window: String, workers: Int) throws {
        let folder = folder(window, "end_of_input: keep")
        let first = line("10:01:00") + line("10:05:00")
        folder.write(first, to: "in.jsonl")
        _ = try run(folder, workers: workers)
        #expect(folder.text("out.jsonl") == "")
        folder.write(first + line("10:02:00") + line("15:00:00"), to: "in.jsonl")
        let two = try run(folder, workers: workers)
        #expect(two.summary["late_after_close"] == 0)
        #expect(two.summary["late"] == 0)
        #expect(folder.text("out.jsonl").contains("\"n\":3"))
    }

    @Test func `what nobody keeps closes`() throws {
        let folder = folder("{tumbling: 30m}", "end_of_input: keep")
        folder.write(line("10:01:00"), to: "in.jsonl")
        let run = try Tool.run("run", folder.path, "--once", "--fresh")
        #expect(run.status == 0, "\(run.errors)")
        #expect(folder.text("out.jsonl").contains("\"n\":1"))
    }

    @Test(arguments: [1, 3])
    func `an only source that falls silent lets the last windows go`(workers: Int) throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl, follow: true}}
            time: {field: at, idle_after: 50ms}
            stages:
              - {name: w, aggregate: {key: u, window: {tumbling: 30m}, compute: {n: count}}}
              - {name: days, aggregate: {window: {tumbling: 1 day}, compute: {n: sum(n)}}}
            sinks:
              - {name: rows, from: w, file: {path: out/rows.jsonl}}
              - {name: days, from: days, file: {path: out/days.jsonl}}

            """, to: "pipeline.yaml")
        let running = try FollowedRun(folder, workers: workers)
        try running.append([line("10:01:00"), line("10:05:00")].map { String($0.dropLast()) })
        try running.wait("the window") { running.rows("rows").count == 1 }
        try running.wait("the window behind it") { running.rows("days").count == 1 }
        #expect(running.rows("rows")[0].contains("\"n\":2"))
        // What was closed stays so; what comes later has windows of its own.
        try running.append([line("10:07:00"), line("10:31:00")].map { String($0.dropLast()) })
        try running.wait("the next window") { running.rows("rows").count == 2 }
        let outcome = try running.stop()
        #expect(outcome.summary["late_by_stage"] == ["days": 1, "w": 1])
        #expect(outcome.summary["late_after_close"] == 0)
    }
}
