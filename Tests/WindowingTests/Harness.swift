import Records
import TestKit

@testable import Windowing

/// A record as tests write it down: its key and its columns are JSON texts, nil is missing.
struct Event: Hashable {
    var key: String
    var time: Int64
    var values: [String?]

    init(_ key: String, _ time: Int64, _ values: [String?] = []) {
        self.key = key
        self.time = time
        self.values = values
    }

    /// What a sink would see.
    var record: String {
        let fields = values.map { $0 ?? "null" }.joined(separator: ",")
        return "{\"key\":[\(key)],\"time\":\(time),\"values\":[\(fields)]}"
    }
}

/// An event with the watermark that it meets.
struct Arrival {
    var event: Event
    var watermark: Int64
}

/// What the engine would do: the watermark before each record is newest - disorder - 1 ms.
func arrivals(_ events: [Event], disorder: Int64) -> [Arrival] {
    var newest = Int64.min
    return events.map { event in
        defer { newest = max(newest, event.time) }
        return Arrival(event: event, watermark: newest == .min ? .min : newest - disorder - 1)
    }
}

/// Rows in memory of their own, as the ingress would lay them out.
final class OwnedBlock {
    private var text: [UInt8] = []
    private var rows: [Row] = []
    private var cells: [Cell] = []
    private var columnCount = 0

    init(_ arrivals: some Sequence<Arrival>) {
        for arrival in arrivals { add(arrival) }
        text += [UInt8](repeating: 0x58, count: 64)
    }

    private func add(_ arrival: Arrival) {
        let event = arrival.event
        let key = append(event.key)
        let record = append(event.record)
        rows.append(
            Row(
                time: event.time, watermark: arrival.watermark, keyOffset: UInt64(key.lowerBound),
                keyLength: UInt32(key.count), recordOffset: UInt64(record.lowerBound),
                recordLength: UInt32(record.count), ordinal: UInt32(rows.count)))
        columnCount = event.values.count
        for value in event.values { cells.append(cell(value)) }
    }

    private func append(_ string: String) -> Range<Int> {
        let start = text.count
        text += Array(string.utf8)
        return start..<text.count
    }

    private func cell(_ json: String?) -> Cell {
        guard let json, json != "null" else { return Cell(.missing) }
        if json == "true" || json == "false" { return Cell(.boolean, bits: json == "true" ? 1 : 0) }
        let place = append(json)
        let offset = UInt64(place.lowerBound)
        let length = UInt32(place.count)
        if json.hasPrefix("\"") { return Cell(.string, textOffset: offset, textLength: length) }
        if json.hasPrefix("{") || json.hasPrefix("[") {
            return Cell(.composite, textOffset: offset, textLength: length)
        }
        if let integer = Int64(json) {
            return Cell(
                .integer, bits: UInt64(bitPattern: integer), textOffset: offset,
                textLength: length)
        }
        let isWhole = json.allSatisfy { $0.isNumber || $0 == "-" }
        return Cell(
            isWhole ? .big : .number, bits: (Double(json) ?? .nan).bitPattern, textOffset: offset,
            textLength: length)
    }

    func withBlock<Result>(_ body: (RowBlock) throws -> Result) rethrows -> Result {
        try rows.withUnsafeBufferPointer { rows in
            try cells.withUnsafeBufferPointer { cells in
                try text.withUnsafeBufferPointer { text in
                    try body(
                        RowBlock(
                            rows: rows.baseAddress, count: rows.count, cells: cells.baseAddress,
                            columnCount: columnCount, text: text.baseAddress))
                }
            }
        }
    }
}

/// Everything that windows gave, as text.
struct Given: Equatable {
    var rows: [String] = []
    var times: [Int64] = []
    var watermarks: [Int64] = []
    var late: [String] = []
    var lateCount = 0
    var failures: [String] = []

    mutating func take(_ output: inout WindowOutput) {
        var start = 0
        let all = output.rows.withUnsafeBytes { Array($0) }
        for end in output.rowEnds {
            rows.append(String(decoding: all[start..<(end - 1)], as: UTF8.self))
            start = end
        }
        times += output.rowTimes
        watermarks += output.rowWatermarks
        let lateText = output.late.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        late += lateText.split(separator: "\n").map(String.init)
        lateCount += output.lateCount
        failures += output.failures.map {
            "\($0.message) \(String(decoding: $0.original, as: UTF8.self))"
        }
        output.removeAll()
    }
}

extension Given {
    /// The first row that is another one; nothing when everything is the same.
    func difference(from other: Given) -> String? {
        if self == other { return nil }
        for (index, row) in rows.enumerated() {
            if index >= other.rows.count { return "one more: \(row)" }
            if row != other.rows[index] { return "\(row) is not \(other.rows[index])" }
            if times[index] != other.times[index] { return "another time: \(row)" }
            if watermarks[index] != other.watermarks[index] { return "another watermark: \(row)" }
        }
        return "\(rows.count) rows, not \(other.rows.count); late \(lateCount), \(other.lateCount)"
    }
}

/// Runs events through fresh windows, `chunk` of them per block.
func run(
    _ definition: AggregateDefinition, _ events: [Event], disorder: Int64 = 0, chunk: Int = 1000,
    users: (any UserAggregates)? = nil, finishes: Bool = true, advancesBetween: Bool = false
) -> Given {
    let windows = WindowOperator(definition, users: users)
    var output = WindowOutput()
    var given = Given()
    let all = arrivals(events, disorder: disorder)
    var at = 0
    while at < all.count {
        let stop = min(at + chunk, all.count)
        OwnedBlock(all[at..<stop]).withBlock { windows.process($0, into: &output) }
        at = stop
        if advancesBetween, let newest = events[..<at].map(\.time).max() {
            windows.advance(to: newest - disorder - 1, into: &output)
        }
        given.take(&output)
    }
    if finishes { windows.finish(into: &output) }
    given.take(&output)
    return given
}

/// The same, but after each block new windows are made from what a journal would hold.
func runRestoring(
    _ definition: AggregateDefinition, _ events: [Event], disorder: Int64, chunk: Int,
    users: (any UserAggregates)? = nil
) -> Given {
    var store: [[UInt8]: [UInt8]] = [:]
    var output = WindowOutput()
    var given = Given()
    let all = arrivals(events, disorder: disorder)
    var at = 0
    while true {
        let windows = WindowOperator(definition, users: users)
        windows.tracksChanges = true
        for (key, value) in store { windows.restore(key: key, value: value) }
        let stop = min(at + chunk, all.count)
        let isLast = at == stop
        if isLast {
            windows.finish(into: &output)
        } else {
            OwnedBlock(all[at..<stop]).withBlock { windows.process($0, into: &output) }
        }
        windows.takeChanges { store[$0] = $1 }
        given.take(&output)
        at = stop
        if isLast { break }
    }
    precondition(store.count == 1, "entries of windows that have closed are left")
    return given
}

/// A stage over one column `v`, with as many computed fields as functions, named by their place.
func stage(
    _ window: WindowKind, _ functions: [AggregateFunction], lateness: Int64 = 0,
    emission: Emission = .close, ttl: Int64? = nil, keys: [String] = ["k"]
) -> AggregateDefinition {
    let computes = functions.enumerated().map { index, function in
        let readsNothing = function == .count || isUser(function)
        return ComputeDefinition("f\(index)", function, column: readsNothing ? nil : 0)
    }
    return AggregateDefinition(
        keys: keys, window: window, computes: computes,
        columns: [ColumnDefinition("v", needsText: true)], allowedLateness: lateness,
        emission: emission, timeToLive: ttl)
}

private func isUser(_ function: AggregateFunction) -> Bool {
    if case .user = function { true } else { false }
}

/// The fields of a flat JSON object, in order.
func fields(_ row: String) -> [(name: String, value: String)] {
    var parts: [String] = []
    var part = ""
    var depth = 0
    var isText = false
    var isEscaped = false
    for character in row.dropFirst().dropLast() {
        if isText {
            isText = isEscaped || character != "\""
            isEscaped = !isEscaped && character == "\\"
        } else if character == "\"" {
            isText = true
        } else if "[{".contains(character) {
            depth += 1
        } else if "]}".contains(character) {
            depth -= 1
        } else if character == ",", depth == 0 {
            parts.append(part)
            part = ""
            continue
        }
        part.append(character)
    }
    parts.append(part)
    return parts.map { part in
        let end = part.dropFirst().firstIndex(of: "\"") ?? part.startIndex
        return (
            String(part[part.index(after: part.startIndex)..<end]),
            String(part[part.index(end, offsetBy: 2)...])
        )
    }
}

/// Milliseconds of a time as rows write it, by a calculation of its own.
func milliseconds(_ text: String) -> Int64 {
    let digits = text.split { !$0.isNumber }.compactMap { Int64($0) }
    var days: Int64 = 0
    let year = digits[0]
    if year >= 1970 { for y in 1970..<year { days += isLeap(y) ? 366 : 365 } }
    if year < 1970 { for y in year..<1970 { days -= isLeap(y) ? 366 : 365 } }
    let lengths: [Int64] = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    days += lengths[..<Int(digits[1] - 1)].reduce(0, +) + digits[2] - 1
    return ((days * 24 + digits[3]) * 60 + digits[4]) * 60_000 + digits[5] * 1000 + digits[6]
}

private func isLeap(_ year: Int64) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}
