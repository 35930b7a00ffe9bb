import Foundation
import Records
import TestKit
import Testing

/// A pipeline at work in a folder of its own.
final class RunningPipeline {
    let folder = TemporaryFolder()
    let process = Process()

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

    /// Adds records, and waits until their rows are there, too.
    func pass(_ count: Int) throws {
        let start = rows.count
        try add(count, from: start)
        #expect(wait { rows.count == start + count })
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
