@testable import Windowing

/// One record as the model keeps it.
struct Member {
    var event: Event
    var arrival: Int
    var time: Int64 { event.time }
}

/// One row that must come: its members are the records of its window.
struct ModelRow {
    var key: String
    var start: Int64
    var end: Int64
    var members: [Member]
}

/// Windows by brute force: lists of records, searched through and through for every record.
struct Model {
    var rows: [ModelRow] = []
    var late = 0

    init(_ kind: WindowKind, _ arrivals: [Arrival], lateness: Int64 = 0, ttl: Int64? = nil) {
        let members = arrivals.enumerated().map { Member(event: $1.event, arrival: $0) }
        switch kind {
        case .tumbling(let size, let offset):
            aligned(arrivals, members, lateness) { time in Self.starts(time, size, size, offset) }
        case .hopping(let size, let every, let offset):
            aligned(arrivals, members, lateness) { time in Self.starts(time, size, every, offset) }
        case .session(let gap): sessions(arrivals, members, gap) { $1 + gap }
        case .global: sessions(arrivals, members, ttl ?? 0) { $1 }
        case .count(let size): count(members, size)
        case .rolling(let range):
            rolling(arrivals, members) { mine, of in mine.time > of.time - range }
            for index in rows.indices { rows[index].start = rows[index].end - range }
        case .rollingRows(let limit):
            rolling(arrivals, members) { _, _ in true }
            for index in rows.indices {
                rows[index].members = Array(rows[index].members.suffix(limit))
                rows[index].start = rows[index].members[0].time
            }
        case .calendar(let period):
            aligned(arrivals, members, lateness) { [period.bounds(containing: $0)] }
        }
    }

    private static func starts(
        _ time: Int64, _ size: Int64, _ every: Int64, _ offset: Int64
    ) -> [(start: Int64, end: Int64)] {
        // Every window that could hold the time, far and wide.
        let near = Int64((Double(time - offset) / Double(every)).rounded(.down))
        return ((near - size / every - 3)...(near + 3)).map { $0 * every + offset }
            .filter { $0 <= time && time < $0 + size }.map { ($0, $0 + size) }
    }

    private mutating func aligned(
        _ arrivals: [Arrival], _ members: [Member], _ lateness: Int64,
        _ windows: (Int64) -> [(start: Int64, end: Int64)]
    ) {
        for (arrival, member) in zip(arrivals, members) {
            let all = windows(member.time)
            let live = all.filter { arrival.watermark < $0.end - 1 + lateness }
            if live.isEmpty, !all.isEmpty { late += 1 }
            for window in live {
                let place = rows.firstIndex {
                    $0.key == member.event.key && $0.start == window.start
                }
                if let place {
                    rows[place].members.append(member)
                } else {
                    rows.append(
                        ModelRow(
                            key: member.event.key, start: window.start, end: window.end,
                            members: [member]))
                }
            }
        }
    }

    private mutating func sessions(
        _ arrivals: [Arrival], _ members: [Member], _ gap: Int64,
        _ end: (_ first: Int64, _ last: Int64) -> Int64
    ) {
        var open: [[Member]] = []
        func close(_ session: [Member], _ rows: inout [ModelRow]) {
            let times = session.map(\.time)
            let (first, last) = (times.min() ?? 0, times.max() ?? 0)
            rows.append(
                ModelRow(
                    key: session[0].event.key, start: first, end: end(first, last),
                    members: session))
        }
        for (arrival, member) in zip(arrivals, members) {
            func isOver(_ session: [Member]) -> Bool {
                (session.map(\.time).max() ?? 0) + gap - 1 <= arrival.watermark
            }
            for session in open where isOver(session) {
                close(session, &rows)
            }
            open.removeAll { isOver($0) }
            let joined = open.filter { session in
                session[0].event.key == member.event.key
                    && session.contains { abs($0.time - member.time) < gap }
            }
            if joined.isEmpty, member.time + gap - 1 <= arrival.watermark {
                late += 1
                continue
            }
            let names = Set(joined.map { $0[0].arrival })
            open.removeAll { names.contains($0[0].arrival) }
            open.append((joined.flatMap { $0 } + [member]).sorted { $0.arrival < $1.arrival })
        }
        for session in open { close(session, &rows) }
    }

    private mutating func count(_ members: [Member], _ size: Int) {
        for key in Set(members.map(\.event.key)) {
            let mine = members.filter { $0.event.key == key }
            for start in stride(from: 0, to: mine.count, by: size) {
                let part = Array(mine[start..<min(start + size, mine.count)])
                let times = part.map(\.time)
                rows.append(
                    ModelRow(
                        key: key, start: times.min() ?? 0, end: times.max() ?? 0, members: part))
            }
        }
    }

    private mutating func rolling(
        _ arrivals: [Arrival], _ members: [Member], _ holds: (Member, Member) -> Bool
    ) {
        var taken: [Member] = []
        for (arrival, member) in zip(arrivals, members) {
            if member.time <= arrival.watermark { late += 1 } else { taken.append(member) }
        }
        taken.sort { ($0.time, $0.arrival) < ($1.time, $1.arrival) }
        for (place, member) in taken.enumerated() {
            let before = taken[...place].filter {
                $0.event.key == member.event.key && holds($0, member)
            }
            rows.append(
                ModelRow(key: member.event.key, start: 0, end: member.time, members: before))
        }
    }
}

/// A value that a computed field must have.
enum Expected {
    case text(String)
    case near(Double, relative: Double)

    func matches(_ given: String) -> Bool {
        switch self {
        case .text(let text): return given == text
        case .near(let wanted, let relative):
            guard let given = Double(given) else { return false }
            return abs(given - wanted) <= max(abs(wanted) * relative, 1e-9)
        }
    }
}

/// What a function gives over the records of a window, computed from the list of all of them.
func expected(_ compute: ComputeDefinition, _ members: [Member]) -> [Expected] {
    if compute.function == .count { return [.text("\(members.count)")] }
    if case .ratioIf = compute.function {
        let passed = members.filter { Double($0.event.values[0] ?? "-1") ?? -1 > 5 }.count
        return [.text("\(Double(passed) / Double(members.count))")]
    }
    let ordered = members.sorted { ($0.time, $0.arrival) < ($1.time, $1.arrival) }
    let values = ordered.compactMap { $0.event.values[compute.column ?? 0] }
    if values.isEmpty { return [.text(compute.function == .countDistinct ? "0" : "null")] }
    switch compute.function {
    case .first: return [.text(values[0])]
    case .last: return [.text(values[values.count - 1])]
    case .collect(let limit): return [.text("[\(values.prefix(limit).joined(separator: ","))]")]
    case .minimum: return [.text(values.min(by: isBefore) ?? "")]
    case .maximum: return [.text(values.max(by: isBefore) ?? "")]
    case .countDistinct: return [.text("\(Set(values).count)")]
    case .top(let limit):
        let parts = ranked(values).prefix(limit).map { "{\"value\":\($0.0),\"count\":\($0.1)}" }
        return [.text("[\(parts.joined(separator: ","))]")]
    case .mode: return [.text(ranked(values)[0].0)]
    default: return expected(compute.function, numbers: values)
    }
}

private func expected(_ function: AggregateFunction, numbers values: [String]) -> [Expected] {
    let numbers = values.compactMap { Double($0) }
    let sum = numbers.reduce(0, +)
    let mean = sum / Double(numbers.count)
    switch function {
    case .sum:
        let isWhole = values.allSatisfy { Int64($0) != nil }
        return [.text(isWhole ? "\(Int64(sum))" : "\(sum)")]
    case .average: return [.text("\(mean)")]
    case .variance, .standardDeviation:
        if numbers.count < 2 { return [.text("null")] }
        let squares = numbers.map { ($0 - mean) * ($0 - mean) }.reduce(0, +)
        let variance = squares / Double(numbers.count - 1)
        let wanted = function == .variance ? variance : variance.squareRoot()
        return [.near(wanted, relative: 1e-9)]
    case .quantile(let share):
        let rank = share * Double(numbers.count - 1)
        let sorted = numbers.sorted()
        let relative = numbers.count <= 64 ? 0 : 0.0101
        return [
            .near(sorted[Int(rank.rounded(.down))], relative: relative),
            .near(sorted[Int(rank.rounded(.up))], relative: relative),
        ]
    default: return []
    }
}

/// Numbers by value, before texts by their bytes.
private func isBefore(_ left: String, _ right: String) -> Bool {
    switch (Double(left), Double(right)) {
    case (let one?, let other?): one < other
    case (.some, nil): true
    case (nil, .some): false
    default: Array(left.utf8).lexicographicallyPrecedes(Array(right.utf8))
    }
}

private func ranked(_ values: [String]) -> [(String, Int)] {
    var counts: [String: Int] = [:]
    for value in values { counts[value, default: 0] += 1 }
    return counts.sorted { $0.value != $1.value ? $0.value > $1.value : isBefore($0.key, $1.key) }
        .map { ($0.key, $0.value) }
}
