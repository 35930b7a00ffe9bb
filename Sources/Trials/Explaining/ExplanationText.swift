internal import Engine
package import Records

extension LookTables {
    /// What `explain` shows.
    package static func explanation(_ lines: [Record]) -> [String] {
        var text: [String] = []
        for line in lines {
            switch line["what"]?.text {
            case "record": text += head(line)
            case "stage": text += stage(line)
            default: text.append(end(line, isTold: text.contains { $0.contains(": dead letter") }))
            }
        }
        return text
    }

    private static func head(_ line: Record) -> [String] {
        let what = words(line, "source") == words(line, "file") ? "row" : "line"
        let place = "\(what) \(words(line, "line")) of \(words(line, "file"))"
        var text = [
            "\(words(line, "id")): \(place), found in \(words(line, "found_in")); rule set "
                + words(line, "rule_set"),
            "  " + (line["record"] ?? line["original"] ?? "").text,
        ]
        if case .object(let fields)? = line["letter"] {
            let letter = Record(fields)
            text.append(
                "  a dead letter of \(words(letter, "stage")) since \(words(letter, "at")), rule "
                    + "set \(words(letter, "rule_set")): \(words(letter, "reason"))")
        }
        return text
    }

    private static func stage(_ line: Record) -> [String] {
        var title = words(line, "stage")
        if let file = line["file"], file != .null { title += " (\(file.text))" }
        var outcome = words(line, "outcome")
        switch outcome {
        case "dead": outcome = "dead letter: \(words(line, "reason"))"
        case "dropped": outcome = "dropped: \(words(line, "reason"))"
        case "routed": outcome = "routed to \(words(line, "output"))"
        case "aggregated": outcome = "taken into its windows"
        case "nothing": outcome = "nothing came out"
        default: break
        }
        if case .array(let targets)? = line["to"] {
            let names = targets.map(\.text).joined(separator: ", ")
            outcome += names.isEmpty ? ", where nobody takes it" : " -> \(names)"
        }
        var text = ["\(title): \(outcome)"]
        for change in list(line["changes"]) {
            text.append(
                "  \(words(change, "path")): \(value(change["before"])) -> "
                    + value(change["after"]))
        }
        for row in list(line["emitted"]) {
            let output = row["output"] == .null ? "" : " to \(words(row, "output"))"
            text.append("  emitted\(output): \(value(row["record"]))")
        }
        for row in list(line["rows"]) {
            let output = row["output"] == .null ? "" : " to \(words(row, "output"))"
            text.append("  row\(output): \(value(row["record"]))")
        }
        if case .array(let trace)? = line["trace"] { text += trace.map { "  " + traced($0) } }
        return text
    }

    private static func end(_ line: Record, isTold: Bool) -> String {
        switch line["outcome"]?.text {
        case "dead":
            "= dead letter of \(words(line, "stage"))"
                + (isTold ? "" : ": \(words(line, "reason"))")
        case "aggregated": "= taken into windows"
        case "dropped": "= dropped"
        default: "= delivered to " + list(names: line["sinks"]).joined(separator: ", ")
        }
    }

    /// `rules/x.lua:3: a=1` of a trace, whether that is a text or an object.
    private static func traced(_ entry: Value) -> String {
        guard case .object(let fields) = entry else { return entry.text }
        let entry = Record(fields)
        return "\(words(entry, "file")):\(words(entry, "line")): \(words(entry, "values"))"
    }

    private static func list(_ value: Value?) -> [Record] {
        guard case .array(let items)? = value else { return [] }
        return items.compactMap { if case .object(let fields) = $0 { Record(fields) } else { nil } }
    }

    private static func list(names value: Value?) -> [String] {
        guard case .array(let items)? = value else { return [] }
        return items.map(\.text)
    }

    static func words(_ line: Record, _ name: String) -> String { line[name]?.text ?? "" }

    private static func value(_ value: Value?) -> String {
        value.map { String(decoding: $0.json, as: UTF8.self) } ?? "nothing"
    }
}
