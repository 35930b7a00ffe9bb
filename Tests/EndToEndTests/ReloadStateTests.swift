import Foundation
import Records
import TestKit
import Testing

/// Versions that keep their state in different layouts, and the way back.
@Suite(.timeLimit(.minutes(30))) struct ReloadStateTests {
    /// Keeps `n` in thousands.
    private static let second = """
        state_version = 2
        function migrate(old, state)
          for _, key in ipairs(state:keys()) do
            state:set("count." .. key, state:get(key) * 1000)
            state:delete(key)
          end
        end
        function process(r)
          r.n = state:incr("count.n")
          r.version = 2
          if r.i >= 1000 then error("burst") end
        end
        """

    private static let both = """
        function migrate(old, state)
          if old ~= 2 then error("only from 2") end
          state:set("n", state:get("count.n") // 1000)
          state:delete("count.n")
        end
        """

    private func migrated(_ first: String = ReloadTests.good) throws -> (RunningPipeline, String) {
        let running = try RunningPipeline(
            "reload: {watch: false, probation: {records: 200, error_rate: 5%}}")
        running.folder.write(first, to: "rules/shape.lua")
        #expect(try running.tool("reload").status == 0)
        let old = try running.versions().last?["version"]?.text ?? ""
        try running.pass(70)
        running.folder.write(Self.second, to: "rules/shape.lua")
        let reload = try running.tool("reload")
        #expect(reload.status == 0, "\(reload.errors)")
        try running.pass(70)
        #expect(running.rows.last?["version"] == 2)
        // The way back is tried on the state that is committed.
        try running.commit()
        return (running, old)
    }

    private func isCount(_ row: Record, _ range: ClosedRange<Int64>) -> Bool {
        if case .integer(let count)? = row["n"] { range.contains(count) } else { false }
    }

    @Test func `no way back to rules that cannot take the state, but by force`() throws {
        let (running, old) = try migrated()
        let refused = try running.tool("rollback", old)
        #expect(refused.status == 1 && refused.output == "")
        #expect(
            refused.errors == """
                error: refused at the step migrate: rules/shape.lua keeps its state in layout 1 \
                (state_version), and the state of shape has layout 2; give the rule a function \
                migrate(old_version, state) that takes layout 2, or leave the state as it is with \
                --force

                """)
        try running.pass(70)
        // The partitions of seven users share the counts; each went on from thousands.
        #expect(running.rows.suffix(70).allSatisfy { isCount($0, 1001...999_999) })
        #expect(try running.versions().last?["state"] == "active")
        let forced = try running.tool("rollback", old, "--force")
        #expect(forced.status == 0, "\(forced.errors)")
        try running.pass(70)
        #expect(running.rows.suffix(70).allSatisfy { $0["version"] == 1 && isCount($0, 1...70) })
        _ = try running.stop()
    }

    @Test func `rules that can take newer state get it back`() throws {
        let (running, old) = try migrated(Self.both + "\n" + ReloadTests.good)
        let back = try running.tool("rollback", old)
        #expect(back.status == 0, "\(back.errors)")
        try running.pass(70)
        let rows = running.rows.suffix(70)
        #expect(rows.allSatisfy { $0["version"] == 1 && isCount($0, 11...70) })
        #expect(rows.contains { !isCount($0, 1...10) })
        _ = try running.stop()
    }

    @Test func `edited rules of an older layout are refused, also at a start`() throws {
        let (running, _) = try migrated()
        running.folder.write(ReloadTests.good + "\n", to: "rules/shape.lua")
        let reload = try running.tool("reload")
        #expect(reload.status == 1 && reload.errors.contains("step migrate: rules/shape.lua keeps"))
        _ = try running.stop()
        // What was refused is not loaded by a restart, unless somebody says so.
        let start = try Tool.run("run", running.folder.path, "--once")
        #expect(start.status == 0 && start.errors.contains("warning"), "\(start.errors)")
        let loaded = try Tool.run("run", running.folder.path, "--once", "--load-disk")
        #expect(loaded.status == 2 && loaded.errors.contains("has layout 2; give the rule"))
        running.folder.write(Self.both + "\n" + ReloadTests.good, to: "rules/shape.lua")
        let better = try Tool.run("run", running.folder.path, "--once")
        #expect(better.status == 0, "\(better.errors)")
    }

    @Test func `what fails on probation stays when the old rules cannot take its state`() throws {
        let (running, old) = try migrated()
        try running.add(60, from: 1000)
        #expect(running.wait { running.errors.contains("stays although") }, "\(running.errors)")
        #expect(running.errors.contains("`tidewheel rollback \(old) --force`"))
        let row = try running.versions().last
        #expect(row?["state"] == "active" && row?["outcome"] == "kept")
        #expect(row?["reason"]?.text.contains("records failed, more than 5.0% of 200") == true)
        try running.pass(10)
        #expect(running.rows.last?["version"] == 2)
        let summary = try running.stop()
        #expect(summary["dead_letters"] == 61)
    }

    @Test func `what fails on probation goes when the old rules can take its state`() throws {
        let (running, old) = try migrated(Self.both + "\n" + ReloadTests.good)
        try running.add(60, from: 1000)
        #expect(running.wait { running.errors.contains("was taken back") })
        let rows = try running.versions()
        #expect(rows.last?["version"]?.text == old && rows.last?["outcome"] == "restored")
        #expect(rows.contains { $0["state"] == "rolled_back" && $0["outcome"] == "taken_back" })
        try running.add(10, from: 140)
        #expect(running.wait { running.rows.last?["i"] == 149 })
        #expect(running.rows.suffix(10).allSatisfy { $0["version"] == 1 && isCount($0, 11...80) })
        _ = try running.stop()
    }

    @Test func `the audit tells who, when, tests, differences and outcome, also after a restart`()
        throws
    {
        let running = try RunningPipeline("reload: {watch: false, shadow: 50, max_difference: 50%}")
        running.folder.write(
            """
            rule: shape.lua
            tests:
              - {name: keeps its version, in: {user: u1}, contains: {version: 1}}
              - {name: counts, in: {user: u1}, contains: {n: 1}}
            """, to: "rules/shape.test.yaml")
        try running.pass(80)
        running.folder.write(
            ReloadTests.good.replacing(
                "r.version", with: "if r.i == 79 then r.x = 1 end r.version"),
            to: "rules/shape.lua")
        #expect(try running.tool("reload").status == 0)
        running.folder.write(
            ReloadTests.good.replacing("version = 1", with: "version = 2"), to: "rules/shape.lua")
        #expect(try running.tool("reload").status == 1)
        let rows = try running.versions()
        let user = NSUserName()
        #expect(rows.count == 3)
        #expect(
            rows.allSatisfy { $0["user"]?.text == user && $0["at"]?.text.hasSuffix("Z") == true })
        #expect(rows.map { $0["outcome"] } == ["started", "activated", "refused"])
        #expect(rows.map { $0["by"] } == ["start", "command", "command"])
        #expect(rows[1]["tests"] == ["passed": 2, "total": 2])
        #expect(rows[2]["tests"] == ["passed": 1, "total": 2])
        guard case .object(let fields)? = rows[1]["shadow"] else { return #expect(Bool(false)) }
        let shadow = Record(fields)
        #expect(shadow["records"] == 50 && shadow["same"] == 49 && shadow["changed"] == 1)
        #expect(shadow["text"] == "50 records: 49 same, 1 changed (.x 1)")
        #expect(rows[2]["shadow"] == nil && rows[2]["step"] == "test")
        // For people each is a line, whatever the reason looks like.
        let table = try running.tool("versions", "--format", "text").output.split(separator: "\n")
        #expect(table.count == 4 && table[0].contains("user") && table[0].contains("shadow"))
        #expect(table[2].contains("50 records: 49 same, 1 changed (.x 1)"))
        _ = try running.stop()
        #expect(try running.versions() == rows)
        // A run later the same is told, but for what the run itself adds.
        running.folder.write(ReloadTests.good, to: "rules/shape.lua")
        #expect(try Tool.run("run", running.folder.path, "--once").status == 0)
        let later = try running.versions()
        #expect(later.count == 3 && later.last?["outcome"] == "started")
        #expect(later.contains { $0["tests"] == ["passed": 2, "total": 2] })
    }
}
