internal import Operating
import Records

/// What a dry run has found, for a person.
struct ReplayRendering {
    private let answer: Record
    private static let groupLimit = 10
    private static let changeLimit = 8

    init(_ answer: Record) { self.answer = answer }

    /// One screen of text; empty when the answer is none of a dry run.
    var text: String {
        guard answer["dry_run"] == true, case .array(let groups)? = answer["samples"] else {
            return ""
        }
        let total = count("total", in: answer)
        guard total > 0 else { return "there are no dead letters\n" }
        let dead = count("dead", in: answer)
        var parts = [
            "\(count("delivered", in: answer)) delivered",
            "\(count("dropped", in: answer)) dropped",
        ]
        if dead > 0 { parts.append("\(dead) would fail again") }
        let rules = answer["rule_set"].map { " (rule set \($0.text))" } ?? ""
        var lines = [
            "the current rules fix \(total - dead) of \(total): "
                + parts.joined(separator: ", ") + rules
        ]
        for group in groups.prefix(Self.groupLimit) {
            if case .object(let fields) = group { lines += describe(Record(fields)) }
        }
        if groups.count > Self.groupLimit {
            lines.append("and \(groups.count - Self.groupLimit) more kinds; --format json has them")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func describe(_ group: Record) -> [String] {
        let stage = group["stage"]?.text ?? ""
        let reason = Self.clip(group["reason"]?.text ?? "", to: 160)
        let heads = [
            "delivered": "delivered, failed in", "dropped": "dropped, failed in",
            "dead": "would fail again in",
        ]
        let head = heads[group["outcome"]?.text ?? ""] ?? ""
        var lines = ["", "\(count("count", in: group)) \(head) \(stage): \(reason)"]
        guard case .array(let records)? = group["records"] else { return lines }
        for record in records.prefix(2) {
            if case .object(let fields) = record { lines += describe(sample: Record(fields)) }
        }
        return lines
    }

    private func describe(sample: Record) -> [String] {
        let dropped = sample["dropped"].map { ": dropped: \(Self.clip($0.text, to: 80))" } ?? ""
        let target = sample["to"].map { " -> \($0.text)" } ?? ""
        var lines = ["  \(Self.clip(sample["id"]?.text ?? "", to: 80))\(target)\(dropped)"]
        guard case .array(let changes)? = sample["diff"] else { return lines }
        for change in changes.prefix(Self.changeLimit) {
            guard case .object(let fields) = change else { continue }
            let parts = Record(fields)
            lines.append(
                "    \(parts["path"]?.text ?? ""): \(Self.show(parts["before"])) -> "
                    + Self.show(parts["after"]))
        }
        if changes.isEmpty { lines.append("    unchanged") }
        if changes.count > Self.changeLimit {
            lines.append("    and \(changes.count - Self.changeLimit) more")
        }
        return lines
    }

    private func count(_ name: String, in record: Record) -> Int {
        if case .integer(let number)? = record[name] { Int(number) } else { 0 }
    }

    private static func show(_ value: Value?) -> String {
        value.map { clip(String(decoding: $0.json, as: UTF8.self), to: 80) } ?? "nothing"
    }

    /// One line of bounded length without anything that a terminal would obey.
    private static func clip(_ text: String, to length: Int) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(length) {
            let isControl = scalar.properties.generalCategory == .control
            shown.append(isControl ? "\u{FFFD}" : scalar)
        }
        return String(shown) + (text.unicodeScalars.count > length ? "…" : "")
    }
}
