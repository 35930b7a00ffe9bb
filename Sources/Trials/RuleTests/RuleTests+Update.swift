internal import Connecting
package import Definitions
internal import Engine
internal import Records
package import Scripting

extension RuleTests {
    /// The test files as they are with what came out as what is expected; only those that change.
    ///
    /// An error is never made an expectation: a test whose rule fails stays as it is.
    package static func updated(
        _ files: [RuleSet.File], _ plan: Plan, filter: String? = nil
    ) -> [RuleSet.File] {
        var tests = RuleTests(plan, files: files)
        tests.filter = filter
        return files.compactMap { tests.update($0) }
    }

    private mutating func update(_ file: RuleSet.File) -> RuleSet.File? {
        guard !PipelineTestFiles.isOne(file), let read = read(file).file,
            let script = script(read.rule.path)
        else { return nil }
        var edits = YAMLEdits(String(decoding: file.bytes, as: UTF8.self))
        let isAggregate = isAggregate(script)
        for test in read.cases where filter.map({ test.name.contains($0) }) ?? true {
            guard let outcome = try? outcome(of: test, script, isAggregate: isAggregate),
                outcome.problems.isEmpty
            else { continue }
            let expected = test.expected
            let failure =
                isAggregate ? expected.aggregateFailure(of: outcome) : expected.failure(of: outcome)
            guard let failure else { continue }
            let change = ExpectationChange(test: test, outcome: outcome, failure: failure)
            change.apply(to: &edits, isAggregate: isAggregate)
        }
        if edits.isEmpty { return nil }
        return RuleSet.File(path: file.path, bytes: Array(edits.text.utf8))
    }
}

/// Makes what came out of a test what it expects.
private struct ExpectationChange {
    let test: RuleTestCase
    let outcome: RuleOutcome
    let failure: RuleTestFailure

    /// True when the test is written between braces.
    private var inFlow: Bool {
        guard let first = test.entries.first else { return false }
        return first.location.column > test.location.column
            || first.location.line > test.location.line
    }

    private func entry(_ key: String) -> Setting.Entry? { test.entries.first { $0.key == key } }

    private func differs(_ key: String) -> Bool {
        failure.differences.contains {
            $0.path == key || $0.path.hasPrefix(key + ".") || $0.path.hasPrefix(key + "[")
        }
    }

    func apply(to edits: inout YAMLEdits, isAggregate: Bool) {
        if differs("state.after") { replaceState(&edits) }
        if differs("outputs"), let entry = entry("outputs") {
            let rows = test.expected.outputs.map {
                Field($0.name, .array(outcome.outputs[$0.name] ?? []))
            }
            edits.replace(entry.value, by: .object(rows), inFlow: inFlow)
        }
        if isAggregate {
            if let result = outcome.main.first { replaceRows([result], &edits, isAggregate: true) }
            return
        }
        let rows = test.expected.routed.map { outcome.outputs[$0] ?? [] } ?? outcome.main
        let isOther =
            differs("error") || differs("dropped") || differs("routed")
            || (rows.isEmpty && (differs("out") || differs("contains")))
        if isOther { replaceFate(&edits) } else { replaceRows(rows, &edits, isAggregate: false) }
    }

    /// It went another way, so the key that tells the way is another one.
    private func replaceFate(_ edits: inout YAMLEdits) {
        let keys = ["error", "dropped", "routed", "out", "contains"]
        let present = test.entries.filter { keys.contains($0.key) }
        guard let first = present.first else { return }
        let fate = fate
        if present.count == 1 {
            edits.replace(first, by: fate, inFlow: inFlow)
        } else if present.map(\.key).sorted() == fate.map(\.name).sorted() {
            for field in fate {
                if let entry = entry(field.name) {
                    edits.replace(entry.value, by: field.value, inFlow: inFlow)
                }
            }
        }
    }

    private var fate: [Field] {
        if let (output, rows) = outcome.outputs.first(where: { !$0.value.isEmpty }),
            outcome.main.isEmpty
        {
            return [Field("routed", .string(output)), Field("out", one(rows))]
        }
        if outcome.main.isEmpty, let reason = outcome.dropped.keys.sorted().first {
            return [Field("dropped", .string(reason))]
        }
        return [Field("out", one(outcome.main))]
    }

    private func one(_ rows: [Value]) -> Value { rows.count == 1 ? rows[0] : .array(rows) }

    private func replaceRows(_ rows: [Value], _ edits: inout YAMLEdits, isAggregate: Bool) {
        if differs("out"), let entry = entry("out") {
            var value = one(rows)
            if case .array? = test.expected.out, !isAggregate { value = .array(rows) }
            edits.replace(entry.value, by: value, inFlow: inFlow)
        }
        guard differs("contains"), let entry = entry("contains"),
            let contains = test.expected.contains
        else { return }
        let row =
            rows.min { distance(contains, $0) < distance(contains, $1) } ?? .null
        var value = part(contains, of: row)
        if case .array = contains, !isAggregate { value = part(contains, of: .array(rows)) }
        edits.replace(entry.value, by: value, inFlow: inFlow)
    }

    private func distance(_ wanted: Value, _ row: Value) -> Int {
        var comparison = ValueComparison()
        comparison.part(wanted, row, at: "")
        return comparison.differences.count
    }

    /// The fields that are looked at, with the values that came.
    private func part(_ wanted: Value, of actual: Value) -> Value {
        switch (wanted, actual) {
        case (.object(let fields), .object(let found)):
            return .object(
                fields.compactMap { field in
                    Record(found)[field.name].map { Field(field.name, part(field.value, of: $0)) }
                })
        case (.array(let items), .array(let found)) where items.count == found.count:
            return .array(zip(items, found).map { part($0, of: $1) })
        default: return actual
        }
    }

    private func replaceState(_ edits: inout YAMLEdits) {
        guard case .mapping(let entries)? = entry("state")?.value.content,
            let after = entries.first(where: { $0.key == "after" })
        else { return }
        let before = Record(test.expected.stateBefore)
        let now = Record(outcome.state)
        var names = (test.expected.stateAfter ?? []).map(\.name)
        names += (now.fields + before.fields).map(\.name).filter {
            !names.contains($0) && now[$0] != before[$0]
        }
        let fields = names.map { Field($0, now[$0] ?? .null) }
        edits.replace(after.value, by: .object(fields), inFlow: inFlow)
    }
}
