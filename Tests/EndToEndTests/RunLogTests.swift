import Foundation
import Records
import TestKit
import Testing

/// What an operator reads of a run, and how a run ends.
@Suite(.timeLimit(.minutes(30))) struct RunLogTests {
    private func folder(
        _ extra: String = "", rule: String = "function process(r) return r end",
        source: String = "{file: {path: in.jsonl}}"
    ) -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: \(source)
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out.jsonl}}]
            \(extra)
            """, to: "pipeline.yaml")
        folder.write(rule, to: "rules/shape.lua")
        folder.write("{\"a\":1}\n{\"a\":2}\n", to: "in.jsonl")
        return folder
    }

    private func words(_ text: String) -> [String] {
        text.split(separator: "\n").map { line in
            String(
                line.split(separator: " ").dropFirst().joined(separator: " ").prefix { $0 != ":" })
        }
    }

    @Test(arguments: [1, 3])
    func `a run tells when it has started, is ready, stops and has stopped`(workers: Int) throws {
        let folder = folder()
        let run = try Tool.run("run", folder.path, "--once", "--workers", "\(workers)")
        #expect(run.status == 0 && run.output == "")
        #expect(
            words(run.errors) == ["info started", "info ready", "info stopping", "info stopped"])
        #expect(run.errors.contains("folder \(folder.path), rules "))
        #expect(run.errors.contains("source source, sink shape, data \(folder("data")), "))
        #expect(run.errors.contains("read 2, delivered shape 2, dropped 0, dead letters 0"))
        let other = self.folder()
        let quiet = try Tool.run(
            "run", other.path, "--once", "--log-level", "warning", "--workers", "\(workers)"
        )
        #expect(quiet.status == 0 && quiet.errors == "")
    }

    @Test func `programs read the same as objects`() throws {
        let folder = folder(rule: "function process(r) log('saw', r.a) return r end")
        let run = try Tool.run("run", folder.path, "--once", "--log-format", "json")
        let lines = try run.errors.split(separator: "\n").map { try Record(json: String($0)) }
        #expect(
            lines.map { $0["event"]?.text ?? $0["message"]?.text ?? "" }
                == ["started", "ready", "shape: saw 1", "shape: saw 2", "stopping", "stopped"])
        #expect(lines.allSatisfy { $0["time"] != nil && $0["level"] == "info" })
        #expect(lines.last?["read"] == 2 && lines.last?["delivered"]?.text == "{\"shape\":2}")
        #expect(try Tool.run("run", folder.path, "--log-level", "loud").status == 2)
    }

    @Test func `a run that fails leaves a summary with its error`() throws {
        let folder = folder(source: "{file: {path: [in.jsonl, missing.jsonl]}}")
        let run = try Tool.run("run", folder.path, "--once", "--summary", folder("s.json"))
        #expect(run.status != 0)
        let summary = try Record(json: folder.text("s.json"))
        let error = try #require(summary["error"]?.text)
        #expect(run.errors.contains(error))
    }

    @Test func `what cannot begin leaves one as well`() throws {
        let folder = folder("sourc: 1")
        let run = try Tool.run("run", folder.path, "--once", "--summary", folder("s.json"))
        #expect(run.status == 2)
        let summary = try Record(json: folder.text("s.json"))
        #expect(summary["error"]?.text.contains("unknown key \"sourc\"") == true)
        #expect(summary["read"] == 0)
    }

    // MARK: Signals

    @Test func `two signals at once are one`() throws {
        let running = try RunningPipeline()
        try running.pass(3)
        kill(running.process.processIdentifier, SIGTERM)
        kill(running.process.processIdentifier, SIGTERM)
        kill(running.process.processIdentifier, SIGINT)
        running.process.waitUntilExit()
        #expect(running.process.terminationStatus == 0)
        #expect(running.folder.text("s.json").contains("\"read\":3"))
        #expect(running.errors.contains(" info    stopping: SIG"))
        #expect(running.errors.contains(" info    stopped: read 3"))
    }

    @Test func `a later one ends a run that does not end`() throws {
        // A rule that takes long keeps the run from ending in order.
        let running = try RunningPipeline(
            "reload: {watch: false}",
            files: [
                "rules/shape.lua":
                    "function process(r) log('at', r.i) while r.i > 0 do end return r end",
                "pipeline.yaml": """
                source: {file: {path: in.jsonl, follow: true}}
                stages: [{name: shape, transform: rules/shape.lua, budget: 60s}]
                sinks: [{from: shape, file: {path: out.jsonl}}]
                """,
            ])
        try running.add(2, from: 0)
        #expect(running.wait { running.errors.contains("shape: at 1") })
        let process = running.process.processIdentifier
        kill(process, SIGTERM)
        #expect(running.wait { running.errors.contains("stopping: SIGTERM") })
        // Any number of them within two seconds says nothing new.
        let stopped = Date()
        kill(process, SIGTERM)
        #expect(
            running.wait {
                if Date() > stopped + 2.1 { kill(process, SIGTERM) }
                return !running.process.isRunning
            })
        #expect(Date() > stopped + 2)
        #expect(running.process.terminationStatus == 130)
        #expect(running.errors.contains(" warning killed by another signal"))
    }

    // MARK: A reload and pipeline.yaml

    @Test func `a reload says which keys of pipeline.yaml need a restart`() throws {
        let running = try RunningPipeline()
        try running.pass(2)
        let text = running.folder.text("pipeline.yaml")
        // What means the same is no change.
        running.folder.write("# a comment\n" + text + "\n", to: "pipeline.yaml")
        #expect(try running.tool("reload").output.contains("\"result\":\"unchanged\""))
        let cases = [
            ("commit: {every: 50ms}", "needs a restart: commit (commit.every)"),
            ("name: other\npartitions: 3", "needs a restart: name, partitions"),
            ("queues: {jobs: {}}", "needs a restart: queues (queues.jobs)"),
        ]
        for (addition, words) in cases {
            running.folder.write(text + "\n" + addition, to: "pipeline.yaml")
            let reload = try running.tool("reload")
            #expect(reload.status == 1 && reload.output == "")
            #expect(reload.errors.contains(words), "\(reload.errors)")
        }
        running.folder.write(text.replacing("16MiB", with: "17MiB"), to: "pipeline.yaml")
        #expect(
            try running.tool("reload").errors.contains(
                "needs a restart: limits (limits.script_memory)"))
        running.folder.write(text + "\nsourc: 1", to: "pipeline.yaml")
        let wrong = try running.tool("reload")
        #expect(wrong.status == 1 && wrong.errors.contains("unknown key \"sourc\""))
        #expect(wrong.errors.contains("pipeline.yaml:"))
        // Rules can be replaced all the same by who insists, and once the file is as it was.
        running.folder.write(
            "function process(r) r.x = 2 return r end", to: "rules/shape.lua")
        #expect(try running.tool("reload", "--force").status == 0)
        running.folder.write(text, to: "pipeline.yaml")
        #expect(try running.tool("reload").output.contains("\"result\":\"unchanged\""))
        _ = try running.stop()
    }

    @Test func `who watches is told of pipeline.yaml, too`() throws {
        let running = try RunningPipeline("reload: {watch: true}")
        try running.pass(2)
        let text = running.folder.text("pipeline.yaml")
        running.folder.write(text + "\nname: other", to: "pipeline.yaml")
        #expect(running.wait { running.errors.contains("needs a restart: name") })
        _ = try running.stop()
    }

    // MARK: A terminal

    @Test func `progress is shown on a terminal, below what is said`() throws {
        let folder = folder(
            "reload: {watch: false}", rule: "function process(r) log('saw', r.a) return r end",
            source: "{file: {path: in.jsonl, follow: true}}")
        let terminal = try #require(
            PseudoTerminal(
                Tool.binary, ["run", folder.path],
                environment: ProcessInfo.processInfo.environment))
        #expect(terminal.wait(for: "started: "))
        #expect(terminal.wait(for: "read 2  delivered 2  dead 0"))
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("in.jsonl")))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("{\"a\":3}\n".utf8))
        // The line is wiped before the next one is written, and comes back below it.
        #expect(terminal.wait(for: "\r\u{1B}[K20"))
        #expect(terminal.wait(for: "shape: saw 3"))
        #expect(terminal.wait(for: "read 3  delivered 3  dead 0"))
        terminal.type("\u{3}")
        #expect(terminal.wait(for: "stopping: SIGINT"))
        #expect(terminal.waitForEnd() == 0)
        #expect(terminal.text.contains("stopped: read 3, delivered shape 3"))
    }
}
