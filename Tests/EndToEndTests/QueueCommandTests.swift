import Foundation
import Records
import TestKit
import Testing

/// The queue and store verbs as separate processes.
@Suite struct QueueCommandTests {
    private let folder = TemporaryFolder()

    init() throws {
        try """
        store: {segment: 1MiB}
        queues:
          jobs: {max_size: 50, max_attempts: 2, retry: {base: 1ms, jitter: 0}, deduplicate: 10m}
        """.write(toFile: folder("pipeline.yaml"), atomically: true, encoding: .utf8)
    }

    private func tool(_ arguments: String..., input: String = "") throws -> RunProcess.Finished {
        try RunProcess.run(
            Tool.binary, arguments, folder: folder(""), input: Array(input.utf8))
    }

    private func records(_ finished: RunProcess.Finished) throws -> [Record] {
        try finished.outputText.split(separator: "\n").map { try Record(json: String($0)) }
    }

    @Test func `a message goes its way through separate processes`() throws {
        let payload = "{\"a\":  1.50, \"b\":[]}"
        let sent = try tool(
            "queue", "publish", "jobs", payload, "--id", "x", "--header", "k=v", "--priority", "7")
        #expect(sent.outputText == "{\"id\":\"x\",\"duplicate\":false,\"durability\":\"disk\"}\n")
        let again = try tool("queue", "publish", "jobs", "{}", "--id", "x")
        #expect(again.outputText.hasPrefix("{\"id\":\"x\",\"duplicate\":true,"))
        #expect(again.status == 0)
        let received = try tool("queue", "receive", "jobs")
        #expect(received.outputText.contains("\"payload\":\(payload),\"headers\":{\"k\":\"v\"}"))
        let receipt = try #require(try records(received).first?["receipt"]?.text)
        #expect(try tool("queue", "receive", "jobs").output.isEmpty)
        #expect(try tool("queue", "ack", "jobs", receipt).status == 0)
        let stale = try tool("queue", "ack", "jobs", receipt)
        #expect(stale.status == 1 && stale.errorText.contains("stale") && stale.output.isEmpty)
        let forged = try tool("queue", "nack", "jobs", "forged")
        #expect(forged.status == 1 && forged.errorText.contains("stale"))
        let unknown = try tool("queue", "stats", "job")
        #expect(unknown.status == 2 && unknown.errorText.contains("\"job\""))
    }

    @Test func `a message that fails is dead, and goes back`() throws {
        _ = try tool("queue", "publish", "jobs", "{}", "--id", "x")
        for error in ["one", "two"] {
            let received = try records(try tool("queue", "receive", "jobs", "--wait", "2s"))
            let receipt = try #require(received.first?["receipt"]?.text)
            _ = try tool("queue", "nack", "jobs", receipt, "--delay", "0s", "--error", error)
        }
        let dead = try #require(try records(try tool("queue", "peek", "jobs.dead")).first)
        #expect(dead["reason"] == .string("max_attempts"))
        #expect(dead["source_queue"] == .string("jobs"))
        guard case .array(let attempts)? = dead["attempts"] else {
            Issue.record("no attempts")
            return
        }
        #expect(attempts.count == 2)
        let dry = try tool("queue", "redrive", "jobs.dead", "--dry-run")
        #expect(dry.outputText.contains("\"redriven\":1"))
        #expect(try tool("queue", "redrive", "jobs.dead").outputText == "{\"redriven\":1}\n")
        let back = try #require(try records(try tool("queue", "receive", "jobs")).first)
        #expect(back["id"] == .string("x") && back["attempt"] == .integer(1))
        let itself = try tool("queue", "redrive", "jobs.dead", "--to", "jobs.dead")
        #expect(itself.status == 2 && itself.errorText.contains("itself"))
    }

    @Test func `a store that only queues fill has its snapshots, too`() throws {
        let running = try RunningPipeline(
            """
            checkpoint: {every: 200ms}
            queues: {jobs: {}}
            reload: {watch: false}
            """)
        let input = (0..<5000).map { "{\"n\":\($0)}" }.joined(separator: "\n")
        let sent = try RunProcess.run(
            Tool.binary,
            ["queue", "publish", "jobs", "-", "--batch", "500", "--data", running.folder("data")],
            folder: running.folder(""), input: Array(input.utf8))
        #expect(sent.status == 0)
        let snapshots = running.folder("data/snapshots")
        #expect(
            running.wait {
                let names = try? FileManager.default.contentsOfDirectory(atPath: snapshots)
                return names?.contains { $0.hasSuffix(".snap") } ?? false
            })
        kill(running.process.processIdentifier, SIGKILL)
        running.process.waitUntilExit()
        let stats = try RunProcess.run(
            Tool.binary, ["queue", "stats", "jobs", "--data", running.folder("data")],
            folder: running.folder(""))
        #expect(stats.outputText.contains("\"ready\":5000"), "\(stats.outputText)")
    }

    @Test func `lines are published in order, the ones that do not fit are refused`() throws {
        let lines = (1...52).map { "{\"n\":\($0)}" }.joined(separator: "\n")
        let sent = try tool("queue", "publish", "jobs", "-", "--batch", "10", input: lines)
        let answers = try records(sent)
        #expect(answers.map { $0["line"] } == (1...52).map { .integer($0) })
        #expect(answers.filter { $0["error"] == .string("queue full") }.count == 2)
        #expect(sent.status == 1)
        #expect(try tool("queue", "purge", "jobs").outputText == "{\"purged\":50}\n")
    }

    @Test func `what was answered before kill -9 is there`() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["queue", "publish", "jobs", "-"]
        process.currentDirectoryURL = URL(fileURLWithPath: folder(""))
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        input.fileHandleForWriting.write(Data("{\"n\":1}\n{\"n\":2}\n".utf8))
        var answer = Data()
        while answer.filter({ $0 == 0x0A }).count < 2 {
            answer += output.fileHandleForReading.availableData
        }
        // Another process is told who has the store.
        let refused = try tool("queue", "stats")
        #expect(refused.status == 1 && refused.errorText.contains("another process"))
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let found = try records(try tool("queue", "receive", "jobs", "--max", "9"))
        #expect(found.map { $0["payload"]?.text } == ["{\"n\":1}", "{\"n\":2}"])
    }

    @Test func `damage is named by every verb, repaired, backed up and restored`() throws {
        for number in 1...3 { _ = try tool("queue", "publish", "jobs", "{\"n\":\(number)}") }
        #expect(try tool("store", "backup", "copy").status == 0)
        #expect(try tool("store", "verify").status == 0)
        #expect(try tool("store", "export", "store.db").outputText.contains("\"messages\":3"))
        let path = folder("data/journal/00000001.seg")
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let place = try #require(bytes.range(of: Data("{\"n\":2}".utf8)))
        bytes[place.lowerBound] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        for verb in [["queue", "stats"], ["store", "verify"], ["queue", "publish", "jobs", "1"]] {
            let refused = try RunProcess.run(Tool.binary, verb, folder: folder(""))
            #expect(refused.status == 1 && refused.output.isEmpty)
            #expect(refused.errorText.contains("00000001.seg: damaged at byte"))
        }
        let proposal = try RunProcess.run(Tool.binary, ["store", "repair"], folder: folder(""))
        #expect(proposal.status == 1 && proposal.outputText.contains("\"would_repair\":1"))
        #expect(proposal.outputText.contains("\"lost\":\"transactions "))
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
        #expect(try tool("store", "repair", "--yes").outputText.contains("\"repaired\":1"))
        #expect(try tool("store", "repair").outputText.contains("\"repaired\":0"))
        #expect(try records(try tool("queue", "peek", "jobs")).count == 2)
        #expect(try tool("store", "restore", "copy", "--data", "again").status == 0)
        #expect(try records(try tool("queue", "peek", "jobs", "--data", "again")).count == 3)
        let torn = bytes.count - 100_000
        try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(atOffset: UInt64(torn))
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.seekToEnd()
        handle.write(Data("half a frame".utf8))
        try handle.close()
        let told = try tool("queue", "stats", "jobs")
        #expect(told.status == 0 && told.errorText.contains("truncated"))
        #expect(try tool("queue", "stats", "jobs").errors.isEmpty)
    }
}
