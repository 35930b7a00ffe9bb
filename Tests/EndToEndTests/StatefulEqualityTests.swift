import Foundation
import Records
import TestKit
import Testing

/// Rules with state, before and behind windows, give the same rows for any number of workers and
/// whatever is read at once.
@Suite(.timeLimit(.minutes(30))) struct StatefulEqualityTests {
    @Test(arguments: GeneratedPipeline.windows.indices)
    func `state before and behind windows of every kind`(index: Int) throws {
        let features = GeneratedPipeline.Features(
            timers: false, window: GeneratedPipeline.windows[index])
        try WorkerEqualityTests.expectEqual(
            GeneratedPipeline(seed: 800 + UInt64(index), features),
            commit: "{every: 1ms, records: 7}")
    }

    @Test func `two sources and many batches`() throws {
        let features = GeneratedPipeline.Features(sources: 2, records: 12_000)
        try WorkerEqualityTests.expectEqual(
            GeneratedPipeline(seed: 840, features), commit: "{every: 1ms, records: 1000}")
    }

    @Test(arguments: [1, 2, 4])
    func `a window over dead letters counts those of rules behind windows, too`(
        workers: Int
    ) throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            time: {field: at}
            key: user
            stages:
              - {name: shape, transform: rules/shape.lua}
              - name: windows
                from: shape
                aggregate: {key: user, window: {tumbling: 2s}, compute: {n: count}}
              - {name: behind, from: windows, transform: rules/behind.lua}
              - name: letters
                from: dead_letters
                aggregate: {key: stage, window: {tumbling: 60s}, compute: {n: count}}
            sinks:
              - {from: behind, file: {path: out/behind.jsonl}}
              - {from: dead_letters, file: {path: out/dead.jsonl}}
              - {from: letters, file: {path: out/letters.jsonl}}
            """, to: "pipeline.yaml")
        folder.write(
            "function process(r) if r.bad then error(\"bad\") end end", to: "rules/shape.lua")
        folder.write("function process(r) error(\"behind\") end", to: "rules/behind.lua")
        let lines = (0..<8).map {
            "{\"user\":\"u\($0 % 4)\",\"at\":\"\(EventTime.text($0 * 1000))\""
                + ($0 % 4 == 3 ? ",\"bad\":true}\n" : "}\n")
        }
        folder.write(lines.joined(), to: "in.jsonl")
        let outcome = try PipelineOutcome.once(folder, workers: workers)
        #expect(outcome["dead"].count == 8)
        let counts = try outcome["letters"].map { try Record(json: $0) }.map {
            "\($0["stage"]?.text ?? "") \($0["n"]?.text ?? "")"
        }
        #expect(counts.sorted() == ["behind 6", "shape 2"])
        #expect(outcome.summary["aggregated"] == ["windows": 6, "letters": 8])
    }
}
