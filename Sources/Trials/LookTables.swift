internal import Engine
package import Records

/// Lines of JSON about a running pipeline as tables for people.
package enum LookTables {
    /// What `top` shows.
    package static func top(_ lines: [Record]) -> [String] {
        func named(_ what: String) -> [Record] { lines.filter { $0["what"]?.text == what } }
        var text: [String] = []
        for line in named("pipeline") {
            text.append(
                "\(cell(line, "name"))  rule set \(cell(line, "rule_set"))  "
                    + "\(cell(line, "records")) records, \(cell(line, "per_second"))/s, "
                    + "\(cell(line, "dead_letters")) dead letters")
        }
        let stages = named("stage").map { line in
            [
                cell(line, "name"), cell(line, "per_second"), cell(line, "records"),
                cell(line, "errors"), cell(line, "dropped"), cell(line, "p50_us"),
                cell(line, "p99_us"), cell(line, "max_us"),
                budget(line), percent(line["cpu"]), hottest(line),
            ]
        }
        if !stages.isEmpty {
            let head = [
                "STAGE", "RECORDS/S", "RECORDS", "ERRORS", "DROPPED", "P50 µs", "P99 µs",
                "MAX µs", "P99/MAX OF BUDGET", "CPU", "HOTTEST LINE",
            ]
            text += [""] + table([head] + stages, right: 1..<10)
        }
        let sinks = named("sink").map {
            [cell($0, "name"), cell($0, "per_second"), cell($0, "records")]
        }
        if !sinks.isEmpty {
            text += [""] + table([["SINK", "RECORDS/S", "RECORDS"]] + sinks, right: 1..<3)
        }
        return text
    }

    /// What `profile` shows.
    package static func profile(_ lines: [Record]) -> [String] {
        var text: [String] = []
        if let head = lines.first(where: { $0["what"]?.text == "profile" }) {
            text.append(
                "\(cell(head, "stage")): \(cell(head, "calls")) calls in \(cell(head, "seconds"))"
                    + " s, \(cell(head, "cpu_seconds")) s of CPU time; "
                    + "\(cell(head, "samples")) samples by instructions, "
                    + "\(cell(head, "ticks")) by time")
        }
        let found = lines.filter { $0["what"]?.text == "line" }
        guard !found.isEmpty else {
            return text + ["no samples: its rule did not run long enough; take more --seconds"]
        }
        let rows = found.prefix(40).map { line in
            [
                percent(line["share"]), percent(line["cpu_share"]), cell(line, "samples"),
                cell(line, "place"), cell(line, "source"),
            ]
        }
        text += table([["SHARE", "CPU", "SAMPLES", "LINE", "SOURCE"]] + rows, right: 0..<3)
        if found.count > 40 { text.append("and \(found.count - 40) more lines") }
        return text
    }

    private static func cell(_ line: Record, _ name: String) -> String {
        switch line[name] {
        case .number(let number)? where number == number.rounded() && abs(number) < 1e15:
            "\(Int64(number))"
        case nil, .null?: "-"
        case .some(let value): value.text
        }
    }

    /// A share as a percentage with one digit, or two of a small one.
    private static func percent(_ value: Value?) -> String {
        guard let share = value?.double else { return "-" }
        let parts: Double = share < 0.01 ? 100 : 10
        let number = (share * 100 * parts).rounded() / parts
        return number == number.rounded() ? "\(Int(number))%" : "\(number)%"
    }

    private static func budget(_ line: Record) -> String {
        guard line["p99_of_budget"]?.double != nil else { return "-" }
        return "\(percent(line["p99_of_budget"])) / \(percent(line["max_of_budget"]))"
            + " of \(cell(line, "budget_ms"))ms"
    }

    private static func hottest(_ line: Record) -> String {
        guard line["hottest"]?.text.isEmpty == false, line["hottest"] != .null else { return "-" }
        return "\(cell(line, "hottest")) (\(percent(line["hottest_share"])))"
    }

    /// Columns as wide as their widest cell; those of `right` have numbers.
    static func table(_ rows: [[String]], right: Range<Int>) -> [String] {
        guard let first = rows.first else { return [] }
        let widths = first.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let gap = String(repeating: " ", count: widths[column] - cell.count)
                line +=
                    (column > 0 ? "  " : "") + (right.contains(column) ? gap + cell : cell + gap)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
