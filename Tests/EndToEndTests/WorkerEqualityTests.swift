import Foundation
import TestKit
import Testing

/// Rows, dead letters, late records and counts are the same for any number of workers, with and
/// without a store, and whatever a commit holds.
@Suite(.timeLimit(.minutes(30))) struct WorkerEqualityTests {
    static func expectEqual(_ pipeline: GeneratedPipeline, commit: String) throws {
        let folder = TemporaryFolder()
        pipeline.write(to: folder)
        let one = try PipelineOutcome.once(folder, workers: 1)
        #expect(one["shape"].count > 100, "the pipeline must have rows")
        pipeline.write(to: folder, commit: commit)
        for workers in [2, 4] {
            let several = try PipelineOutcome.once(folder, workers: workers)
            let differences = several.differences(from: one)
            #expect(differences == [], "seed \(pipeline.seed), \(workers) workers")
        }
        for workers in [1, 4] {
            let fresh = try PipelineOutcome.once(folder, workers: workers, "--fresh")
            let differences = fresh.differences(from: one)
            #expect(differences == [], "seed \(pipeline.seed), \(workers) workers, no store")
        }
    }

    @Test(arguments: GeneratedPipeline.windows.indices)
    func `windows of every kind`(index: Int) throws {
        let features = GeneratedPipeline.Features(
            state: false, window: GeneratedPipeline.windows[index])
        try Self.expectEqual(
            GeneratedPipeline(seed: 100 + UInt64(index), features),
            commit: "{every: 1ms, records: 7}")
    }

    @Test(arguments: [0, 2, 3, 5, 7, 8, 9, 10], [false, true])
    func `rules behind windows, which every lane runs`(index: Int, state: Bool) throws {
        // In front of windows they may keep state.
        var features = GeneratedPipeline.Features(
            state: state, timers: false, window: GeneratedPipeline.windows[index])
        features.outer = false
        features.records = 2000
        try Self.expectEqual(
            GeneratedPipeline(seed: 400 + UInt64(index), features),
            commit: "{every: 1ms, records: 50}")
    }

    @Test(arguments: [0, 3, 5, 7, 9, 10])
    func `aggregates in Lua, also in windows that records leave`(index: Int) throws {
        let features = GeneratedPipeline.Features(
            window: GeneratedPipeline.windows[index], inLua: true)
        try Self.expectEqual(
            GeneratedPipeline(seed: 200 + UInt64(index), features),
            commit: "{every: 1ms, records: 1}")
    }

    @Test func `two sources and many batches`() throws {
        let features = GeneratedPipeline.Features(state: false, sources: 2, records: 12_000)
        try Self.expectEqual(
            GeneratedPipeline(seed: 300, features), commit: "{every: 1ms, records: 1000}")
    }
}
