internal import Connecting
internal import Engine
internal import Operating
import Records
internal import Trials

/// The results of tests for a person: only what failed, then one line that sums it up.
struct TestRendering {
    let report: RuleTestReport
    let folder: String

    /// The whole text.
    var text: String {
        var lines: [String] = []
        var brokenRules: Set<String> = []
        for result in report.failed {
            guard let failure = result.failure else { continue }
            if failure.isLoadError {
                if brokenRules.insert(result.rule).inserted {
                    lines += loadError(result, failure) + [""]
                }
                continue
            }
            lines += describe(result, failure) + [""]
        }
        lines += coverage
        if let summary { lines.append(summary) }
        return lines.map { $0 + "\n" }.joined()
    }

    private var summary: String? {
        guard !report.results.isEmpty else { return nil }
        let failed = report.failed.count
        let skipped = report.skipped > 0 ? ", \(report.skipped) left out" : ""
        let passed = "\(report.results.count - failed) passed"
        return (failed > 0 ? "\(failed) failed, \(passed)" : passed) + skipped
    }

    private func loadError(_ result: RuleTestResult, _ failure: RuleTestFailure) -> [String] {
        let count = report.failed.filter { $0.rule == result.rule }.count
        let tests = count == 1 ? "its test" : "its \(count) tests"
        var lines = ["FAIL \(result.rule) cannot be loaded, so \(tests) did not run"]
        for error in failure.errors {
            lines.append("  error: \(error.text)")
            lines += source(Location(file: error.file, line: error.line, column: 1))
        }
        return lines
    }

    private func describe(_ result: RuleTestResult, _ failure: RuleTestFailure) -> [String] {
        var lines = ["FAIL \(result.location.file):\(result.location.line): \(result.name)"]
        for error in failure.errors {
            lines.append("  error: \(error.text)")
            lines += error.trace.suffix(8).map { "    \($0)" }
        }
        lines += failure.differences.prefix(20).map { "  \($0.text)" }
        if failure.differences.count > 20 {
            lines.append("  … and \(failure.differences.count - 20) more differences")
        }
        lines += failure.inputs.prefix(5).map { "  in: \($0)" }
        if failure.inputs.count > 5 {
            lines.append("  … and \(failure.inputs.count - 5) more records")
        }
        lines += failure.log.prefix(10).map { "  log: \($0)" }
        if let place = failure.place { lines += source(place) }
        return lines
    }

    private func source(_ place: Location) -> [String] {
        guard place.line > 0,
            let bytes = readWholeFile(
                place.file.hasPrefix("/") ? place.file : folder + "/" + place.file)
        else { return [] }
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        guard place.line <= lines.count else { return [] }
        return ["  \(place.file):\(place.line) | \(lines[place.line - 1])"]
    }

    private var coverage: [String] {
        report.coverage.map { file in
            let ran = file.lines - file.missing.count
            let share = file.lines == 0 ? 100 : ran * 100 / file.lines
            let missing = file.missing.isEmpty ? "" : ", not run: \(Self.ranges(file.missing))"
            return "coverage \(file.file): \(share) % (\(ran) of \(file.lines) lines)\(missing)"
        }
    }

    /// `3, 7-9` for 3, 7, 8 and 9.
    static func ranges(_ lines: [Int]) -> String {
        var ranges: [ClosedRange<Int>] = []
        for line in lines {
            if let last = ranges.last, last.upperBound + 1 == line {
                ranges[ranges.count - 1] = last.lowerBound...line
            } else {
                ranges.append(line...line)
            }
        }
        return ranges.map {
            $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
        }.joined(separator: ", ")
    }
}

extension RuleTestResult {
    /// One object on one line.
    var json: String {
        var fields = [
            Field("file", .string(location.file)), Field("line", .integer(Int64(location.line))),
            Field("name", .string(name)), Field("rule", .string(rule)),
            Field("status", .string(failure == nil ? "passed" : "failed")),
            Field("seconds", .number((seconds * 1e6).rounded() / 1e6)),
        ]
        if let failure {
            fields.append(Field("errors", .array(failure.errors.map { .string($0.text) })))
            fields.append(
                Field(
                    "differences",
                    .array(
                        failure.differences.map { difference in
                            var parts = [Field("path", .string(difference.path))]
                            if let note = difference.note {
                                parts.append(Field("note", .string(note)))
                            }
                            if let value = difference.expected {
                                parts.append(Field("expected", value))
                            }
                            if let value = difference.actual {
                                parts.append(Field("actual", value))
                            }
                            return .object(parts)
                        })))
        }
        return Record(fields).description
    }
}
