import TestKit

@testable import Windowing

/// Kinds of windows as the oracle goes through them.
let allKinds: [WindowKind] = [
    .tumbling(size: 1000), .tumbling(size: 700, offset: -333), .hopping(size: 1000, every: 250),
    .hopping(size: 1000, every: 300, offset: 70), .hopping(size: 61, every: 60),
    .hopping(size: 200, every: 500), .session(gap: 60), .count(size: 7), .rolling(range: 400),
    .rollingRows(5), .global,
]

/// Every function there is, over a column of numbers and one of numbers and texts.
func everything(
    _ kind: WindowKind, lateness: Int64 = 0, emission: Emission = .close
) -> AggregateDefinition {
    let above = Comparison(column: 0, .greater, .number(5))
    let numbers: [AggregateFunction] = [
        .count, .sum, .average, .minimum, .maximum, .variance, .standardDeviation,
        .quantile(0.5), .quantile(0.95), .ratioIf([above]),
    ]
    let scalars: [AggregateFunction] = [
        .minimum, .maximum, .first, .last, .countDistinct, .top(3), .mode, .collect(4),
    ]
    var computes: [ComputeDefinition] = []
    for (index, function) in numbers.enumerated() {
        let column = function == .count || index == 9 ? nil : 0
        computes.append(ComputeDefinition("n\(index)", function, column: column))
    }
    for (index, function) in scalars.enumerated() {
        computes.append(ComputeDefinition("s\(index)", function, column: 1))
    }
    return AggregateDefinition(
        keys: ["k"], window: kind, computes: computes,
        columns: [
            ColumnDefinition("v", requirement: .number),
            ColumnDefinition("s", requirement: .scalar, needsText: true),
        ], allowedLateness: lateness, emission: emission,
        timeToLive: kind == .global ? 80 : nil)
}

/// Records of a few keys around 1970, at moments that are all different, in the order of time.
func records(_ count: Int, _ random: inout SeededRandom, keys: Int = 4) -> [Event] {
    var time = Int64.random(in: -4000...4000, using: &random)
    return (0..<count).map { _ in
        time += Int64.random(in: 1...20, using: &random)
        if Int.random(in: 0..<40, using: &random) == 0 { time += 700 }
        return Event(
            "\"k\(Int.random(in: 0..<keys, using: &random))\"", time,
            [number(&random), scalar(&random)])
    }
}

private func number(_ random: inout SeededRandom) -> String? {
    switch Int.random(in: 0..<8, using: &random) {
    case 0: nil
    case 1: "\(Double(Int.random(in: -40...40, using: &random)) + 0.25)"
    default: "\(Int.random(in: -20...20, using: &random))"
    }
}

private func scalar(_ random: inout SeededRandom) -> String? {
    switch Int.random(in: 0..<8, using: &random) {
    case 0: nil
    case 1, 2: "\"\(["a", "b", "ab", "é", "1"].randomElement(using: &random) ?? "")\""
    case 3: "\(Int.random(in: 0...3, using: &random)).5"
    default: "\(Int.random(in: 0...9, using: &random))"
    }
}

/// The same records in another order, none of them later than `disorder` allows.
func shuffled(_ events: [Event], _ disorder: Int64, _ random: inout SeededRandom) -> [Event] {
    guard disorder > 0 else { return events }
    let places = events.map { ($0, $0.time + Int64.random(in: 0...disorder, using: &random)) }
    return places.enumerated().sorted { ($0.element.1, $0.offset) < ($1.element.1, $1.offset) }
        .map(\.element.0)
}
