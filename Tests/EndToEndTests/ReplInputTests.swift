import Foundation
import Records
import TestKit
import Testing

/// Records of a session that come from queues, dead letters and running pipelines. `RECORD=1`
/// writes the transcripts anew.
@Suite(.timeLimit(.minutes(30))) struct ReplInputTests {
    private func folder() throws -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out.jsonl}}]
            queues: {jobs: {}, idle: {}}
            """, to: "pipeline.yaml")
        folder.write(
            """
            function process(r, meta)
              local limit = r.v
              r.total = limit + 1
              r.id = meta.id
              r.tenant = meta.headers and meta.headers.tenant
            end

            """, to: "rules/shape.lua")
        folder.write("{\"v\":1}\n{\"v\":\"two\"}\n{bad\n{\"v\":{\"a\":1.50}}\n", to: "in.jsonl")
        #expect(try tool(folder, ["run", "--once"]).status == 0)
        for arguments in [
            ["{\"v\": 1.50, \"k\":1e400}", "--id", "m1", "--header", "tenant=t7"],
            ["not json", "--id", "m2"],
        ] {
            #expect(try tool(folder, ["queue", "publish", "jobs"] + arguments).status == 0)
        }
        return folder
    }

    private func tool(
        _ folder: TemporaryFolder, _ arguments: [String], _ input: String = ""
    ) throws -> RunProcess.Finished {
        try RunProcess.run(
            Tool.binary, arguments, folder: folder.path, input: Array(input.utf8))
    }

    private func check(_ folder: TemporaryFolder, _ lines: [String], _ name: String) throws {
        let marked = lines.flatMap { [$0, "\"§\""] }.joined(separator: "\n") + "\n"
        let run = try tool(folder, ["repl"], marked)
        #expect(run.status == 0 && run.errorText == "")
        let answers = run.outputText.components(separatedBy: "\"§\" : string\n")
        let text = zip(lines, answers).map { "> \($0)\n\($1)" }.joined()
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(text == recorded, "RECORD=1 accepts the new text of \(name)")
    }

    /// Every file below the folder with its bytes and the time of its last change.
    private func contents(_ folder: TemporaryFolder) throws -> [String: String] {
        var found: [String: String] = [:]
        let files = FileManager.default.enumerator(atPath: folder.path)
        while let name = files?.nextObject() as? String {
            let facts = try FileManager.default.attributesOfItem(atPath: folder(name))
            let bytes = FileManager.default.contents(atPath: folder(name))
            found[name] = "\(bytes?.hashValue ?? 0) \(facts[.modificationDate] ?? "")"
        }
        return found
    }

    @Test func `of a stopped pipeline, and nothing is written`() throws {
        let folder = try folder()
        let before = try contents(folder)
        try check(
            folder,
            [
                ":load queue jobs", ":show", ":run", ":next", ":run", ":load queue jobs 1", ":next",
                ":load queue idle", ":load queue nope", ":load queue", ":load queue jobs x",
                ":load dlq", ":why", ":run", ":next", ":next", ":load dlq in.jsonl:8", "r.v = 5",
                ":run", ":diff", ":load dlq nope", ":load tap shape", ":load tap", ":load", ":show",
            ], "repl-inputs.txt")
        #expect(try contents(folder) == before)
        // The messages are there for whoever receives them.
        let stats = try tool(folder, ["queue", "stats", "jobs"]).outputText
        #expect(stats.contains("\"ready\":2"))
    }

    @Test func `--input takes the same sources, and a file of such a name goes before`() throws {
        let folder = try folder()
        func first(_ input: String) throws -> String {
            String(
                try tool(folder, ["repl", "--input", input], ":quit\n").outputText
                    .split(separator: "\n").prefix(2).joined(separator: " | "))
        }
        #expect(try first("queue:jobs") == "2 records | 1/2 {\"v\": 1.50, \"k\":1e400}")
        #expect(try first("dlq") == "3 records | 1/3 {\"v\":\"two\"}")
        #expect(try first("dlq:in.jsonl:25") == "1 record | 1/1 {\"v\":{\"a\":1.50}}")
        #expect(try first("queue:nope").hasPrefix("error: there is no queue \"nope\""))
        folder.write("{\"file\":true}\n", to: "dlq")
        #expect(try first("dlq") == "1 record | 1/1 {\"file\":true}")
        let empty = TemporaryFolder()
        empty.write("function process(r) end\n", to: "rules/a.lua")
        let none = try tool(empty, ["repl"], ":load dlq\n").outputText
        #expect(none.hasPrefix("error: there is no store in data; run the pipeline, or name"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: empty.path) == ["rules"])
    }

    @Test func `of a running pipeline, through its socket`() throws {
        // Half of all records fail, however many it takes.
        let running = try RunningPipeline(
            "reload: {watch: false, probation: {error_rate: 100%}}\nqueues: {jobs: {}}")
        running.folder.write(
            "function process(r) if r.i % 2 == 1 then error(\"odd\") end r.version = 1 end",
            to: "rules/shape.lua")
        #expect(try running.tool("reload").status == 0)
        #expect(try running.tool("queue", "publish", "jobs", "{\"v\":1}").status == 0)
        try running.add(10, from: 0)
        #expect(running.wait { (try? running.letters().count) == 5 })
        let seen = try tool(
            running.folder, ["repl"], ":load queue jobs\n:load dlq\n:load tap nope\n"
        ).outputText
        #expect(
            seen.contains("1/1 {\"v\":1}\n") && seen.contains("1/5 {\"i\":1,\"user\":\"u1\"}\n"))
        #expect(seen.contains("dead letter in.jsonl:20, failed in shape: rules/shape.lua:1: odd"))
        #expect(seen.hasSuffix("error: there is no stage \"nope\"\n"))
        var next = 10
        for (point, text) in [
            ("shape.out", "\"version\":1}"), ("shape.in", "\"user\":"), ("shape.dead", "failed in"),
        ] {
            let session = Process()
            session.executableURL = URL(fileURLWithPath: Tool.binary)
            session.arguments = ["repl", running.folder.path, "--input", "tap:\(point)"]
            let output = Pipe()
            session.standardOutput = output
            session.standardInput = FileHandle.nullDevice
            try session.run()
            let isDone = running.wait {
                try? running.add(5, from: next)
                next += 5
                return !session.isRunning
            }
            let said = String(
                decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            #expect(isDone && said.hasPrefix("10 records\n1/10 {"), "\(point): \(said)")
            #expect(said.contains(text), "\(point): \(said)")
        }
        let stats = try running.tool("queue", "stats", "jobs").output
        #expect(stats.contains("\"ready\":1"))
        _ = try running.stop()
    }

    @Test func `a line that never ends is left out, and the session goes on`() throws {
        let folder = TemporaryFolder()
        folder.write("function process(r) end\n", to: "rules/a.lua")
        let long = String(repeating: "x", count: 3 << 20)
        let run = try tool(folder, ["repl"], long + "\n1 + 1\nwhile true do end\n2\n" + long)
        let lines = run.outputText.split(separator: "\n")
        #expect(run.status == 0 && lines.count == 5)
        #expect(lines[0] == "error: the line is longer than 1 MiB and was left out")
        #expect(lines[1] == "2 : integer" && lines[2].contains("time budget"))
        #expect(lines[3] == "2 : integer" && lines[4] == lines[0])
    }
}
