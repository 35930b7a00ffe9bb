internal import Definitions
internal import Engine
internal import Records

/// What a rule made of the records of one test.
struct RuleOutcome {
    /// The rows of the main output.
    var main: [Value] = []
    /// The rows of the named outputs, as far as there are any.
    var outputs: [String: [Value]] = [:]
    /// Dropped records by reason.
    var dropped: [String: Int] = [:]
    /// The records that failed.
    var problems: [RuleProblem] = []
    /// Texts that `error` may be a part of, one list for each problem.
    var errorTexts: [[String]] = []
    /// The keyed state at the end.
    var state: [Field] = []
    /// What the rule logged.
    var log: [String] = []
    /// How often each line ran, when that was asked for.
    var lines: [String: [Int: Int]] = [:]

    /// What happened to the records, in a few words.
    var summary: String {
        var parts: [String] = []
        if !main.isEmpty { parts.append(main.count == 1 ? "passed on" : "\(main.count) rows") }
        for (name, rows) in outputs.sorted(by: { $0.key < $1.key }) where !rows.isEmpty {
            parts.append("sent to the output \"\(name)\"")
        }
        for reason in dropped.keys.sorted() { parts.append("dropped: \(reason)") }
        if !problems.isEmpty { parts.append("failed") }
        return parts.isEmpty ? "nothing came out" : parts.joined(separator: ", ")
    }
}

extension RuleTestExpectation {
    /// Why an outcome is not as expected; nil when it is.
    func failure(of outcome: RuleOutcome) -> RuleTestFailure? {
        var comparison = ValueComparison()
        var failure = RuleTestFailure()
        compareErrors(outcome, &failure, &comparison)
        compareFate(outcome, &comparison)
        let rows = routed.map { outcome.outputs[$0] ?? [] } ?? outcome.main
        if failure.errors.isEmpty {
            compareRows(rows, outcome, &comparison)
            compareState(outcome, &comparison)
        } else {
            // Differences field by field would only repeat the error.
            for (key, value) in [("out", out), ("contains", contains)] {
                if let value {
                    comparison.note(key, "expected \(text(value)), but the rule failed")
                }
            }
        }
        for field in outputs {
            let rows = Value.array(outcome.outputs[field.name] ?? [])
            let wanted =
                if case .array = field.value { field.value } else {
                    Value.array([field.value])
                }
            comparison.same(wanted, rows, at: "outputs.\(field.name)")
        }
        failure.differences = comparison.differences
        return failure.errors.isEmpty && failure.differences.isEmpty ? nil : failure
    }

    private func compareErrors(
        _ outcome: RuleOutcome, _ failure: inout RuleTestFailure,
        _ comparison: inout ValueComparison
    ) {
        guard let error else {
            failure.errors = outcome.problems
            return
        }
        if outcome.problems.isEmpty {
            comparison.note("error", "expected \"\(error)\", but the record was \(fate(outcome))")
        }
        for (problem, texts) in zip(outcome.problems, outcome.errorTexts)
        where !texts.contains(where: { $0.contains(error) }) {
            failure.errors.append(problem)
            comparison.note("error", "expected a text with \"\(error)\"")
        }
    }

    private func fate(_ outcome: RuleOutcome) -> String {
        outcome.summary == "nothing came out" ? "passed on" : outcome.summary
    }

    private func compareFate(_ outcome: RuleOutcome, _ comparison: inout ValueComparison) {
        if let dropped {
            let wrong = outcome.dropped.keys.filter { $0 != dropped }.sorted()
            for reason in wrong {
                comparison.note(
                    "dropped", "expected \(quote(dropped)), got \(quote(reason))")
            }
            if wrong.isEmpty, outcome.dropped.isEmpty, outcome.problems.isEmpty || error != nil {
                comparison.note(
                    "dropped", "expected \(quote(dropped)), but it was \(outcome.summary)")
            } else if out == nil, contains == nil, routed == nil, outputs.isEmpty, error == nil,
                !outcome.main.isEmpty
            {
                comparison.same(.array([]), .array(outcome.main), at: "out")
            }
        }
        if let routed, outcome.outputs[routed, default: []].isEmpty, outcome.problems.isEmpty {
            comparison.note(
                "routed", "expected \(quote(routed)), but it was \(outcome.summary)")
        }
    }

    private func quote(_ text: String) -> String {
        String(decoding: Value.string(text).json, as: UTF8.self)
    }

    private func compareRows(
        _ rows: [Value], _ outcome: RuleOutcome, _ comparison: inout ValueComparison
    ) {
        if let routed, rows.isEmpty, outcome.outputs[routed] == nil { return }
        if let out {
            if case .array = out {
                comparison.same(out, .array(rows), at: "out")
            } else if rows.count == 1 {
                comparison.same(out, rows[0], at: "out")
            } else if rows.isEmpty {
                comparison.note("out", "expected \(text(out)), but it was \(outcome.summary)")
            } else {
                comparison.same(.array([out]), .array(rows), at: "out")
            }
        }
        guard let contains else { return }
        if case .array = contains {
            comparison.part(contains, .array(rows), at: "contains")
            return
        }
        // Of several rows one must have it; the nearest one shows what is missing.
        let attempts = rows.map { row in
            var attempt = ValueComparison()
            attempt.part(contains, row, at: "contains")
            return attempt.differences
        }
        guard let best = attempts.min(by: { $0.count < $1.count }) else {
            comparison.note(
                "contains", "expected \(text(contains)), but it was \(outcome.summary)")
            return
        }
        comparison.add(best)
    }

    private func text(_ value: Value) -> String { String(decoding: value.json, as: UTF8.self) }

    /// A key that `after` does not name must be as it was before; null stands for none.
    private func compareState(_ outcome: RuleOutcome, _ comparison: inout ValueComparison) {
        guard let stateAfter else { return }
        var wanted = Record(stateBefore)
        for field in stateAfter {
            wanted[field.name] = field.value == .null ? .none : Optional(field.value)
        }
        comparison.same(.object(wanted.fields), .object(outcome.state), at: "state.after")
    }
}
