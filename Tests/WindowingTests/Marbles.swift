@testable import Windowing

/// Events from one line: `a1@5` is key "a" with value 1 at second 5; `a@5` has no value.
func marbles(_ line: String) -> [Event] {
    line.split(separator: " ").map { word in
        let parts = word.split(separator: "@")
        let key = parts[0].prefix { $0.isLetter }
        let value = parts[0].dropFirst(key.count)
        let time = Int64(((Double(parts[1]) ?? .nan) * 1000).rounded())
        return Event("\"\(key)\"", time, [value.isEmpty ? nil : String(value)])
    }
}

/// Rows as one line: key, computed values, window in seconds; `a 2 7 0-60 | b 1 3 0-60`.
func marbles(_ rows: [String]) -> String {
    rows.map { row in
        var words: [String] = []
        var start = ""
        for (name, value) in fields(row) {
            switch name {
            case "window_start": start = seconds(milliseconds(value))
            case "window_end": words.append("\(start)-\(seconds(milliseconds(value)))")
            case "revision": words.append("#\(value)")
            case "is_final": words.append(value == "true" ? "final" : "open")
            case "retracted": words.append("gone")
            default: words.append(value.replacingOccurrences("\"", ""))
            }
        }
        return words.joined(separator: " ")
    }.joined(separator: " | ")
}

private func seconds(_ milliseconds: Int64) -> String {
    milliseconds % 1000 == 0 ? "\(milliseconds / 1000)" : "\(Double(milliseconds) / 1000)"
}

extension String {
    fileprivate func replacingOccurrences(_ old: Character, _ new: String) -> String {
        split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
    }
}

/// Runs a line and gives a line; late records follow as `late: a1@5`.
func marbles(
    _ line: String, _ definition: AggregateDefinition, disorder: Int64 = 0, finishes: Bool = true
) -> String {
    let given = run(definition, marbles(line), disorder: disorder, chunk: 3, finishes: finishes)
    return marbles(given.rows) + (given.lateCount > 0 ? " late \(given.lateCount)" : "")
}
