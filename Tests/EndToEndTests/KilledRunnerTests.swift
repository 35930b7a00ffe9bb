import Foundation
import Glibc
import Records
import TestKit
import Testing

/// What becomes of messages whose runner is killed from outside, as a deployment does it.
@Suite struct KilledRunnerTests {
    private let folder = TemporaryFolder()

    private func tool(_ arguments: String..., input: String = "") throws -> [Record] {
        let finished = try RunProcess.run(
            Tool.binary, arguments, folder: folder.path, input: Array(input.utf8))
        return try finished.outputText.split(separator: "\n").map { try Record(json: String($0)) }
    }

    /// Starts the pipeline, waits until it is at work, and kills it; how many messages it had.
    private func kill() throws -> Int {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path, "--data", folder("data")]
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer { process.waitUntilExit() }
        let deadline = Date() + 30
        while Date() < deadline {
            let leased = try tool("queue", "stats", "slow").first?["leased"]?.text ?? ""
            if let count = Int(leased), count > 0 {
                Glibc.kill(process.processIdentifier, SIGKILL)
                return count
            }
        }
        process.terminate()
        return 0
    }

    @Test func `a runner that is killed again and again makes no message poison`() throws {
        folder.write(
            """
            queues: {slow: {max_attempts: 1, max_deaths: 2}}
            handlers: [{queue: slow, script: rules/slow.lua, concurrency: 3, timeout: 60s}]
            """, to: "pipeline.yaml")
        folder.write("function process(r) while true do end end", to: "rules/slow.lua")
        let lines = (1...5).map { "{\"n\":\($0)}\n" }.joined()
        let begin = try tool("queue", "publish", "slow", "-", input: lines).count
        #expect(begin == 5)
        let since = try tool("queue", "stats", "slow").first?["since"]
        for _ in 1...5 { #expect(try kill() > 0) }
        let messages = try tool("queue", "peek", "slow", "--max", "10")
        #expect(messages.count == 5 && messages.allSatisfy { $0["attempt"] == .integer(0) })
        #expect(try tool("queue", "peek", "slow.dead").isEmpty)
        let stats = try #require(try tool("queue", "stats", "slow").first)
        #expect(stats["published"] == .integer(5) && stats["since"] == since)
        #expect(stats["dead"] == .integer(0) && stats["failed"] == .integer(0))
        #expect(Int(stats["delivered"]?.text ?? "") ?? 0 >= 5)
    }

    @Test func `the engine's own queues are only looked at`() throws {
        folder.write("queues: {jobs: {}}", to: "pipeline.yaml")
        _ = try tool("queue", "publish", "jobs", "1")
        _ = try tool("queue", "purge", "jobs")
        for verb in ["publish", "purge", "receive"] {
            let arguments = ["queue", verb, ".audit"] + (verb == "publish" ? ["1"] : [])
            let refused = try RunProcess.run(
                Tool.binary, arguments, folder: folder.path, input: [])
            #expect(refused.status == 2 && refused.errorText.contains("the engine's"))
        }
        #expect(try tool("queue", "peek", ".audit").count == 1)
    }
}
