import Foundation

/// The built command, run as a user runs it.
struct Tool {
    /// What a run left behind.
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String

        /// The lines on stderr but for those that only tell how a run goes.
        var complaints: [Substring] {
            errors.split(separator: "\n").filter { line in
                let words = line.split(separator: " ").prefix(2)
                return words.count < 2 || words[0].count != 24 || words[1] != "info"
            }
        }
    }

    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The release binary that scripts/test has built, or the debug one beside the tests.
    static let binary =
        ProcessInfo.processInfo.environment["TIDEWHEEL_BINARY"] ?? root + "/.build/debug/tidewheel"

    static func run(
        _ arguments: String..., environment: [String: String] = [:], input: Data? = nil,
        executable: String = binary
    ) throws -> Outcome {
        try run(
            arguments: arguments, environment: environment, input: input, executable: executable)
    }

    static func run(
        arguments: [String], environment: [String: String] = [:], input: Data? = nil,
        executable: String = binary
    ) throws -> Outcome {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let output = Pipe()
        let errors = Pipe()
        let feed = Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = input == nil ? FileHandle.nullDevice : feed
        try process.run()
        if let input {
            feed.fileHandleForWriting.write(input)
            try feed.fileHandleForWriting.close()
        }
        // Errors are one screen, so they fit into the pipe while the output is read.
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let problems = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: problems, as: UTF8.self))
    }
}
