import Foundation
import Records
import TestKit
import Testing

/// What is wrong with a command to queues or with their store: one clear error each.
@Suite struct QueueErrorTests {
    private let folder = TemporaryFolder()

    init() {
        folder.write(
            "queues: {jobs: {max_size: 1, max_message_size: 1KiB, max_lease: 1m, lease: 30s}}\n",
            to: "pipeline.yaml")
    }

    private func tool(_ arguments: [String], input: String = "") throws -> RunProcess.Finished {
        try RunProcess.run(
            Tool.binary, ["queue"] + arguments, folder: folder.path, input: Array(input.utf8))
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var status: Int32
        var words: String
        var testDescription: String { arguments.joined(separator: " ") }
    }

    static let cases = [
        Case(arguments: ["stats", "job"], status: 2, words: "there is no queue \"job\""),
        Case(arguments: ["publish", "job", "1"], status: 2, words: "there is no queue \"job\""),
        Case(arguments: ["redrive", "jobs.dad"], status: 2, words: "no queue \"jobs.dad\""),
        Case(
            arguments: ["redrive", "jobs.dead", "--to", "jobs.dead"], status: 2,
            words: "cannot be redriven onto itself"),
        Case(arguments: ["ack", "jobs", "1-1-abc"], status: 1, words: "is stale"),
        Case(arguments: ["ack", "jobs", "made up"], status: 1, words: "is no receipt"),
        Case(arguments: ["extend", "jobs", "1-1-abc"], status: 1, words: "is stale"),
        Case(
            arguments: ["receive", "jobs", "--lease", "2m"], status: 2,
            words: "a lease of 120000 ms is not between 1 ms and the queue's max_lease of 60000"),
        Case(
            arguments: ["publish", "jobs", String(repeating: "x", count: 1025)], status: 1,
            words: "max_message_size is 1024 bytes"),
        Case(arguments: ["publish", "jobs", "{}", "--priority", "10"], status: 2, words: "0 to 9"),
        Case(
            arguments: ["publish", "jobs", "{}", "--delivery", "twice"], status: 2,
            words: "at_most_once"),
        Case(arguments: ["peek", "jobs", "--state", "redy"], status: 2, words: "\"ready\""),
        Case(arguments: ["cancel", "jobs", "nobody"], status: 1, words: "no message nobody"),
    ]

    @Test(arguments: cases)
    func `a wrong command is told once and changes nothing`(given: Case) throws {
        let finished = try tool(given.arguments)
        #expect(finished.status == given.status)
        #expect(finished.output.isEmpty)
        #expect(finished.errorText.contains(given.words), "\(finished.errorText)")
        #expect(finished.errorText.split(separator: "\n").count <= 4)
        #expect(try tool(["stats", "jobs"]).outputText.contains("\"size\":0"))
    }

    @Test func `a full queue refuses on the command line, it never blocks`() throws {
        #expect(try tool(["publish", "jobs", "1"]).status == 0)
        let refused = try tool(["publish", "jobs", "2"])
        #expect(refused.status == 1 && refused.errorText.contains("is full"))
        #expect(refused.output.isEmpty)
    }

    @Test func `a store of a later format is left alone`() throws {
        _ = try tool(["stats"])
        let format = try String(contentsOfFile: folder("data/FORMAT"), encoding: .utf8)
        folder.write(format.replacing("format 1", with: "format 2"), to: "data/FORMAT")
        let refused = try tool(["stats"])
        #expect(refused.status == 1 && refused.output.isEmpty)
        #expect(refused.errorText.contains("format 2"), "\(refused.errorText)")
    }

    @Test func `a file that may not grow is the system's word, and nothing is acknowledged`()
        throws
    {
        folder.write("store: {segment: 1MiB}\nqueues: {jobs: {}}\n", to: "pipeline.yaml")
        let lines = (0..<4000).map {
            "{\"n\":\($0),\"x\":\"\(String(repeating: "x", count: 500))\"}"
        }
        let finished = try RunProcess.run(
            "/bin/sh", ["-c", "ulimit -f 300; exec \"$0\" queue publish jobs -", Tool.binary],
            folder: folder.path, input: Array((lines.joined(separator: "\n") + "\n").utf8))
        #expect(finished.status == 1)
        #expect(finished.errorText.lowercased().contains("file too large"), "\(finished.errorText)")
        let acknowledged = finished.outputText.split(separator: "\n").count
        let kept = try tool(["stats", "jobs"])
        let size = try Record(json: kept.outputText)["size"]
        guard case .integer(let count)? = size else {
            Issue.record("no size in \(kept.outputText)")
            return
        }
        #expect(count >= acknowledged)
    }

    @Test func `a place where nothing can be written is named`() throws {
        let refused = try tool(["publish", "jobs", "1", "--data", "/proc/tidewheel"])
        #expect(refused.status == 1 && refused.output.isEmpty)
        #expect(refused.errorText.contains("/proc/tidewheel"), "\(refused.errorText)")
        folder.write("", to: "file")
        let other = try tool(["publish", "jobs", "1", "--data", "file"])
        #expect(other.status == 1 && other.errorText.contains("file"), "\(other.errorText)")
    }

    @Test func `durability has its honest name in answers, and the log its marks`() throws {
        folder.write(
            "queues: {jobs: {}, soon: {durability: {disk-within: 50ms}}, fast: {durability: "
                + "os-cache}}\n", to: "pipeline.yaml")
        for (queue, name) in [
            ("jobs", "disk"), ("soon", "disk-within: 50ms"), ("fast", "os-cache"),
        ] {
            let sent = try Record(json: try tool(["publish", queue, "1"]).outputText)
            #expect(sent["durability"] == .string(name))
            let message = try Record(json: try tool(["receive", queue]).outputText)
            let receipt = try #require(message["receipt"]?.text)
            let done = try Record(json: try tool(["ack", queue, receipt]).outputText)
            #expect(done["durability"] == .string(name))
            let stats = try Record(json: try tool(["stats", queue]).outputText)
            #expect(stats["durability"] == .string(name))
            guard case .integer(let appended)? = stats["appended"],
                case .integer(let durable)? = stats["durable"]
            else {
                Issue.record("no marks in \(stats)")
                continue
            }
            #expect(durable > 0 && appended >= durable)
        }
    }
}
