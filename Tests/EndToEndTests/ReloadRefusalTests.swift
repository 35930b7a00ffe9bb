import Foundation
import Records
import TestKit
import Testing

/// Bad versions on a running pipeline: each is refused, says why on one screen, and changes
/// nothing. `RECORD=1` writes the screens anew.
@Suite(.timeLimit(.minutes(30))) struct ReloadRefusalTests {
    private typealias Change = @Sendable (TemporaryFolder) -> Void
    private static let good = ReloadTests.good

    private static let bad: [(kind: String, step: String, change: Change)] = [
        ("syntax", "compile", rule("function process(r)\n  r.x = = 1\nend\n")),
        ("missing process", "compile", rule("function proces(r) end\n")),
        ("unknown global", "compile", rule(good + "\nfunction other(r) r.n = lokup(\"a\") end\n")),
        ("endless loop at load", "compile", rule(good + "\nwhile true do end\n")),
        (
            "memory bomb at load", "compile",
            rule(good + "\nlocal t = {}\nfor i = 1, 1e9 do t[i] = {i} end\n")
        ),
        ("unknown module", "compile", rule("local m = require \"nowhere\"\n" + good)),
        ("bytecode", "compile", rule("\u{1B}Lua\u{53}\u{0}\u{19}\u{93}")),
        ("half-written file", "compile", rule("function process(r, meta)\n  r.n = sta")),
        ("empty file", "compile", rule("")),
        (
            "file that has gone", "compile",
            { try? FileManager.default.removeItem(atPath: $0("rules/shape.lua")) }
        ),
        (
            "module that goes while it is read", "compile",
            { folder in
                folder.write(good + "\n", to: "rules/shape.lua")
                try? FileManager.default.createSymbolicLink(
                    atPath: folder("rules/lib/gone.lua"), withDestinationPath: "nowhere")
            }
        ),
        (
            "failing test", "test",
            rule("function process(r)\n  r.n = state:incr(\"n\")\n  r.version = 3\nend\n")
        ),
        (
            "over the difference", "shadow",
            rule("function process(r)\n  r.n = 1\n  r.version = 1\n  r.more = 1\nend\n")
        ),
        (
            "wrong migrate", "migrate",
            rule(
                "state_version = 2\nfunction migrate(old, s)\n  error(\"no way from \" .. old)\n"
                    + "end\n" + good)
        ),
    ]

    private static func rule(_ text: String) -> Change {
        { $0.write(text, to: "rules/shape.lua") }
    }

    @Test func `a bad version changes nothing and says why`() throws {
        let running = try RunningPipeline("reload: {shadow: 100, max_difference: 10%}")
        let folder = running.folder
        folder.write("return {}\n", to: "rules/lib/more.lua")
        folder.write(
            """
            rule: shape.lua
            tests:
              - {name: keeps its version, in: {user: u1}, contains: {version: 1}}
            """, to: "rules/shape.test.yaml")
        #expect(try running.tool("reload").status == 0)
        let active = try running.versions().last?["version"]
        var screens = ""
        for bad in Self.bad {
            try running.pass(30)
            // A migration is tried on the state that is committed.
            if bad.step == "migrate" { try running.commit() }
            bad.change(folder)
            let reload = try running.tool("reload")
            #expect(reload.status == 1 && reload.output == "", "\(bad.kind): \(reload.output)")
            #expect(reload.errors.hasPrefix("error: refused at the step \(bad.step): "))
            #expect(reload.errors.split(separator: "\n").count <= 40)
            screens += "--- \(bad.kind)\n\(reload.errors)"
            let rows = try running.versions()
            #expect(rows.filter { $0["state"] == "active" }.map { $0["version"] } == [active])
            #expect(rows.last?["state"] == "rejected" && rows.last?["outcome"] == "refused")
            #expect(rows.last?["step"]?.text == bad.step, "\(bad.kind)")
            try? FileManager.default.removeItem(atPath: folder("rules/lib/gone.lua"))
            folder.write(Self.good, to: "rules/shape.lua")
            #expect(try running.tool("reload").output.contains("unchanged"))
            try running.pass(10)
        }
        #expect(running.rows.allSatisfy { $0["version"] == 1 && $0["more"] == nil })
        let count = Self.bad.count * 40
        let summary = try running.stop()
        #expect(summary["read"] == .integer(Int64(count + 1)) && summary["dead_letters"] == 1)
        #expect(running.rows.count == count)
        try check(screens, "reload-refusals.txt")
    }

    private func check(_ text: String, _ name: String) throws {
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(text == recorded, "RECORD=1 accepts the new text of \(name)")
    }

    @Test func `force passes lint, tests and differences, and the next edit is not held up`() throws
    {
        let running = try RunningPipeline("reload: {shadow: 100, max_difference: 0%}")
        try running.pass(10)
        let odd = Self.good.replacing("version = 1", with: "version = 2")
        let unused = "\nfunction never() return lokup(\"a\") end\n"
        running.folder.write(odd + unused, to: "rules/shape.lua")
        #expect(try running.tool("reload").errors.contains("TW0203"))
        #expect(try running.tool("reload", "--force").status == 0)
        try running.pass(10)
        #expect(running.rows.last?["version"] == 2)
        // The running version has that mistake, too.
        running.folder.write(odd + unused + "-- a remark\n", to: "rules/shape.lua")
        let next = try running.tool("reload")
        #expect(next.status == 0, "\(next.errors)")
        _ = try running.stop()
    }

    @Test func `a script of a handler is compiled as well`() throws {
        let running = try RunningPipeline(
            "queues: {jobs: {}}\nhandlers: [{queue: jobs, script: rules/work.lua}]",
            files: ["rules/work.lua": "function process(r) log(r.v) end\n"])
        running.folder.write("local x = nil + 1\nfunction process(r) end\n", to: "rules/work.lua")
        let reload = try running.tool("reload", "--force")
        #expect(reload.status == 1 && reload.errors.contains("rules/work.lua:1"))
        running.folder.write("function proces(r) end\n", to: "rules/work.lua")
        #expect(try running.tool("reload").errors.contains("rules/work.lua:1:1"))
        _ = try running.stop()
    }
}
