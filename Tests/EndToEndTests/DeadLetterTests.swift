import Foundation
import Records
import TestKit
import Testing

/// Dead letters and queues of a pipeline, from the command line.
@Suite struct DeadLetterTests {
    private static func folder() -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write(
            """
            function process(r, meta)
              r.total = state:incr("total", r.v)
              r.id = meta.id
            end
            """,
            to: "rules/shape.lua")
        folder.write(
            "{\"v\":1}\n{\"v\":\"two\"}\n{\"v\":null}\n{\"v\":4}\n{bad\n", to: "in.jsonl")
        return folder
    }

    private static func run(_ folder: TemporaryFolder, _ arguments: String...) throws
        -> Tool.Outcome
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let problems = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Tool.Outcome(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: problems, as: UTF8.self))
    }

    @Test func `what failed is listed, tried, run again once, and gone`() throws {
        let folder = Self.folder()
        #expect(try Self.run(folder, "run", ".", "--once").status == 0)
        let listed = try Self.run(folder, "dlq", "ls").output.split(separator: "\n")
        #expect(listed.count == 3)
        let shown = try Self.run(folder, "dlq", "show", "in.jsonl:8")
        let letter = try Record(json: shown.output.trimmingCharacters(in: .newlines))
        #expect(letter["original"]?.text == "{\"v\":\"two\"}" && letter["line"] == 2)
        #expect(shown.output.contains("trace") && shown.output.contains("r.v=\\\"two\\\""))
        let before = folder.text("out.jsonl")
        let dry = try Self.run(folder, "dlq", "replay", "--dry-run")
        #expect(dry.output.contains("\"delivered\":0,\"dropped\":0,\"dead\":3,\"dry_run\":true"))
        folder.write(
            """
            function process(r, meta)
              if r.v == null then return drop("nothing") end
              r.total = state:incr("total", tonumber(r.v) or 2)
              r.id = meta.id
            end
            """, to: "rules/shape.lua")
        let better = try Self.run(folder, "dlq", "replay", "--dry-run")
        #expect(better.output.contains("\"delivered\":1,\"dropped\":1,\"dead\":1,\"dry_run\":true"))
        #expect(folder.text("out.jsonl") == before)
        #expect(try Self.run(folder, "dlq", "ls").output.split(separator: "\n") == listed)
        let replay = try Self.run(folder, "dlq", "replay")
        #expect(replay.status == 0, "\(replay.errors)")
        #expect(replay.output.contains("\"total\":3,\"delivered\":1,\"dropped\":1,\"dead\":1"))
        // The state went on where it was, and the record has kept its id.
        #expect(
            folder.text("out.jsonl")
                == before + "{\"v\":\"two\",\"total\":7,\"id\":\"in.jsonl:8\"}\n")
        let left = try Self.run(folder, "dlq", "ls").output
        #expect(left.split(separator: "\n").count == 1 && left.contains("malformed"))
        #expect(try Self.run(folder, "dlq", "replay").output.contains("\"dead\":1"))
        #expect(folder.text("out.jsonl").split(separator: "\n").count == 3)
        let versions = try Self.run(folder, "versions").output.split(separator: "\n")
        #expect(versions.count == 2 && versions[1].contains("active"))
        #expect(try Self.run(folder, "dlq", "purge").output == "{\"purged\":1}\n")
        #expect(try Self.run(folder, "dlq", "ls").output == "")
        let missing = try Self.run(folder, "dlq", "show", "in.jsonl:8")
        #expect(missing.status == 1 && missing.errors.contains("there is no dead letter"))
    }

    @Test func `rows of CSV are run again as the records that they were`() throws {
        let folder = Self.folder()
        folder.write(
            """
            source: {file: {path: in.csv}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write("v,name\n1,a\nx,\"b, c\"\n", to: "in.csv")
        folder.write(
            "function process(r) if r.v == \"x\" then error(\"no\") end end", to: "rules/shape.lua")
        #expect(try Self.run(folder, "run", ".", "--once").status == 0)
        folder.write("function process(r) r.again = true end", to: "rules/shape.lua")
        #expect(try Self.run(folder, "dlq", "replay").output.contains("\"delivered\":1"))
        #expect(
            folder.text("out.jsonl").hasSuffix(
                "{\"v\":\"x\",\"name\":\"b, c\",\"again\":true}\n"))
    }

    @Test func `messages of a queue are records, and rows are messages`() throws {
        let folder = Self.folder()
        folder.write(
            """
            source: {queue: jobs}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks:
              - {from: shape, file: {path: out.jsonl}}
              - {from: shape.copy, queue: copies}
            queues: {jobs: {max_attempts: 3}, copies: {}}
            """, to: "pipeline.yaml")
        folder.write(
            """
            function process(r, meta)
              if r.bad then error("bad") end
              r.id = meta.id
              r.attempt = meta.attempt
              r.tenant = meta.headers.tenant
              emit({copy = r.v}, "copy")
            end
            """, to: "rules/shape.lua")
        for index in 0..<3 {
            let published = try Self.run(
                folder, "queue", "publish", "jobs", "{\"v\":\(index)}", "--id", "m\(index)",
                "--header", "tenant=t\(index)")
            let start = "{\"id\":\"m\(index)\",\"duplicate\":false,"
            #expect(published.output.hasPrefix(start))
        }
        #expect(try Self.run(folder, "queue", "publish", "jobs", "{\"bad\":true}").status == 0)
        let run = try Self.run(folder, "run", ".", "--once")
        #expect(run.status == 0, "\(run.errors)")
        let expected = (0..<3).map {
            "{\"v\":\($0),\"id\":\"m\($0)\",\"attempt\":1,\"tenant\":\"t\($0)\"}\n"
        }
        #expect(folder.text("out.jsonl") == expected.joined())
        let jobs = try Self.run(folder, "queue", "stats", "jobs").output
        #expect(jobs.contains("\"size\":0"))
        let copies = try Self.run(folder, "queue", "receive", "copies", "--max", "5").output
        #expect(copies.split(separator: "\n").count == 3 && copies.contains("{\"copy\":2}"))
        #expect(try Self.run(folder, "dlq", "ls").output.contains("{\\\"bad\\\":true}"))
        let second = try Self.run(folder, "run", ".", "--once")
        #expect(second.status == 0 && folder.text("out.jsonl") == expected.joined())
    }

    @Test func `handlers settle messages, and what they emit goes along`() throws {
        let folder = Self.folder()
        folder.write(
            """
            source: {file: {path: in.jsonl, follow: true}}
            sinks: [{from: source, 'null': {}}]
            queues: {work: {max_attempts: 2, retry: {base: 50ms}}, done: {}}
            handlers: [{queue: work, script: rules/work.lua, concurrency: 2, timeout: 1s}]
            """, to: "pipeline.yaml")
        folder.write(
            """
            function process(r, meta)
              if r.fail then error("cannot, attempt " .. meta.attempt) end
              emit({worked = r.v}, "done")
            end
            """, to: "rules/work.lua")
        for payload in ["{\"v\":1}", "{\"v\":2,\"fail\":true}", "{\"v\":3}"] {
            #expect(try Self.run(folder, "queue", "publish", "work", payload).status == 0)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path]
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        var dead = ""
        let deadline = Date() + 20
        while dead.isEmpty, Date() < deadline {
            dead = try Self.run(folder, "queue", "peek", "work.dead").output
        }
        #expect(dead.contains("cannot, attempt 1") && dead.contains("cannot, attempt 2"))
        #expect(dead.contains("\"reason\":\"max_attempts\"") && dead.contains("rules/work.lua:2"))
        // The other messages may be under way still.
        var done = ""
        while done.split(separator: "\n").count < 2, Date() < deadline {
            done = try Self.run(folder, "queue", "peek", "done", "--max", "9").output
        }
        #expect(done.contains("{\"worked\":1}") && done.contains("{\"worked\":3}"))
        #expect(try Self.run(folder, "queue", "stats", "work").output.contains("\"size\":0"))
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }
}
