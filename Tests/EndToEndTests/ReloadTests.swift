import Foundation
import Records
import TestKit
import Testing

/// Rules that are replaced while the stream runs, as an analyst does it.
@Suite struct ReloadTests {
    private static let good = """
        function process(r, meta)
          r.n = state:incr("n")
          r.version = 1
        end
        """

    /// A pipeline at work in a folder of its own.
    final class Running {
        let folder = TemporaryFolder()
        let process = Process()
        private let errors = Pipe()

        init(_ extra: String = "reload: {watch: false}", workers: Int = 1) throws {
            folder.write(
                """
                source: {file: {path: in.jsonl, follow: true}}
                key: user
                stages: [{name: shape, transform: rules/shape.lua, budget: 50ms}]
                sinks: [{from: shape, file: {path: out.jsonl}}]
                limits: {script_memory: 16MiB}
                \(extra)
                """, to: "pipeline.yaml")
            folder.write(ReloadTests.good, to: "rules/shape.lua")
            folder.write("", to: "in.jsonl")
            process.executableURL = URL(fileURLWithPath: Tool.binary)
            process.arguments = [
                "run", folder.path, "--workers", "\(workers)", "--summary", folder("s.json"),
            ]
            process.standardError = errors
            try process.run()
            #expect(wait { FileManager.default.fileExists(atPath: folder("data/control.sock")) })
        }

        /// Waits until something is so; bounded.
        func wait(_ condition: () -> Bool) -> Bool {
            let deadline = Date() + 20
            while Date() < deadline {
                if condition() { return true }
                RunLoop.current.run(until: Date() + 0.01)
            }
            return condition()
        }

        func add(_ count: Int, from start: Int) throws {
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("in.jsonl")))
            try handle.seekToEnd()
            let lines = (start..<(start + count)).map { "{\"i\":\($0),\"user\":\"u\($0 % 7)\"}\n" }
            try handle.write(contentsOf: Data(lines.joined().utf8))
            try handle.close()
        }

        var rows: [Record] {
            folder.text("out.jsonl").split(separator: "\n").compactMap {
                try? Record(json: Array($0.utf8))
            }
        }

        func tool(_ arguments: String...) throws -> Tool.Outcome {
            try Tool.run(arguments: arguments + ["--data", folder("data")])
        }

        /// Stops it; returns the summary.
        func stop() throws -> Record {
            process.terminate()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return try Record(json: folder.text("s.json").trimmingCharacters(in: .newlines))
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
    }

    @Test(arguments: [1, 2])
    func `a new version takes over between two records, and state stays`(workers: Int) throws {
        let running = try Running(workers: workers)
        try running.add(100, from: 0)
        #expect(running.wait { running.rows.count == 100 })
        running.folder.write(
            Self.good.replacingOccurrences(of: "version = 1", with: "version = 2"),
            to: "rules/shape.lua")
        let reload = try running.tool("reload")
        #expect(reload.status == 0, "\(reload.errors)")
        #expect(reload.output.contains("100 records: 0 same, 100 changed (.version 100)"))
        #expect(try running.tool("reload").output.contains("unchanged"))
        try running.add(100, from: 100)
        #expect(running.wait { running.rows.count == 200 })
        let rows = running.rows
        #expect(rows.filter { $0["version"] == 1 }.count == 100)
        #expect(rows.filter { $0["version"] == 2 }.count == 100)
        let versions = try running.tool("versions").output.split(separator: "\n")
        #expect(versions.count == 2)
        #expect(versions[0].contains("previous") && versions[1].contains("active"))
        let old = try Record(json: Array(versions[0].utf8))["version"]?.text ?? ""
        #expect(try running.tool("rollback", old).status == 0)
        try running.add(10, from: 200)
        #expect(running.wait { running.rows.count == 210 })
        #expect(running.rows.suffix(10).allSatisfy { $0["version"] == 1 })
        // Each partition has counted on through both switches.
        let counts = running.rows.compactMap { row -> Int64? in
            if case .integer(let count)? = row["n"] { count } else { nil }
        }
        #expect(counts.max() ?? 0 >= 30 && Set(counts).count == counts.max().map(Int.init))
        let summary = try running.stop()
        #expect(summary["read"] == 210 && summary["dead_letters"] == 0)
        #expect(summary["rule_set"]?.text == old)
    }

    static let bad: [(kind: String, script: String, step: String, text: String)] = [
        ("syntax", "function process(r) r.x = = 1 end", "compile", "rules/shape.lua:1"),
        ("no process", "function proces(r) end", "compile", "process"),
        ("loop at load", "while true do end", "compile", "exceeded"),
        (
            "memory at load", "local t = {} for i = 1, 1e9 do t[i] = {i} end", "compile",
            "exceeded"
        ),
        ("unknown module", "local m = require \"nowhere\"\n" + good, "compile", "nowhere"),
        ("bytecode", "\u{1B}Lua\u{53}", "compile", "rules/shape.lua"),
        (
            "wrong migrate",
            "state_version = 2\nfunction migrate(old, s) error(\"no way\") end\n" + good,
            "migrate", "no way"
        ),
        (
            "failing test", "function process(r) r.n = state:incr(\"n\") r.version = 3 end", "test",
            "keeps its version"
        ),
        (
            "difference", "function process(r) r.n = 1 r.version = 1 r.more = 1 end", "shadow",
            "differ"
        ),
        ("half written", "function process(r, meta)\n  r.n = sta", "compile", "rules/shape.lua"),
    ]

    @Test(arguments: bad.indices)
    func `a bad version changes nothing and says why`(index: Int) throws {
        let bad = Self.bad[index]
        let running = try Running("reload: {shadow: 100, max_difference: 10%}")
        running.folder.write(
            """
            rule: shape.lua
            tests:
              - {name: keeps its version, in: {user: u1}, contains: {version: 1}}
            """, to: "rules/shape.test.yaml")
        try running.add(50, from: 0)
        #expect(running.wait { running.rows.count == 50 })
        let first = try running.tool("versions").output
        running.folder.write(bad.script, to: "rules/shape.lua")
        let reload = try running.tool("reload")
        #expect(reload.status == 1, "\(bad.kind): \(reload.output)")
        #expect(
            reload.errors.contains(bad.step) && reload.errors.contains(bad.text), "\(reload.errors)"
        )
        #expect(reload.errors.split(separator: "\n").count <= 40)
        try running.add(50, from: 50)
        #expect(running.wait { running.rows.count == 100 })
        #expect(running.rows.allSatisfy { $0["version"] == 1 && $0["more"] == nil })
        let rows = try running.tool("versions").output.split(separator: "\n").map(String.init)
        #expect(rows.first.map { $0 + "\n" } == first)
        #expect(
            rows.last?.contains("\"state\":\"rejected\",\"step\":\"\(bad.step)\"") == true,
            "\(rows)")
        #expect(try running.stop()["dead_letters"] == 0)
    }

    @Test func `an error burst brings the old version back`() throws {
        let running = try Running(
            "reload: {watch: true, shadow: 0, probation: {records: 200, error_rate: 5%}}")
        try running.add(20, from: 0)
        #expect(running.wait { running.rows.count == 20 })
        running.folder.write(
            "function process(r) if r.i >= 100 then error(\"burst\") end r.version = 2 end",
            to: "rules/shape.lua")
        #expect(running.wait { (try? running.tool("versions").output.contains("watch")) == true })
        for start in stride(from: 100, to: 200, by: 20) { try running.add(20, from: start) }
        #expect(
            running.wait { (try? running.tool("versions").output.contains("rolled_back")) == true })
        try running.add(20, from: 300)
        #expect(running.wait { running.rows.last?["i"] == 319 })
        #expect(running.rows.suffix(20).allSatisfy { $0["version"] == 1 })
        let rows = try running.tool("versions").output.split(separator: "\n")
        #expect(rows.filter { $0.contains("\"active\"") }.count == 1)
        #expect(rows.contains { $0.contains("rolled_back") && $0.contains("probation") })
        let summary = try running.stop()
        guard case .integer(let dead)? = summary["dead_letters"] else {
            return #expect(Bool(false))
        }
        #expect(dead > 10 && dead <= 100)
        #expect(running.rows.count + Int(dead) == 140)
    }

    @Test func `state is changed once by migrate, in every partition`() throws {
        let running = try Running()
        try running.add(70, from: 0)
        #expect(running.wait { running.rows.count == 70 })
        running.folder.write(
            """
            state_version = 2
            function migrate(old, state)
              for _, key in ipairs(state:keys()) do
                state:set("count." .. key, state:get(key) * 1000)
                state:delete(key)
              end
            end
            function process(r) r.n = state:incr("count.n") r.version = 2 end
            """, to: "rules/shape.lua")
        let reload = try running.tool("reload")
        #expect(reload.status == 0, "\(reload.errors)")
        try running.add(7, from: 70)
        #expect(running.wait { running.rows.count == 77 })
        let rows = running.rows.suffix(7)
        #expect(
            rows.allSatisfy { row in
                if case .integer(let count)? = row["n"] {
                    count > 1000 && count % 1000 <= 7
                } else {
                    false
                }
            })
        _ = try running.stop()
    }

    @Test func `mistakes of use are one clear message each`() throws {
        let running = try Running()
        let unknown = try running.tool("rollback", "0123456789ab")
        #expect(unknown.status == 1 && unknown.errors.contains("there is no version 0123456789ab"))
        let tap = try running.tool("tap", "shap")
        #expect(tap.status == 1 && tap.errors.contains("did you mean \"shape\""))
        _ = try running.stop()
        let stopped = try running.tool("reload")
        #expect(stopped.status == 1 && stopped.errors.contains("no pipeline runs"))
        #expect(try running.tool("versions").output.contains("\"state\":\"active\""))
    }

    @Test func `a tap shows what passes, and leaves nothing behind`() throws {
        let running = try Running()
        let tap = Process()
        tap.executableURL = URL(fileURLWithPath: Tool.binary)
        tap.arguments = ["tap", "shape", "-n", "5", "--data", running.folder("data")]
        let output = Pipe()
        tap.standardOutput = output
        try tap.run()
        var next = 0
        let isDone = running.wait {
            try? running.add(5, from: next)
            next += 5
            return !tap.isRunning
        }
        #expect(isDone)
        let rows = output.fileHandleForReading.readDataToEndOfFile().split(separator: 0x0A)
        #expect(
            rows.count == 5
                && rows.allSatisfy { String(decoding: $0, as: UTF8.self).contains("\"version\":1") }
        )
        #expect(running.wait { running.rows.count == next })
        let summary = try running.stop()
        #expect(summary["read"] == .integer(Int64(next)))
    }
}
