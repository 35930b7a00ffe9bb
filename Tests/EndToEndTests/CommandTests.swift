import Foundation
import Records
import TestKit
import Testing

@Suite struct CommandTests {
    @Test func `a new pipeline runs, and its summary adds up`() throws {
        let folder = TemporaryFolder()
        #expect(try Tool.run("new", folder("p")).status == 0)
        #expect(try Tool.run("lint", folder("p")).status == 0)
        let run = try Tool.run("run", folder("p"), "--once", "--summary", folder("s.json"))
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.output.isEmpty)
        let summary = try Record(
            json: folder.text("s.json").trimmingCharacters(in: .whitespacesAndNewlines))
        #expect(summary["read"] == 5)
        #expect(summary["dead_letters"] == 2)
        #expect(summary["delivered"] == .object([Field("shape", 2), Field("dead_letters", 2)]))
        #expect(summary["dropped"] == .object([Field("cancelled", 1)]))
        #expect(try Tool.run("new", folder("p")).status == 2)
    }

    @Test func `the video example gives the counts that it promises`() throws {
        let folder = TemporaryFolder()
        try FileManager.default.copyItem(
            atPath: Tool.root + "/examples/video-pipeline", toPath: folder("video"))
        let run = try Tool.run("run", folder("video"), "--once", "--summary", folder("s.json"))
        #expect(run.status == 0, "\(run.errors)")
        let made = try Record(json: folder.text("s.json").trimmingCharacters(in: .newlines))
        let expected = try Record(
            json: folder.text("video/expected/summary.json").trimmingCharacters(in: .newlines))
        for field in expected.fields { #expect(made[field.name] == field.value, "\(field.name)") }
        let kinds = Set(
            folder.text("video/out/dead_letters.jsonl").split(separator: "\n").compactMap {
                try? Record(json: String($0))["kind"]?.text
            })
        #expect(kinds == ["malformed", "invalid", "rejected"])
    }

    @Test func `the sessions example gives the counts that it promises`() throws {
        let folder = TemporaryFolder()
        try FileManager.default.copyItem(
            atPath: Tool.root + "/examples/web-sessions", toPath: folder("web"))
        let run = try Tool.run("run", folder("web"), "--once", "--summary", folder("s.json"))
        #expect(run.status == 0, "\(run.errors)")
        let made = try Record(json: folder.text("s.json").trimmingCharacters(in: .newlines))
        let expected = try Record(
            json: folder.text("web/expected/summary.json").trimmingCharacters(in: .newlines))
        for field in expected.fields { #expect(made[field.name] == field.value, "\(field.name)") }
        #expect(
            folder.text("web/out/daily.jsonl").contains(
                #""window_start":"2025-03-29T23:00:00.000Z","window_end":"2025-03-30T22:00:00.000Z""#
            ), "the day in Berlin on which clocks go forward has 23 hours")
    }

    @Test func `the cleaning example gives the rows that it promises`() throws {
        let folder = TemporaryFolder()
        let example = Tool.root + "/examples/clean-csv"
        try FileManager.default.copyItem(atPath: example, toPath: folder("clean"))
        let run = try Tool.run("run", folder("clean"), "--once")
        #expect(run.status == 0, "\(run.errors)")
        for name in ["customers.jsonl", "duplicates.jsonl"] {
            #expect(folder.text("clean/out/\(name)") == folder.text("clean/expected/\(name)"))
        }
        #expect(folder.text("clean/out/problems.jsonl").split(separator: "\n").count == 2)
    }

    @Test func `the benchmark pipelines do what they are for`() throws {
        let folder = TemporaryFolder()
        let good =
            #"{"video_id":"v","user_id":"u","processing_time":2.5,"status":"failed","created_at":"2025-01-01T00:00:00.000Z","region":"r","tier":"pro","size_bytes":1,"codec":"av1","meta":{"source":"api","attempt":1}}"#
        let bad = good.replacingOccurrences(of: "\"tier\":\"pro\"", with: "\"tier\":null")
        folder.write(good + "\n" + bad + "\n{\n", to: "in.jsonl")
        let environment = [
            "INPUT": folder("in.jsonl"), "OUTPUT": folder("out.jsonl"),
            "INVALID": folder("bad.jsonl"),
        ]
        for workload in ["copy", "transform", "window", "validate"] {
            let run = try Tool.run(
                "run", Tool.root + "/examples/benchmarks/" + workload, "--once",
                "--overwrite", "--data", folder("data-" + workload), environment: environment)
            #expect(run.status == 0, "\(run.errors)")
            let rows = folder.text("out.jsonl")
            switch workload {
            case "copy": #expect(rows == good + "\n" + bad + "\n")
            case "transform":
                #expect(
                    rows.contains(#""status":"FAILED""#)
                        && rows.contains(#""processing_time_ms":2500.0,"discount":0.1"#))
            case "window":
                #expect(
                    rows
                        == #"{"user_id":"u","count":2,"avg":2500.0,"min":2500.0,"max":2500.0,"#
                        + #""window_start":"2025-01-01T00:00:00.000Z"}"# + "\n")
            default:
                #expect(rows == good + "\n")
                #expect(
                    folder.text("bad.jsonl").split(separator: "\n").map { $0.suffix(22) }
                        == [
                            #"\"attempt\":1}}","reason":"tier:type"}"#.suffix(22),
                            #"":"{","reason":"json"}"#.suffix(22),
                        ])
            }
        }
    }

    @Test func `the peak memory is the run's own, not that of who started it`() throws {
        let folder = TemporaryFolder()
        folder.write("source: {file: {path: \"-\"}}\nsinks: [{stdout: {}}]\n", to: "pipeline.yaml")
        let ballast = [UInt8](repeating: 1, count: 400 << 20)
        let summary = folder("s.json")
        _ = try Tool.run("run", folder.path, "--summary", summary, input: Data("{}\n".utf8))
        #expect(ballast.last == 1)
        let text = folder.text("s.json").trimmingCharacters(in: .newlines)
        guard case .integer(let peak)? = try Record(json: text)["peak_memory_bytes"] else {
            Issue.record("\(text)")
            return
        }
        #expect((1 << 20..<400 << 20).contains(peak))
    }

    @Test func `stdin to stdout, record by record`() throws {
        let folder = TemporaryFolder()
        folder.write("source: {file: {path: \"-\"}}\nsinks: [{stdout: {}}]\n", to: "pipeline.yaml")
        let run = try Tool.run(
            "run", folder.path, "--once", input: Data("{\"a\":1}\n{\"b\":2}".utf8))
        #expect(run.output == "{\"a\":1}\n{\"b\":2}\n")
    }

    @Test func `SIGTERM finishes what was read and exits with 0`() throws {
        let folder = TemporaryFolder()
        folder.write(
            "source: {generate: {script: g.lua, rate: 1000}}\nsinks: [{file: {path: out.jsonl}}]\n",
            to: "pipeline.yaml")
        folder.write("function generate(i) return {i = i} end", to: "g.lua")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path, "--summary", folder("s.json")]
        try process.run()
        while folder.text("out.jsonl").utf8.count < 100 { sched_yield() }
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let rows = folder.text("out.jsonl").split(separator: "\n", omittingEmptySubsequences: false)
        #expect(rows.last == "")
        let summary = try Record(json: folder.text("s.json").trimmingCharacters(in: .newlines))
        #expect(summary["read"] == .integer(Int64(rows.count - 1)))
    }

    @Test func `a signal while the rules are still loading is heard, too`() throws {
        let folder = TemporaryFolder()
        folder.write(
            "source: {file: {path: \"-\"}}\nsinks: [{stdout: {}}]\n"
                + "stages: [{name: a, transform: a.lua, budget: 1s}]\n", to: "pipeline.yaml")
        folder.write("while true do end", to: "a.lua")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        var isCaught = false
        while process.isRunning && !isCaught {
            let path = "/proc/\(process.processIdentifier)/status"
            let status = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            let mask = status.firstMatch(of: /SigCgt:\s*([0-9a-f]+)/).map { $0.1 } ?? "0"
            isCaught = UInt64(mask, radix: 16).map { $0 & (1 << 14) != 0 } ?? false
        }
        #expect(isCaught)
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 2)
    }

    @Test func `the live bench times every record`() throws {
        let run = try Tool.run("bench", "pipeline", "--live", "--rate", "500", "--seconds", "1")
        let answer = try Record(json: run.output.trimmingCharacters(in: .newlines))
        #expect(answer["records"] == 500)
        guard case .object(let latency)? = answer["latency_ms"] else {
            Issue.record("\(run)")
            return
        }
        #expect(latency.map(\.name) == ["p50", "p99", "max"])
    }

    @Test func `new makes the folders on the way, too`() throws {
        let folder = TemporaryFolder()
        #expect(try Tool.run("new", folder("a/b/orders")).status == 0)
        #expect(try Tool.run("run", folder("a/b/orders"), "--once").status == 0)
    }

    @Test(
        arguments: [
            (
                "source: {file: {path: gone.jsonl}}\nsinks: [{null: {}}]", 1,
                "gone.jsonl: no such file"
            ),
            ("source: {file: {path: folder}}\nsinks: [{null: {}}]", 1, "folder: is a directory"),
            (
                "source: {file: {path: in.jsonl}}\nsinks: [{file: {path: folder}}]", 1,
                "folder: is a directory"
            ),
            (
                "source: {file: {path: in.jsonl}}\nsinks: [{file: {path: /dev/full}}]", 1,
                "no space left"
            ),
            (
                "source: {file: {path: in.jsonl}}\nsinks: [{file: {path: in.jsonl/x}}]", 1,
                "not a directory"
            ),
            (
                "source: {file: {path: in.jsonl}}\nstages: [{name: a, transform: bad.lua}]\nsinks: [{null: {}}]",
                2, "bad.lua:1:"
            ),
            (
                "source: {file: {path: in.jsonl}}\nstages: [{name: a, validate: {schema: bad.lua}}]\nsinks: [{null: {}}]",
                2, "bad.lua:1:"
            ),
            (
                "source: {file: {path: in.jsonl}}\nlookups: {l: {file: folder, key: a}}\nsinks: [{null: {}}]",
                2, "pipeline.yaml:2:21"
            ),
            ("source: {generate: {script: bad.lua}}\nsinks: [{null: {}}]", 1, "bad.lua:1:"),
            ("nonsense", 2, "pipeline.yaml:1:1"),
        ] as [(String, Int32, String)])
    func `bad input is one clear error`(yaml: String, status: Int32, message: String) throws {
        let folder = TemporaryFolder()
        folder.write(yaml, to: "pipeline.yaml")
        folder.write("{}\n", to: "in.jsonl")
        folder.write("this is not Lua", to: "bad.lua")
        folder.write("", to: "folder/x")
        let run = try Tool.run("run", folder.path, "--once")
        #expect(run.status == status)
        #expect(run.errors.contains(message), "\(run.errors)")
        #expect(run.output.isEmpty)
        #expect(run.errors.split(separator: "\n").count <= 40)
    }

    @Test func `wrong usage exits with 2, and help with 0`() throws {
        #expect(try Tool.run("run", "--workers", "0").status == 2)
        #expect(try Tool.run("fly").status == 2)
        #expect(try Tool.run("--help").status == 0)
        #expect(try Tool.run("docs", "lua").output.contains("### drop\n"))
        let bench = try Tool.run("bench", "pipeline", "--records", "1000")
        #expect(try Record(json: bench.output.trimmingCharacters(in: .newlines))["records"] == 1000)
    }
}
