import Foundation
import TestKit
import Testing

/// A run that is killed again and again, and goes on with another number of workers each time,
/// leaves what an uninterrupted one leaves.
@Suite(.timeLimit(.minutes(30))) struct RestartEqualityTests {
    /// Runs a folder from nothing: so many processes are killed on their way, whose input never
    /// ends, and the last one reads to the end.
    private static func killed(
        _ folder: TemporaryFolder, workers: [Int], kills: Int, _ random: inout SeededRandom
    ) throws -> PipelineOutcome {
        for attempt in 0..<kills {
            let running = try FollowedRun(
                folder, workers: workers[attempt % workers.count], keepsInput: true,
                continues: attempt > 0)
            // Rows grow with the run, so that a kill comes at any stage of one.
            let path = folder("out/shape.jsonl")
            let target = length(path) + Int.random(in: 1...80_000, using: &random)
            try running.wait("\(target) bytes, or the last row") {
                length(path) >= target || running.count(#""mark":true"#, in: "shape") > 0
            }
            running.kill()
        }
        let last = try Tool.run(
            "run", folder.path, "--once", "--workers", "\(workers[kills % workers.count])",
            "--summary", folder("summary.json"))
        try #require(last.status == 0, "\(last.errors)")
        return try PipelineOutcome(folder)
    }

    private static func length(_ path: String) -> Int {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    static func expectEqual(_ seed: UInt64, _ features: GeneratedPipeline.Features) throws {
        let pipeline = GeneratedPipeline(seed: seed, features)
        let folder = TemporaryFolder()
        var random = SeededRandom(seed: seed)
        pipeline.write(to: folder)
        let whole = try PipelineOutcome.once(folder, workers: 1)
        #expect(whole["shape"].count > 1000, "the pipeline must have rows")
        for (workers, records) in [([4], 1000), ([1, 2, 4], 50)] {
            pipeline.write(
                to: folder, follow: true, commit: "{every: 2ms, records: \(records)}")
            let outcome = try killed(folder, workers: workers, kills: 4, &random)
            let differences = outcome.differences(from: whole)
            // The summary is that of the last run alone.
            let rows = differences.filter { $0.contains(".jsonl: ") }
            #expect(rows == [], "seed \(seed), workers \(workers)")
        }
    }

    @Test(arguments: [0, 3, 5, 10])
    func `windows of every kind`(index: Int) throws {
        let features = GeneratedPipeline.Features(
            state: false, window: GeneratedPipeline.windows[index], records: 6000)
        try Self.expectEqual(700 + UInt64(index), features)
    }

    @Test(arguments: [1, 9])
    func `aggregates in Lua`(index: Int) throws {
        let features = GeneratedPipeline.Features(
            timers: false, window: GeneratedPipeline.windows[index], inLua: true, records: 6000)
        try Self.expectEqual(750 + UInt64(index), features)
    }
}
