internal import Definitions
internal import Engine
internal import Records

/// What a whole pipeline made of the records of one test.
struct PipelineTestOutcome {
    /// The rows by sink, in the order of their arrival.
    var rows: [String: [Value]]
    /// The dead letters.
    var letters: [Value]

    /// Why it is not as expected; nil when it is.
    func failure(of test: PipelineTestCase) -> RuleTestFailure? {
        var failure = RuleTestFailure()
        var comparison = ValueComparison()
        compareLetters(test.dead, &failure, &comparison)
        for field in test.rows {
            var wanted = field.value
            if case .array = wanted {} else { wanted = .array([wanted]) }
            comparison.same(wanted, .array(rows[field.name] ?? []), at: "out.\(field.name)")
        }
        for field in test.parts { comparePart(field, &comparison) }
        failure.differences = comparison.differences
        return failure.errors.isEmpty && failure.differences.isEmpty ? nil : failure
    }

    /// Each part must be in a row of its own, wherever that stands.
    private func comparePart(_ field: Field, _ comparison: inout ValueComparison) {
        var wanted = [field.value]
        if case .array(let items) = field.value { wanted = items }
        var left = rows[field.name] ?? []
        for (index, part) in wanted.enumerated() {
            let path = "contains.\(field.name)[\(index + 1)]"
            let attempts = left.map { row in
                var attempt = ValueComparison()
                attempt.part(part, row, at: path)
                return attempt.differences
            }
            let best = attempts.indices.min { attempts[$0].count < attempts[$1].count }
            guard let best else {
                let text = String(decoding: part.json, as: UTF8.self)
                comparison.note(path, "expected a row with \(text), but there is no other row")
                continue
            }
            if attempts[best].isEmpty { left.remove(at: best) }
            comparison.add(attempts[best])
        }
    }

    private func compareLetters(
        _ expected: Value?, _ failure: inout RuleTestFailure, _ comparison: inout ValueComparison
    ) {
        switch expected {
        case nil:
            var outcome = RuleOutcome()
            for letter in letters { outcome.add(letter) }
            failure.errors = outcome.problems
        case .integer(let count):
            guard Int64(letters.count) != count else { return }
            comparison.same(.integer(count), .integer(Int64(letters.count)), at: "dead")
            for letter in letters.prefix(5) {
                comparison.note("dead", "came: \(Self.text(letter))")
            }
        case .array(let parts):
            for (index, part) in parts.enumerated() where letters.indices.contains(index) {
                comparison.part(
                    Self.filled(part, letters[index]), letters[index], at: "dead[\(index + 1)]")
            }
            for part in parts.dropFirst(letters.count) {
                let text = String(decoding: part.json, as: UTF8.self)
                comparison.note("dead", "expected one with \(text), but there is no other")
            }
            for letter in letters.dropFirst(parts.count) {
                comparison.note("dead", "not expected: \(Self.text(letter))")
            }
        default: return
        }
    }

    /// Where a text is a part of the letter's own, that one takes its place.
    private static func filled(_ part: Value, _ letter: Value) -> Value {
        guard case .object(let wanted) = part, case .object(let fields) = letter else {
            return part
        }
        let found = Record(fields)
        return .object(
            wanted.map { field in
                guard ["reason", "error"].contains(field.name),
                    case .string(let text) = field.value,
                    case .string(let whole)? = found[field.name], whole.contains(text)
                else { return field }
                return Field(field.name, .string(whole))
            })
    }

    private static func text(_ letter: Value) -> String {
        guard case .object(let fields) = letter else { return "" }
        let record = Record(fields)
        let stage = record["stage"]?.text ?? ""
        return "\(stage): \(record["error"]?.text ?? record["reason"]?.text ?? "")"
    }
}
