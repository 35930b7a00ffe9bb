import Foundation
import TestKit
import Testing

/// `tidewheel repl` through a pipe and on a terminal; `RECORD=1` writes the transcripts anew.
@Suite(.timeLimit(.minutes(30))) struct ReplTests {
    static let rule = """
        function process(r, meta)
          if r.status == "queued" then return drop("queued") end
          r.n = state:incr(r.user_id)
          r.region = lookup("users", r.user_id, "region") or null
          r.ms = r.seconds * 1000
          if r.region == "us" then return route("far") end
        end

        """

    private func folder() -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            name: videos
            source: {file: {path: "in/*.jsonl"}}
            lookups: {users: {file: lookups/users.csv, key: user_id}}
            stages:
              - {name: check, validate: {schema: schemas/video.json}}
              - {name: shape, transform: rules/shape.lua}
            sinks: [{from: shape, null: {}}, {from: shape.far, null: {}}]

            """, to: "pipeline.yaml")
        folder.write(
            "{\"properties\": {\"seconds\": {\"type\": \"number\"}, \"status\": {}}}",
            to: "schemas/video.json")
        folder.write("user_id,region\nu1,eu\nu2,us\n", to: "lookups/users.csv")
        folder.write(Self.rule, to: "rules/shape.lua")
        folder.write("return {twice = function(x) return 2 * x end}\n", to: "rules/lib/more.lua")
        folder.write(
            """
            {"user_id":"u1","seconds":2.5,"status":"done","big":12345678901234567890123}
            {"user_id":"u2","seconds":1,"status":"done"}
            {"user_id":"u1","status":"queued"}
            {"user_id":"u1","seconds":"x","status":"done"}
            {"user_id":

            """, to: "in/videos.jsonl")
        return folder
    }

    private func talk(_ folder: TemporaryFolder, _ lines: String) throws -> RunProcess.Finished {
        try RunProcess.run(
            Tool.binary, ["repl"], folder: folder.path, input: Array((lines + "\n").utf8))
    }

    /// The lines that were typed with the answers to each.
    private func transcript(_ folder: TemporaryFolder, _ lines: [String]) throws -> String {
        // A line of its own after each answer tells where the next one begins.
        let marked = lines.flatMap { [$0, "\"§\""] }.joined(separator: "\n")
        let run = try talk(folder, marked)
        #expect(run.status == 0)
        #expect(run.errorText == "")
        let answers = run.outputText.components(separatedBy: "\"§\" : string\n")
        return zip(lines, answers).map { "> \($0)\n\($1)" }.joined()
    }

    private func check(_ text: String, _ name: String) throws {
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(text == recorded, "RECORD=1 accepts the new text of \(name)")
    }

    @Test func `values are shown with their types, and the session goes on after errors`() throws {
        let text = try transcript(
            folder(),
            [
                "1 + 2", "2.0", "10 // 3", "\"a\\\"b\"", "true", "nil", "null", "{}",
                "json.array{}",
                "{1, 2, {a = null}}", "{b = 1, a = \"ö\"}", "0/0", "drop(\"x\")", "print",
                "x = 5", "x * 2", "local y = 1", "y", "function f(n) return n, n + 1 end", "f(x)",
                "require(\"more\").twice(21)", "r", "r.a", "log(\"seen\", x)", "state:incr(\"k\")",
                "error(\"boom\")", "error({code = 5})", "x.y.z", "while true do end",
                "(\"x\"):rep(1e9)", "io", "drop = 1", "x = = 1", ":lod",
                "lookup(\"users\", \"u1\")",
            ])
        try check(text, "repl-values.txt")
    }

    @Test func `records go through stages, and everything can be looked at`() throws {
        let folder = folder()
        let text = try transcript(
            folder,
            [
                ":run", ":diff", ":load absent.jsonl", ":load in/videos.jsonl", ":stage",
                "r.seconds",
                "r.big", ":run", ":diff", ":why", ":state", ":lineage", ":next", ":run", ":next",
                ":run check", ":run shape", ":next", ":run", ":why", ":next", ":run", "r", ":next",
                ":prev", ":show", ":stage shap", ":lookup users u2", ":lookup nobody x", ":reload",
                "r.seconds = 3", ":run", ":save counted", ":help", ":prev", ":prev", ":prev",
                ":run",
                ":save \"far away\"",
            ]
        ).replacing(/rule set [0-9a-f]{12}/, with: "rule set …")
        try check(text, "repl-records.txt")
        try check(folder.text("rules/shape.test.yaml"), "repl-saved.txt")
        let test = try Tool.run("test", folder.path)
        #expect((test.status, test.output) == (0, "2 passed\n"))
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(files.sorted() == ["in", "lookups", "pipeline.yaml", "rules", "schemas"])
    }

    @Test func `a statement goes on over lines, and the end of the input ends it`() throws {
        let whole = try talk(folder(), "function f(x)\n  return x +\n  1\nend\nf(1)\n1 +\n2")
        #expect(whole.outputText == "2 : integer\n3 : integer\n")
        let broken = try talk(folder(), "function f(x)")
        #expect(broken.status == 0)
        #expect(broken.outputText == "error: the input ends in the middle of a statement\n")
        let endless = try talk(folder(), "x = {\n" + String(repeating: "1,\n", count: 520))
        #expect(endless.outputText.contains("error: the statement is longer than 500 lines\n"))
    }

    @Test func `time is measured, and rules are read at each run`() throws {
        let folder = folder()
        let run = try talk(folder, ":load in/videos.jsonl\n:run\n:time")
        #expect(run.outputText.contains(/CPU time [0-9.]+ µs of a budget of 100 ms\nhottest line/))
        folder.write("function process(r)\n  r.x = r.missing.field\nend\n", to: "rules/shape.lua")
        let bad = try talk(folder, ":load in/videos.jsonl\n:run\n1")
        #expect(bad.outputText.contains("error: rules/shape.lua:2: attempt to index a nil value"))
        #expect(bad.outputText.hasSuffix("1 : integer\n"))
        folder.write("function process(r\nend\n", to: "rules/shape.lua")
        let broken = try talk(folder, ":load in/videos.jsonl\n:run\n1")
        #expect(broken.outputText.contains("error: rules/shape.lua:2:"))
    }

    @Test func `wrong use is told, and nothing is begun`() throws {
        let folder = folder()
        let stage = try Tool.run("repl", folder.path, "--stage", "shap")
        #expect(stage.status == 2)
        #expect(stage.errors == "error: there is no stage \"shap\"; did you mean \"shape\"?\n")
        #expect(try Tool.run("repl", folder("absent")).status == 2)
    }

    /// Answers come before the next line is written.
    @Test func `a terminal has a prompt, completion, history, Ctrl-C and Ctrl-D`() throws {
        let folder = folder()
        let terminal = try #require(
            PseudoTerminal(
                "/bin/sh",
                [
                    "-c",
                    "trap : INT; '\(Tool.binary)' repl '\(folder.path)' --input "
                        + "'\(folder("in/videos.jsonl"))'; echo ended with $?",
                ],
                environment: [
                    "TERM": "xterm", "XDG_STATE_HOME": folder("state"), "LC_ALL": "C.UTF-8",
                ]))
        #expect(terminal.wait(for: "videos, rule set"))
        #expect(terminal.wait(for: "shape> "))
        terminal.type("r.sec\t\n")
        #expect(terminal.wait(for: "2.5 : float"), "\(terminal.text)")
        terminal.type("x = 1 +\n")
        #expect(terminal.wait(for: "... "))
        terminal.type("\u{3}")
        #expect(terminal.wait(for: "^C"))
        #expect(terminal.wait(for: "shape> "))
        terminal.type("\"grün\"\n")
        #expect(terminal.wait(for: "\"grün\" : string"), "\(terminal.text)")
        #expect(terminal.wait(for: "shape> "))
        terminal.type(":run\n")
        #expect(terminal.wait(for: "\"ms\":2500.0"))
        #expect(terminal.wait(for: "shape> "))
        let began = ContinuousClock.now
        folder.write(Self.rule.replacing("1000", with: "2000"), to: "rules/shape.lua")
        #expect(terminal.wait(for: "\"ms\":5000.0"), "an edit runs the record again")
        #expect(ContinuousClock.now - began < .seconds(2))
        #expect(terminal.wait(for: "shape> "))
        terminal.type("\u{10}\u{10}\n")
        #expect(terminal.wait(for: "\"grün\" : string"), "the history brings lines back")
        #expect(terminal.wait(for: "shape> "))
        // A key that comes while the terminal changes its mode is lost; a person clears the line, in
        // which Ctrl-D means something else, and presses it again.
        var hasEnded = false
        for _ in 0..<10 where !hasEnded {
            terminal.type("\u{15}")
            terminal.type("\u{4}")
            hasEnded = terminal.wait(for: "ended with 0", milliseconds: 1000)
        }
        #expect(hasEnded, "\(terminal.text)")
        #expect(folder.text("state/tidewheel/repl_history").contains("run"))
    }
}
