import Foundation
import Records
import TestKit
import Testing

/// Rules that are replaced while the stream runs, as an analyst does it.
@Suite struct ReloadTests {
    static let good = """
        function process(r, meta)
          r.n = state:incr("n")
          r.version = 1
        end
        """

    typealias Running = RunningPipeline

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
