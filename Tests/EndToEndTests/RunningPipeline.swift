import Foundation
import Records
import TestKit
import Testing

/// A pipeline at work in a folder of its own.
final class RunningPipeline {
    let folder = TemporaryFolder()
    let process = Process()
    private var malformed = 0

    init(
        _ extra: String = "reload: {watch: false}", workers: Int = 1,
        stages: [String] = ["shape"], files: [String: String] = [:]
    ) throws {
        let list = stages.map { "{name: \($0), transform: rules/\($0).lua, budget: 50ms}" }
        folder.write(
            """
            source: {file: {path: in.jsonl, follow: true}}
            key: user
            stages: [\(list.joined(separator: ", "))]
            sinks: [{from: \(stages.last ?? ""), file: {path: out.jsonl}}]
            limits: {script_memory: 16MiB}
            \(extra)
            """, to: "pipeline.yaml")
        folder.write(ReloadTests.good, to: "rules/shape.lua")
        folder.write("", to: "in.jsonl")
        for (name, text) in files { folder.write(text, to: name) }
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = [
            "run", folder.path, "--workers", "\(workers)", "--summary", folder("s.json"),
        ]
        folder.write("", to: "errors")
        process.standardError = FileHandle(forWritingAtPath: folder("errors"))
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

    /// What it has said so far.
    var errors: String { folder.text("errors") }

    func add(_ count: Int, from start: Int) throws {
        let lines = (start..<(start + count)).map { "{\"i\":\($0),\"user\":\"u\($0 % 7)\"}\n" }
        try append(lines.joined())
    }

    private func append(_ text: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("in.jsonl")))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }

    var rows: [Record] {
        folder.text("out.jsonl").split(separator: "\n").compactMap {
            try? Record(json: Array($0.utf8))
        }
    }

    /// Adds records, and waits until their rows are there, too.
    func pass(_ count: Int) throws {
        let start = rows.count
        try add(count, from: start)
        #expect(wait { rows.count == start + count })
    }

    /// Waits until all that was added is committed, which rows are not yet when they can be seen:
    /// adds a line that is no record, and waits until it is listed as a dead letter, because that
    /// is in the same commit or a later one.
    func commit() throws {
        malformed += 1
        try append("{\n")
        #expect(wait { (try? letters().count { $0["kind"] == "malformed" }) == malformed })
    }

    /// The rows of `dlq ls`: the dead letters that are committed.
    func letters() throws -> [Record] {
        try tool("dlq", "ls").output.split(separator: "\n").map {
            try Record(json: Array($0.utf8))
        }
    }

    /// The rows of `versions`.
    func versions() throws -> [Record] {
        try tool("versions").output.split(separator: "\n").map { try Record(json: Array($0.utf8)) }
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
