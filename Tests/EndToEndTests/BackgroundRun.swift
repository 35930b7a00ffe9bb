import Foundation
import TestKit

/// `tidewheel run` in the background, whose outputs a test waits for. Input is appended to
/// `in.jsonl`.
final class BackgroundRun {
    let folder: TemporaryFolder
    private let process = Process()

    init(_ folder: TemporaryFolder, _ arguments: String...) throws {
        self.folder = folder
        folder.write("", to: "errors")
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path] + arguments
        process.standardError = FileHandle(forWritingAtPath: folder("errors"))
        try process.run()
    }

    var errors: String { folder.text("errors") }
    var isRunning: Bool { process.isRunning }

    /// Waits for an event; fails when it does not come, or the run is over.
    func wait(_ event: String, seconds: Double = 20, _ condition: () throws -> Bool) throws {
        let deadline = Date() + seconds
        while try !condition() {
            guard Date() < deadline, process.isRunning else {
                throw FollowedRun.Missing(description: "\(event) did not come; \(errors)")
            }
            RunLoop.current.run(until: Date() + 0.005)
        }
    }

    /// Appends numbered records to the input.
    func append(_ numbers: ClosedRange<Int>) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("in.jsonl")))
        try handle.seekToEnd()
        let lines = numbers.map { "{\"n\":\($0)}\n" }.joined()
        try handle.write(contentsOf: Data(lines.utf8))
        try handle.close()
    }

    func signal(_ number: Int32) { Foundation.kill(process.processIdentifier, number) }

    func kill() {
        signal(SIGKILL)
        process.waitUntilExit()
    }

    /// Ends it with SIGTERM; its exit status.
    func stop() -> Int32 {
        process.terminate()
        return waitForEnd()
    }

    func waitForEnd() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    deinit { if process.isRunning { kill() } }
}

extension TemporaryFolder {
    /// The numbers in the rows of every file of a folder, those that are packed included, whose
    /// names begin as given; sorted.
    func numbers(in place: String, _ prefix: String) throws -> [Int] {
        let script = """
            cd "$0" && for f in "$1"*; do
            case "$f" in *.gz*|*.zst*) gzip -dcf <"$f" | gzip -dcf | zstd -qdcf ;; *) cat "$f" ;;
            esac; done
            """
        let read = try Tool.run(
            arguments: ["-c", script, self(place), prefix], executable: "/bin/sh")
        return try read.output.split(separator: "\n").map { line in
            let digits = line.filter(\.isNumber)
            guard let number = Int(digits), line == "{\"n\":\(number)}" || line == digits else {
                throw FollowedRun.Missing(description: "no row: \(line.prefix(80))")
            }
            return number
        }.sorted()
    }

    func inode(_ name: String) -> UInt64? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: self(name))
        return attributes?[.systemFileNumber] as? UInt64
    }

    /// A pipeline that writes `in.jsonl` to a file.
    func writePipeline(
        path: String, options: String = "", follow: Bool = false, more: String = ""
    ) {
        write(
            """
            source: {file: {path: in.jsonl, follow: \(follow)}}
            sinks: [{from: source, file: {path: "\(path)"\(options)}}]
            commit: {every: 20ms}
            \(more)
            """, to: "pipeline.yaml")
    }
}

/// A number with zeros before it.
func padded(_ number: Int, _ digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
