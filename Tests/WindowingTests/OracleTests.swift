import TestKit
import Testing

@testable import Windowing

struct OracleTests {
    /// Says where given rows differ from the model's; nothing when they do not.
    private func difference(
        _ given: Given, _ model: Model, _ definition: AggregateDefinition
    ) -> String? {
        if given.lateCount != model.late { return "late \(given.lateCount), not \(model.late)" }
        if given.late.count != model.late { return "\(given.late.count) late records" }
        if !given.failures.isEmpty { return given.failures[0] }
        if given.rows.count != model.rows.count {
            return "\(given.rows.count) rows, not \(model.rows.count)"
        }
        func name(_ key: String, _ start: Int64, _ end: Int64) -> String {
            "\(key) \(start) \(end)"
        }
        // Rolling windows may give several rows with the same bounds: by their counts then.
        var wanted: [String: [ModelRow]] = [:]
        for row in model.rows { wanted[name(row.key, row.start, row.end), default: []].append(row) }
        for (row, time) in zip(given.rows, given.times) {
            let list = fields(row)
            let start = milliseconds(list[list.count - 2].value)
            let end = milliseconds(list[list.count - 1].value)
            let id = name(list[0].value, start, end)
            guard let candidates = wanted[id], let match = candidates.first else {
                return "unexpected \(row)"
            }
            wanted[id] = Array(candidates.dropFirst())
            for (compute, field) in zip(definition.computes, list.dropFirst()) {
                let values = expected(compute, match.members)
                if field.name != compute.name
                    || !values.contains(where: { $0.matches(field.value) })
                {
                    return "\(id): \(field) is not \(values)"
                }
            }
            if time < end - 1 { return "\(id): event time \(time)" }
        }
        return nil
    }

    @Test(arguments: allKinds)
    func `results are those of the model`(_ kind: WindowKind) {
        for seed in UInt64(1)...4 {
            var random = SeededRandom(seed: seed)
            let definition = everything(kind)
            let disorder: Int64 = [0, 15, 90].randomElement(using: &random) ?? 0
            let events = shuffled(records(180, &random), disorder, &random)
            let all = arrivals(events, disorder: disorder)
            let model = Model(kind, all, ttl: definition.timeToLive)
            let given = run(definition, events, disorder: disorder, chunk: 64)
            let problem = difference(given, model, definition)
            #expect(problem == nil, "\(random) \(kind) \(problem ?? "")")
        }
    }

    @Test(arguments: allKinds)
    func `late records change nothing but what is still open`(_ kind: WindowKind) {
        for seed in UInt64(11)...14 {
            var random = SeededRandom(seed: seed)
            let definition = everything(kind)
            let disorder: Int64 = [0, 20, 60].randomElement(using: &random) ?? 0
            let events = shuffled(records(180, &random), 10 * disorder + 300, &random)
            let all = arrivals(events, disorder: disorder)
            let model = Model(kind, all, ttl: definition.timeToLive)
            let given = run(definition, events, disorder: disorder, chunk: 7)
            let problem = difference(given, model, definition)
            #expect(problem == nil, "\(random) \(kind) \(problem ?? "")")
        }
    }

    @Test(arguments: allKinds)
    func `what comes out does not depend on blocks`(_ kind: WindowKind) {
        for (seed, emission) in zip(UInt64(21)..., [Emission.close, .every(130), .update]) {
            for lateness: Int64 in [0, 200] {
                var random = SeededRandom(seed: seed)
                let definition = everything(kind, lateness: lateness, emission: emission)
                let events = shuffled(records(150, &random), 400, &random)
                let whole = run(definition, events, disorder: 30, chunk: 1000)
                for chunk in [1, 7] {
                    let given = run(definition, events, disorder: 30, chunk: chunk)
                    let same = given == whole
                    #expect(same, "\(random) \(kind) \(emission) chunk \(chunk)")
                }
                let advanced = run(
                    definition, events, disorder: 30, chunk: 5, advancesBetween: true)
                let same = advanced == whole
                #expect(same, "\(random) \(kind) \(emission) advancing")
                let isMonotone = zip(whole.watermarks, whole.watermarks.dropFirst())
                    .allSatisfy { $0 <= $1 }
                #expect(isMonotone, "\(random) \(kind) \(emission)")
            }
        }
    }

    @Test(arguments: allKinds.filter { if case .count = $0 { false } else { true } })
    func `any order of arrival within the disorder gives the same rows`(_ kind: WindowKind) {
        for seed in UInt64(31)...33 {
            var random = SeededRandom(seed: seed)
            let all = everything(kind)
            var definition = all
            // The last digits of sums of squares may differ.
            definition.computes = all.computes.filter {
                $0.function != .variance && $0.function != .standardDeviation
            }
            let events = records(200, &random)
            let sorted = run(definition, events, disorder: 100).rows.sorted()
            for _ in 0..<3 {
                let given = run(definition, shuffled(events, 100, &random), disorder: 100)
                let same = given.rows.sorted() == sorted
                #expect(same, "\(random) \(kind)")
                #expect(given.lateCount == 0)
            }
        }
    }

    @Test(arguments: allKinds)
    func `windows put back from a journal go on as if nothing had happened`(_ kind: WindowKind) {
        for (seed, emission) in zip(UInt64(41)..., [Emission.close, .every(130), .update]) {
            for lateness: Int64 in [0, 150] {
                var random = SeededRandom(seed: seed)
                let definition = everything(kind, lateness: lateness, emission: emission)
                let events = shuffled(records(90, &random), 300, &random)
                let whole = run(definition, events, disorder: 50)
                for chunk in [1, 13] {
                    let given = runRestoring(definition, events, disorder: 50, chunk: chunk)
                    let problem = given.difference(from: whole)
                    #expect(
                        problem == nil,
                        "\(random) \(emission) \(lateness) \(chunk) \(problem ?? "")")
                }
            }
        }
    }
}
