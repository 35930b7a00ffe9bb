import Foundation
import TestKit
import Testing

/// A file that grows gives what the whole file gives, whatever is read at once.
@Suite(.timeLimit(.minutes(30))) struct LiveEqualityTests {
    static func expectEqual(_ seed: UInt64, _ features: GeneratedPipeline.Features) throws {
        let pipeline = GeneratedPipeline(seed: seed, features)
        let folder = TemporaryFolder()
        var random = SeededRandom(seed: seed)
        // Each part ends with a record that becomes a row of its own.
        var parts: [ArraySlice<String>] = []
        var rest = pipeline.inputs[0].dropLast()
        while !rest.isEmpty {
            let count = min(rest.count, Int.random(in: 1...(features.records / 3), using: &random))
            parts.append(rest.prefix(count) + [pipeline.mark(at: 0)])
            rest = rest.dropFirst(count)
        }
        parts.append(pipeline.inputs[0].suffix(1))
        pipeline.write(to: folder)
        folder.write(parts.joined().map { $0 + "\n" }.joined(), to: "in.jsonl")
        let whole = try PipelineOutcome.once(folder, workers: 1)
        #expect(whole["shape"].count > 100, "the pipeline must have rows")
        pipeline.write(to: folder, follow: true, commit: "{every: 5ms, records: 20}")
        for workers in [1, 2, 4] {
            let running = try FollowedRun(folder, workers: workers, "--drain")
            for part in parts { try running.pass(part, until: #""mark":true"#, in: "shape") }
            let live = try running.stop()
            let differences = live.differences(from: whole)
            #expect(differences == [], "seed \(seed), \(workers) workers")
        }
    }

    @Test(arguments: GeneratedPipeline.windows.indices)
    func `windows of every kind`(index: Int) throws {
        try Self.expectEqual(
            500 + UInt64(index),
            GeneratedPipeline.Features(state: false, window: GeneratedPipeline.windows[index]))
    }
}
