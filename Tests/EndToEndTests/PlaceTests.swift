import Foundation
import Records
import TestKit
import Testing

/// Every verb takes the folder and the store in the same way, wherever it is asked from; and what a
/// store leaves on the disk.
@Suite(.timeLimit(.minutes(30))) struct PlaceTests {
    private let folder = TemporaryFolder()

    private func ran() throws {
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out.jsonl}}]
            queues: {jobs: {}}
            """, to: "pipeline.yaml")
        folder.write("function process(r) error('bad ' .. r.a) end", to: "rules/shape.lua")
        folder.write("{\"a\":1}\n{\"a\":2}\n", to: "in.jsonl")
        let run = try Tool.run("run", "--folder", folder.path, "--once")
        #expect(run.status == 0, "\(run.errors)")
    }

    @Test func `a folder is named by an argument, --folder, or the store in it`() throws {
        try ran()
        let verbs = [
            ["dlq", "ls"], ["queue", "ls"], ["versions"], ["store", "ls"], ["store", "verify"],
            ["store", "catalogue"],
        ]
        let data = folder("data")
        for verb in verbs {
            let answers = try [
                verb + [folder.path], verb + ["--folder", folder.path], verb + ["--data", data],
                verb + [folder.path, "--data", data],
            ].map { try Tool.run(arguments: $0) }
            for answer in answers {
                #expect(answer.status == 0, "\(verb): \(answer.errors)")
                #expect(answer.output.hasPrefix("{"), "\(verb)")
                #expect(
                    answer.output.split(separator: "\n").count
                        == answers[0].output.split(separator: "\n").count)
            }
            let twice = try Tool.run(arguments: verb + [folder.path, "--folder", "/nowhere"])
            #expect(twice.status == 2 && twice.errors.contains("given twice"))
        }
        for verb in ["lint", "test", "types"] {
            let answer = try Tool.run(verb, "--folder", folder.path, "--data", data)
            #expect(answer.status == 0, "\(verb): \(answer.errors)")
        }
        let letter = try Tool.run("dlq", "ls", folder.path).output
        let id = try #require(
            letter.split(separator: "\n").first.flatMap { try? Record(json: String($0)) }?["id"])
        for verb in [
            ["explain", id.text], ["dlq", "show", id.text], ["dlq", "replay", "--dry-run"],
        ] {
            for place in [["--folder", folder.path], ["--data", data]] {
                let answer = try Tool.run(arguments: verb + place)
                #expect(answer.status == 0, "\(verb): \(answer.errors)")
            }
        }
    }

    @Test func `dead letters can be listed where there is no pipeline`() throws {
        try ran()
        let away = TemporaryFolder()
        try FileManager.default.copyItem(atPath: folder("data"), toPath: away("store"))
        let letters = try Tool.run("dlq", "ls", "--data", away("store"))
        #expect(letters.status == 0, "\(letters.errors)")
        #expect(letters.output == (try Tool.run("dlq", "ls", folder.path).output))
        let missing = try Tool.run("dlq", "show", "x", "--data", away("store"))
        #expect(missing.status == 1 && missing.errors.contains("no dead letter \"x\""))
        let nothing = try Tool.run("dlq", "ls", "--data", away("nothing"))
        #expect(nothing.status == 2 && nothing.errors.contains("there is no store in"))
    }

    @Test func `lists are tables on a terminal, and lines in a pipe`() throws {
        try ran()
        let terminal = try #require(
            PseudoTerminal(
                Tool.binary, ["dlq", "ls", folder.path],
                environment: ProcessInfo.processInfo.environment))
        #expect(terminal.waitForEnd() == 0)
        #expect(terminal.text.hasPrefix("stage"), "\(terminal.text)")
        let table = try Tool.run("dlq", "ls", folder.path, "--format", "text")
        #expect(table.output.hasPrefix("stage"))
        #expect(try Tool.run("dlq", "ls", folder.path).output.hasPrefix("{\"stage\""))
    }

    @Test func `a process that has the store and does not answer is not taken for none`() throws {
        try ran()
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        holder.arguments = [
            "python3", "-c",
            """
            import fcntl, sys
            lock = open(sys.argv[1])
            fcntl.flock(lock, fcntl.LOCK_EX)
            print("held", flush=True)
            sys.stdin.readline()
            """, folder("data/LOCK"),
        ]
        let (input, output) = (Pipe(), Pipe())
        holder.standardInput = input
        holder.standardOutput = output
        try holder.run()
        #expect(!output.fileHandleForReading.availableData.isEmpty)
        let busy = try Tool.run("top", folder.path)
        #expect(busy.status == 1 && busy.errors.contains("serves no verbs"), "\(busy.errors)")
        #expect(busy.errors.contains("the process \(holder.processIdentifier) "))
        try input.fileHandleForWriting.close()
        holder.waitUntilExit()
        let nobody = try Tool.run("top", folder.path)
        #expect(nobody.errors.contains("no pipeline runs on the store"))
    }

    // MARK: On the disk

    private func modes(_ path: String) throws -> [String: Int] {
        var modes: [String: Int] = [:]
        let manager = FileManager.default
        let names = try #require(manager.enumerator(atPath: path)).compactMap { $0 as? String }
        for name in names + [""] {
            let attributes = try manager.attributesOfItem(atPath: path + "/" + name)
            modes[name] = attributes[.posixPermissions] as? Int
        }
        return modes
    }

    @Test func `what is in a store is its owner's`() throws {
        let running = try RunningPipeline(
            "reload: {watch: false}\nqueues: {jobs: {}}\nstore: {catalogue: 50ms}")
        try running.pass(20)
        #expect(
            running.wait {
                FileManager.default.fileExists(atPath: running.folder("data/catalogue.sqlite"))
            })
        func check() throws {
            let modes = try modes(running.folder("data"))
            for (name, mode) in modes {
                let isFolder = ["", "journal", "snapshots", "quarantine"].contains(name)
                #expect(mode == (isFolder ? 0o700 : 0o600), "\(name) \(String(mode, radix: 8))")
            }
            #expect(modes.count > 5)
        }
        try check()
        _ = try running.stop()
        // One that was made with more permissions loses them.
        let data = running.folder("data")
        for (name, mode) in try modes(data) {
            try FileManager.default.setAttributes(
                [.posixPermissions: mode == 0o700 ? 0o755 : 0o644], ofItemAtPath: data + "/" + name)
        }
        #expect(
            try Tool.run("queue", "publish", "jobs", "{}", "--folder", running.folder.path).status
                == 0)
        for (name, mode) in try modes(data) {
            #expect(mode & 0o077 == 0, "\(name) \(String(mode, radix: 8))")
        }
    }

    @Test(arguments: [true, false])
    func `the catalogue is there after the shortest run`(isEmpty: Bool) throws {
        if isEmpty {
            // As `sqlite3` leaves it when somebody has looked too early.
            folder.write("", to: "data/catalogue.sqlite")
        }
        try ran()
        let look = Process()
        look.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        look.arguments = [
            "python3", "-c",
            """
            import sqlite3, sys
            base = sqlite3.connect(sys.argv[1])
            letters = "SELECT count(*), min(error LIKE '%bad%') FROM dead_letters"
            print(base.execute(letters).fetchone(),
                  base.execute("SELECT count(*), count(ended_at), sum(read) FROM runs").fetchone())
            """, folder("data/catalogue.sqlite"),
        ]
        let output = Pipe()
        look.standardOutput = output
        try look.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        look.waitUntilExit()
        #expect(text == "(2, 1) (1, 1, 2)\n")
    }
}
