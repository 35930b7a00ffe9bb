import Foundation
import TestKit
import Testing

/// Outputs that begin another file by time and size.
@Suite(.timeLimit(.minutes(30))) struct SinkRollingTests {
    private let folder = TemporaryFolder()

    private func run(_ arguments: String...) throws -> Tool.Outcome {
        try Tool.run(arguments: ["run", folder.path, "--once"] + arguments)
    }

    private func pipeline(_ sink: String, time: String = "time: {field: at}", more: String = "") {
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            \(time)
            sinks: [{from: source, file: \(sink)}]
            \(more)
            """, to: "pipeline.yaml")
    }

    private func files() throws -> [String] {
        try Tool.run(
            "-c", "cd '\(folder("out"))' && find . -type f | sort | cut -c3-", executable: "/bin/sh"
        ).output.split(separator: "\n").map(String.init)
    }

    private static func row(_ number: Int, _ at: String) -> String {
        "{\"n\":\(number),\"at\":\"\(at)\"}\n"
    }

    @Test(arguments: [1, 3], [true, false])
    func `each row is in the file of its time, also out of order`(
        workers: Int, fresh: Bool
    ) throws {
        pipeline(
            "{path: \"out/%Y/%m/%d/part-%n.jsonl\", roll: {every: 12h}}",
            time: "time: {field: at, out_of_orderness: 1h}")
        let times = [
            "2025-12-30T23:10:00Z", "2025-12-30T23:50:00Z", "2025-12-31T00:10:00Z",
            "2025-12-30T23:55:00Z", "2025-12-31T11:59:59Z", "2025-12-31T12:00:00Z",
            "2026-01-01T05:00:00+01:00", "2025-12-30T22:00:00Z",
        ]
        folder.write(
            times.enumerated().map { Self.row($0 + 1, $1) }.joined(), to: "in.jsonl")
        let run = try run("--workers", "\(workers)", fresh ? "--fresh" : "--drain")
        #expect(run.status == 0, "\(run.errors)")
        #expect(
            try files() == [
                "2025/12/30/part-000000000001.jsonl", "2025/12/30/part-000000000008.jsonl",
                "2025/12/31/part-000000000003.jsonl", "2025/12/31/part-000000000006.jsonl",
                "2026/01/01/part-000000000007.jsonl",
            ])
        #expect(
            folder.text("out/2025/12/30/part-000000000001.jsonl")
                == [0, 1, 3].map { Self.row($0 + 1, times[$0]) }.joined())
        #expect(
            folder.text("out/2025/12/31/part-000000000003.jsonl")
                == [2, 4].map { Self.row($0 + 1, times[$0]) }.joined())
    }

    @Test func `a file is closed when it is large enough, and numbers go on over runs`() throws {
        pipeline("{path: \"out/%n.jsonl\", roll: {size: 30B}}", time: "")
        for run in 0..<3 {
            let lines = (1...(run + 1) * 4).map { Self.row($0, "x") }
            folder.write(lines.joined(), to: "in.jsonl")
            let outcome = try self.run()
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        #expect(
            try files()
                == stride(from: 1, through: 11, by: 2).map { number in
                    padded(number, 12) + ".jsonl"
                })
        let all = try files().map { folder.text("out/\($0)") }.joined()
        #expect(all == (1...12).map { Self.row($0, "x") }.joined())
        let fresh = try run("--fresh")
        #expect(fresh.status == 1 && fresh.errors.contains("out/000000000001.jsonl: no run of"))
        #expect(try run("--fresh", "--overwrite").status == 0)
        #expect(try files().count == 6)
    }

    @Test func `a file that is written ends in partial, and is closed when its hour is over`()
        throws
    {
        folder.write("", to: "in.jsonl")
        pipeline("{path: \"out/%H-%n.jsonl\", roll: {every: 1h}}", more: "commit: {every: 20ms}")
        folder.write(
            folder.text("pipeline.yaml").replacing("in.jsonl}", with: "in.jsonl, follow: true}"),
            to: "pipeline.yaml")
        for fresh in [true, false] {
            try? FileManager.default.removeItem(atPath: folder("out"))
            folder.write(Self.row(1, "2025-01-01T07:00:00Z"), to: "in.jsonl")
            let live = try BackgroundRun(folder, fresh ? "--fresh" : "--drain")
            try live.wait("the row") {
                folder.text("out/07-000000000001.jsonl.partial").contains("\"n\":1")
                    || (fresh && folder.read("out/07-000000000001.jsonl.partial") != nil)
            }
            #expect(folder.read("out/07-000000000001.jsonl") == nil)
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("in.jsonl")))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data(Self.row(2, "2025-01-01T08:00:01Z").utf8))
            try handle.close()
            try live.wait("its name") { folder.read("out/07-000000000001.jsonl") != nil }
            #expect(folder.text("out/07-000000000001.jsonl").contains("\"n\":1"))
            #expect(live.stop() == 0)
            #expect(try files() == ["07-000000000001.jsonl", "08-000000000002.jsonl"])
        }
    }

    @Test func `by arrival a file is closed by the clock`() throws {
        folder.writePipeline(
            path: "out/%S-%n.jsonl", options: ", roll: {by: arrival}", follow: true)
        folder.write("{\"n\":1}\n", to: "in.jsonl")
        let live = try BackgroundRun(folder)
        try live.wait("its name", seconds: 5) {
            (try? files())?.contains { $0.hasSuffix("-000000000001.jsonl") } ?? false
        }
        #expect(live.stop() == 0)
        #expect(try folder.numbers(in: "out", "") == [1])
    }

    @Test func `rolling by time needs a time, and windows have theirs`() throws {
        folder.write(Self.row(1, "2025-01-01T07:00:00Z"), to: "in.jsonl")
        pipeline("{path: \"out/%d-%n.jsonl\", roll: {}}", time: "")
        let none = try run()
        #expect(none.status == 1 && none.errors.contains("`by: arrival`"))
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at}
            stages: [{name: w, aggregate: {window: {tumbling: 1h}, compute: {n: count}}}]
            sinks: [{from: w, file: {path: "out/%d-%n.csv", roll: {}}}]
            """, to: "pipeline.yaml")
        folder.write(
            Self.row(1, "2025-01-01T23:00:00Z") + Self.row(2, "2025-01-02T07:00:00Z"),
            to: "in.jsonl")
        #expect(try run().status == 0)
        #expect(try files() == ["01-000000000001.csv", "02-000000000002.csv"])
        #expect(folder.text("out/02-000000000002.csv").hasPrefix("n,window_start,window_end\n1,"))
    }
}
