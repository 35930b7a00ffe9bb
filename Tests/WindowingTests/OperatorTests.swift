import TestKit
import Testing

@testable import Windowing

/// What every operator has to hold, held by every kind of windows.
struct OperatorTests {
    private enum Input {
        case rows(OwnedBlock)
        case advance(Int64)
        case finish
    }

    /// Blocks of records, between some of which time goes on, and the end.
    private func steps(_ random: inout SeededRandom, chunk: Int) -> [OperatorSuite.Step] {
        let all = arrivals(shuffled(records(44, &random), 300, &random), disorder: 50)
        var inputs: [Input] = []
        for start in stride(from: 0, to: all.count, by: chunk) {
            let part = all[start..<min(start + chunk, all.count)]
            inputs.append(.rows(OwnedBlock(part)))
            let newest = all[..<part.endIndex].map(\.event.time).max() ?? 0
            if Bool.random(using: &random) { inputs.append(.advance(newest - 51)) }
        }
        inputs.append(.finish)
        return inputs.map { input in
            { windows, output in
                switch input {
                case .rows(let block):
                    block.withBlock { windows.process($0, into: &output) }
                case .advance(let time): windows.advance(to: time, into: &output)
                case .finish: windows.finish(into: &output)
                }
            }
        }
    }

    @Test(arguments: allKinds, [Emission.close, .every(130), .update])
    func `windows`(kind: WindowKind, emission: Emission) {
        var random = SeededRandom(seed: 71)
        let lateness: Int64 = Bool.random(using: &random) ? 150 : 0
        let definition = everything(kind, lateness: lateness, emission: emission)
        let found = OperatorSuite(steps: steps(&random, chunk: 15), slots: 1...3) {
            WindowOperator(definition, slot: $0)
        }.violations()
        #expect(found.isEmpty, "\(random) \(lateness)\n\(found.prefix(5).joined(separator: "\n"))")
    }

    @Test(arguments: [
        WindowKind.tumbling(size: 1000), .hopping(size: 1000, every: 250), .session(gap: 60),
        .count(size: 7), .rolling(range: 400), .rollingRows(5), .global,
    ])
    func `windows with aggregates in Lua`(kind: WindowKind) {
        var random = SeededRandom(seed: 72)
        let definition = stage(kind, [.count, .user(0)], lateness: 100, ttl: 10_000)
        let found = OperatorSuite(steps: steps(&random, chunk: 15)) {
            WindowOperator(definition, users: FakeAggregates(), slot: $0)
        }.violations()
        #expect(found.isEmpty, "\(random)\n\(found.prefix(5).joined(separator: "\n"))")
    }

    @Test func `windows of calendar periods`() {
        var random = SeededRandom(seed: 73)
        let definition = everything(.calendar(CalendarPeriod(.day, zone: .utc)))
        let found = OperatorSuite(steps: steps(&random, chunk: 19)) {
            WindowOperator(definition, slot: $0)
        }.violations()
        #expect(found.isEmpty, "\(random)\n\(found.prefix(5).joined(separator: "\n"))")
    }
}
