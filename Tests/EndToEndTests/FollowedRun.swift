import Foundation
import Records
import TestKit

/// A pipeline at work on a file `in.jsonl` that grows, in a folder that the test has filled.
final class FollowedRun {
    let folder: TemporaryFolder
    private let process = Process()
    private var marks = 0

    /// Starts it with an empty input, unless it `keepsInput`, and with no store, unless it
    /// `continues` where an earlier one has stopped; returns when it reads.
    init(
        _ folder: TemporaryFolder, workers: Int, keepsInput: Bool = false, continues: Bool = false,
        _ arguments: String...
    ) throws {
        self.folder = folder
        if !continues {
            for name in ["out", "data"] {
                try? FileManager.default.removeItem(atPath: folder(name))
            }
        }
        if !keepsInput { folder.write("", to: "in.jsonl") }
        try? FileManager.default.removeItem(atPath: folder("data/control.sock"))
        folder.write("", to: "errors")
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments =
            [
                "run", folder.path, "--workers", "\(workers)", "--summary", folder("summary.json"),
            ] + arguments
        process.standardError = FileHandle(forWritingAtPath: folder("errors"))
        try process.run()
        try wait("the control socket") {
            FileManager.default.fileExists(atPath: folder("data/control.sock"))
        }
    }

    /// What did not happen in time.
    struct Missing: Error, CustomStringConvertible {
        var description: String
    }

    /// Waits for an event; fails when it does not come, or the run is over.
    func wait(_ event: String, _ condition: () throws -> Bool) throws {
        let deadline = Date() + 20
        while try !condition() {
            guard Date() < deadline, process.isRunning else {
                throw Missing(description: "\(event) did not come; \(folder.text("errors"))")
            }
            RunLoop.current.run(until: Date() + 0.005)
        }
    }

    /// Appends lines to the input.
    func append(_ lines: some Sequence<String>) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("in.jsonl")))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(lines.map { $0 + "\n" }.joined().utf8))
        try handle.close()
    }

    /// Appends lines and waits until a row that contains `text` has come to a sink once more: the
    /// last line must become one, so that all before it have been read by then.
    func pass(
        _ lines: some Collection<String>, until text: String, in sink: String
    ) throws {
        marks += 1
        try append(lines)
        let expected = marks
        try wait("row \(expected) with \(text) in \(sink)") { count(text, in: sink) >= expected }
    }

    /// How many rows of a sink contain a text.
    func count(_ text: String, in sink: String) -> Int {
        rows(sink).count { $0.contains(text) }
    }

    /// The whole rows that a sink has now.
    func rows(_ sink: String) -> [Substring] {
        let text = folder.text("out/\(sink).jsonl")
        return text[..<(text.lastIndex(of: "\n") ?? text.startIndex)].split(separator: "\n")
    }

    /// Runs a verb on its store.
    func tool(_ arguments: String...) throws -> Tool.Outcome {
        try Tool.run(arguments: arguments + ["--data", folder("data")])
    }

    /// Ends it with SIGTERM; what it left behind.
    func stop() throws -> PipelineOutcome {
        process.terminate()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Missing(description: "a clean end did not come; \(folder.text("errors"))")
        }
        return try PipelineOutcome(folder)
    }

    /// Ends it with SIGKILL.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    deinit { if process.isRunning { kill() } }
}
