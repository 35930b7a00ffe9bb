import TestKit
import Testing

@testable import Windowing

struct AccumulatorTests {
    private let minute = WindowKind.tumbling(size: 60_000)

    /// The one row's computed fields, over these values in this order.
    private func results(
        _ functions: [AggregateFunction], _ values: [String?]
    ) -> [String] {
        let events = values.enumerated().map { Event("1", Int64($0), [$1]) }
        let given = run(stage(minute, functions), events, disorder: 100_000)
        if let failure = given.failures.first { return [failure] }
        return fields(given.rows[0]).dropFirst().dropLast(2).map(\.value)
    }

    @Test func `sums of whole numbers are exact beyond 64 bits`() {
        #expect(results([.sum], ["9223372036854775807", "1"]) == ["9223372036854775808"])
        #expect(
            results([.sum], ["123456789012345678901234567890", "-1"]) == [
                "123456789012345678901234567889"
            ])
        #expect(results([.sum], ["1", "2.5", "1"]) == ["4.5"])
        #expect(results([.sum, .average], ["1e16", "1.0", "-1e16"]).first == "1.0")
        let huge = String(repeating: "9", count: 38)
        let failure = results([.sum], [huge, huge])
        #expect(failure.first?.hasPrefix("the sum is beyond 128 bits {\"k\":1,") == true)
    }

    @Test func `over nothing all but count_distinct is null, and nothing is ever infinite`() {
        let all: [AggregateFunction] = [
            .sum, .average, .minimum, .maximum, .first, .last, .standardDeviation, .variance,
            .quantile(0.5), .top(3), .collect(3), .mode,
        ]
        #expect(results(all, [nil]) == Array(repeating: "null", count: all.count))
        #expect(results([.countDistinct], [nil]) == ["0"])
        for function in [AggregateFunction.average, .sum, .variance] {
            let failure = results([function], ["1e308", "1e308", "-1e308"])
            #expect(failure.first?.hasPrefix("a computed field is beyond the range") == true)
        }
        #expect(results([.variance], ["3"]) == ["null"])
    }

    @Test func `least and greatest compare whole numbers exactly, and texts behind numbers`() {
        #expect(
            results([.minimum, .maximum], ["9007199254740993", "9007199254740992.0", "1"])
                == ["1", "9007199254740993"])
        #expect(
            results([.minimum, .maximum], ["\"b\"", "7", "\"a\"", "2.5"]) == ["2.5", "\"b\""])
        #expect(
            results([.maximum], ["99999999999999999999999", "1"]) == ["99999999999999999999999"])
        #expect(results([.maximum, .minimum], ["\"a\"", #""a\n""#]) == [#""a\n""#, "\"a\""])
    }

    @Test func `first and last keep the text that came`() {
        #expect(results([.first, .last], ["1.50", "2e0"]) == ["1.50", "2e0"])
        #expect(
            results([.collect(3)], ["1.50", nil, "\"x\"", "[1, 2]", "4"]) == [
                "[1.50,\"x\",[1, 2]]"
            ])
    }

    @Test func `different values are different JSON values`() {
        #expect(results([.countDistinct], ["1", "1.0", "\"1\"", "true", "1e0", "2"]) == ["4"])
        #expect(
            results([.top(2), .mode], ["1", "\"1\"", "1.0", "\"1\"", "3"])
                == ["[{\"value\":1,\"count\":2},{\"value\":\"1\",\"count\":2}]", "1"])
    }

    @Test func `distinct values are exact up to a thousand, then within three per cent`() {
        let few = (0..<1000).map { Optional("\($0)") }
        #expect(results([.countDistinct], few + few) == ["1000"])
        let many = (0..<20_000).map { Optional("\"user \($0)\"") }
        let estimate = Double(results([.countDistinct], many)[0]) ?? 0
        #expect(abs(estimate - 20_000) < 600, "\(estimate)")
    }

    @Test func `quantiles of many values are within one per cent of a neighbour`() {
        for seed in UInt64(1)...4 {
            var random = SeededRandom(seed: seed)
            let values = (0..<3000).map { _ -> Double in
                let exponent = Double.random(in: -3...6, using: &random)
                var value = 1.0
                for _ in 0..<Int(abs(exponent) * 10) { value *= exponent < 0 ? 0.79 : 1.26 }
                return Bool.random(using: &random) ? value : -value * 0.5
            }
            let sorted = values.sorted()
            for share in [0, 0.01, 0.25, 0.5, 0.9, 0.99, 1] {
                let given = Double(results([.quantile(share)], values.map { "\($0)" })[0]) ?? .nan
                let rank = share * Double(values.count - 1)
                let near = [sorted[Int(rank)], sorted[Int(rank.rounded(.up))]]
                let fits = near.contains { abs(given - $0) <= abs($0) * 0.0101 }
                #expect(fits, "\(random) \(share): \(given), not \(near)")
            }
        }
    }

    private let large: [AggregateFunction] = [
        .countDistinct, .quantile(0.95), .top(2), .collect(3), .mode, .minimum, .first, .sum,
    ]

    private func manyValues(_ random: inout SeededRandom) -> [Event] {
        (0..<4000).map { index in
            let value = Int.random(in: -9999...9999, using: &random) * (index % 50 + 1)
            return Event("\"k\(index % 2)\"", Int64(index), ["\(value)"])
        }
    }

    @Test func `merged panes give what single windows give`() {
        var random = SeededRandom(seed: 3)
        let events = manyValues(&random)
        let kind = WindowKind.hopping(size: 3000, every: 1000)
        let merged = run(stage(kind, large), events)
        // With allowed lateness every window is kept by itself.
        let single = run(stage(kind, large, lateness: 1), events)
        let shortened = single.rows.map { $0.components(until: ",\"revision\"") + "}" }
        #expect(merged.rows == shortened, "\(random)")
        #expect(merged.rows.count == 12)
    }

    @Test func `large sets and sketches come back from a journal`() {
        var random = SeededRandom(seed: 4)
        let events = manyValues(&random)
        for kind in [WindowKind.tumbling(size: 10_000), .session(gap: 100)] {
            let whole = run(stage(kind, large), events)
            let given = runRestoring(stage(kind, large), events, disorder: 0, chunk: 900)
            #expect(given.difference(from: whole) == nil, "\(random)")
        }
    }

    @Test func `lengths and times at the ends of what there is do no harm`() {
        let lengths: [WindowKind] = [
            .tumbling(size: .max), .hopping(size: .max, every: .max), .session(gap: .max),
            .rolling(range: .max), .tumbling(size: 1, offset: .min),
        ]
        for kind in lengths {
            let definition = stage(kind, [.count], lateness: .max, ttl: .max)
            let events = [-62_167_219_200_000, 253_402_300_799_999].map { Event("1", $0, [nil]) }
            let given = run(definition, events)
            #expect(given.rows.count + given.lateCount >= 1, "\(kind)")
        }
    }

    @Test func `numbers are written as short as they read back`() {
        let samples: [Double] = [
            2500, 0.1, -0.5, 1e21, 123.456, 1 / 3, .leastNonzeroMagnitude, 0.001, 1e-7, 1e15,
            999_999_999.5, 0,
        ]
        for number in samples {
            var out = TextBuffer()
            out.append(number: number)
            let text = String(decoding: out.bytes.array, as: UTF8.self)
            #expect(text == number.description)
        }
        var random = SeededRandom(seed: 5)
        for _ in 0..<20_000 {
            let number =
                Bool.random(using: &random)
                ? Double.random(in: -1e6...1e6, using: &random)
                : Double(Int.random(in: -9_999_999...9_999_999, using: &random)) / 1000
            var out = TextBuffer()
            out.append(number: number)
            let text = String(decoding: out.bytes.array, as: UTF8.self)
            #expect(text == number.description, "\(random)")
        }
    }

    @Test func `whole numbers are written in full`() {
        for number in [Int128.min, Int128.max, 0, 10, -1, 10_000_000_000_000_000_000] {
            var out = TextBuffer()
            out.append(decimal: number)
            #expect(String(decoding: out.bytes.array, as: UTF8.self) == number.description)
        }
        for number in [Int64.min, Int64.max, 0, 9, 10, 99, 100, -7] {
            var out = TextBuffer()
            out.append(integer: number)
            #expect(String(decoding: out.bytes.array, as: UTF8.self) == "\(number)")
        }
    }

    @Test func `the hash is the same in every process`() {
        #expect(Array("user_1".utf8).withSlice { stableHash($0) } == 1_090_128_970_662_278_077)
        #expect(
            Array("\"a longer key\",7".utf8).withSlice { stableHash($0) } == 322_916_711_613_038_209
        )
    }
}

extension String {
    fileprivate func components(until text: String) -> String {
        let end = Array(utf8)
        let wanted = Array(text.utf8)
        for start in 0..<max(0, end.count - wanted.count) {
            if end[start..<(start + wanted.count)].elementsEqual(wanted) {
                return String(decoding: end[..<start], as: UTF8.self)
            }
        }
        return self
    }
}
