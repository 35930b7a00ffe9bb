import Foundation
import Records
import TestKit
import Testing

/// Kills and restarts as operators meet them: what was delivered is delivered once.
@Suite struct RestartTests {
    private static let pipeline = """
        source: {file: {path: "in/*.jsonl"}}
        time: {field: at, out_of_orderness: 5s}
        key: user
        commit: {every: 15ms, records: 100000}
        checkpoint: {every: 20ms}
        stages:
          - {name: shape, transform: rules/shape.lua}
          - name: windows
            from: shape
            aggregate: {key: [user], window: {tumbling: 20s}, compute: {n: count, last: max(seen)}}
        sinks:
          - {from: shape, file: {path: out/shape.jsonl}}
          - {from: windows, file: {path: out/windows.jsonl}}
        """
    private static let rule = """
        function process(r, meta)
          r.seen = state:incr("seen." .. r.user)
          r.id = meta.id
          if r.seen % 50 == 0 then emit({user = r.user, at = r.at, copy = true, seen = 0}) end
        end
        """

    private static func fill(_ folder: TemporaryFolder, _ random: inout SeededRandom) {
        folder.write(pipeline, to: "pipeline.yaml")
        folder.write(rule, to: "rules/shape.lua")
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        var index = 0
        for file in 0..<3 {
            var text = ""
            for _ in 0..<20_000 {
                let time =
                    1_735_689_600 + Double(index) / 100 + Double.random(in: 0..<4, using: &random)
                let at = formatter.string(from: Date(timeIntervalSince1970: time))
                let user = Int.random(in: 0..<40, using: &random)
                text += "{\"user\":\"u\(user)\",\"at\":\"\(at)\",\"i\":\(index)}\n"
                index += 1
            }
            folder.write(text, to: "in/\(file).jsonl")
        }
    }

    private static func rows(_ folder: TemporaryFolder, _ name: String) -> [String] {
        folder.text("out/\(name).jsonl").split(separator: "\n").map(String.init).sorted()
    }

    /// Runs to the end, killing the process again and again on the way there.
    private static func runWithKills(
        _ folder: TemporaryFolder, workers: Int, _ random: inout SeededRandom
    ) throws -> Int {
        var kills = 0
        while true {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Tool.binary)
            process.arguments = ["run", folder.path, "--once", "--workers", "\(workers)"]
            process.standardError = FileHandle.nullDevice
            try process.run()
            if kills < 12 {
                let deadline = Date().addingTimeInterval(
                    Double.random(in: 0.02..<0.12, using: &random))
                while process.isRunning, Date() < deadline { sched_yield() }
                if process.isRunning {
                    kill(process.processIdentifier, SIGKILL)
                    process.waitUntilExit()
                    kills += 1
                    continue
                }
            }
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return kills
        }
    }

    @Test(arguments: [1, 2])
    func `killed again and again, everything is there once`(workers: Int) throws {
        var random = SeededRandom(seed: 7)
        let folder = TemporaryFolder()
        Self.fill(folder, &random)
        let whole = try Tool.run("run", folder.path, "--once", "--fresh")
        #expect(whole.status == 0, "\(whole.errors)")
        let shape = Self.rows(folder, "shape")
        let windows = Self.rows(folder, "windows")
        #expect(shape.count > 60_000 && windows.count > 300)
        try FileManager.default.removeItem(atPath: folder("out"))
        let kills = try Self.runWithKills(folder, workers: workers, &random)
        #expect(kills > 0, "the test must kill something")
        // Compared beforehand: nobody reads a list of so many rows.
        let isSame = (Self.rows(folder, "shape") == shape, Self.rows(folder, "windows") == windows)
        #expect(isSame.0 && isSame.1, "\(random), \(isSame)")
    }

    @Test(arguments: ["at_least_once", "at_most_once"])
    func `weaker promises are kept, too`(delivery: String) throws {
        var random = SeededRandom(seed: 9)
        let folder = TemporaryFolder()
        Self.fill(folder, &random)
        folder.write("delivery: \(delivery)\n" + Self.pipeline, to: "pipeline.yaml")
        let kills = try Self.runWithKills(folder, workers: 1, &random)
        #expect(kills > 0, "the test must kill something")
        var counts: [Int64: Int] = [:]
        for row in folder.text("out/shape.jsonl").split(separator: "\n") {
            let record = try Record(json: Array(row.utf8))
            if case .integer(let index)? = record["i"] { counts[index, default: 0] += 1 }
        }
        if delivery == "at_least_once" {
            #expect(counts.count == 60_000, "none is missing")
        } else {
            #expect(counts.values.allSatisfy { $0 == 1 }, "none comes twice")
            let line = "{\"user\":\"u1\",\"at\":\"2025-01-01T00:05:00Z\",\"i\":99999}\n"
            folder.write(line, to: "in/9.jsonl")
            #expect(try Tool.run("run", folder.path, "--once").status == 0)
            let rows = folder.text("out/shape.jsonl").split(separator: "\n")
            #expect(rows.filter { $0.contains("\"i\":99999,") }.count == 1, "the stream goes on")
        }
    }

    @Test func `a second run reads what was appended and writes nothing again`() throws {
        var random = SeededRandom(seed: 8)
        let folder = TemporaryFolder()
        Self.fill(folder, &random)
        for _ in 0..<2 {
            let run = try Tool.run("run", folder.path, "--once", "--summary", folder("s.json"))
            #expect(run.status == 0, "\(run.errors)")
        }
        #expect(folder.text("s.json").contains("\"read\":0"))
        let before = Self.rows(folder, "shape")
        #expect(before.count > 60_000)
        let line = "{\"user\":\"new\",\"at\":\"2025-01-01T00:05:00Z\",\"i\":-1}\n"
        folder.write(folder.text("in/2.jsonl") + line, to: "in/2.jsonl")
        folder.write(line, to: "in/3.jsonl")
        let run = try Tool.run("run", folder.path, "--once", "--summary", folder("s.json"))
        #expect(run.status == 0, "\(run.errors)")
        #expect(folder.text("s.json").contains("\"read\":2"))
        let after = Self.rows(folder, "shape")
        #expect(after.count == before.count + 2)
        #expect(after.contains { $0.contains("\"seen\":2") && $0.contains("\"new\"") })
    }

    @Test func `what was not committed is cut off, torn lines too`() throws {
        let folder = TemporaryFolder()
        folder.write(
            "source: {file: {path: in.jsonl}}\nsinks: [{from: source, file: {path: out.jsonl}}]\n",
            to: "pipeline.yaml")
        folder.write("{\"i\":1}\n", to: "in.jsonl")
        #expect(try Tool.run("run", folder.path, "--once").status == 0)
        folder.write("{\"i\":1}\n{\"i\":2}\n{\"to", to: "out.jsonl")
        folder.write("{\"i\":1}\n{\"i\":3}\n", to: "in.jsonl")
        #expect(try Tool.run("run", folder.path, "--once").status == 0)
        #expect(folder.text("out.jsonl") == "{\"i\":1}\n{\"i\":3}\n")
    }
}
