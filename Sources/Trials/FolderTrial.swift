internal import Connecting
package import Definitions
package import Engine
package import Scripting

/// The trial of a version by the tests in its folder and by a shadow run.
package struct FolderTrial: VersionTrial {
    /// The one way to try a version.
    package init() {}

    /// Runs the `*.test.yaml` files below `rules/`; nil when there are none.
    package func test(_ plan: Plan, until: TrialLimit) -> TestVerdict? {
        let files = RuleTests.files(in: plan.definition.folder)
        guard !files.isEmpty else { return nil }
        let report = RuleTests.run(plan, files: files, until: until)
        let total = report.results.count
        let count = TestCount(passed: total - report.failed.count, total: total)
        guard !report.isPassed else { return TestVerdict(count: count, failure: nil) }
        var lines = report.findings.prefix(5).map { "\($0.location): \($0.message)" }
        for result in report.failed.prefix(5) {
            lines.append("\(result.location): the test \"\(result.name)\" failed")
            lines += result.failure?.errors.prefix(2).map { "  \($0.text)" } ?? []
            lines += result.failure?.differences.prefix(3).map { "  \($0.text)" } ?? []
        }
        let more = report.findings.count + report.failed.count - 10
        if more > 0 { lines.append("and \(more) more") }
        return TestVerdict(count: count, failure: lines.joined(separator: "\n"))
    }

    /// Runs both versions over the records.
    package func compare(
        _ active: Plan, _ next: Plan, lookups: [String: Lookup], over chunks: [RecordRing.Chunk],
        limit: Int, until: TrialLimit
    ) throws(RuleError) -> ShadowReport {
        try ShadowRun.run(active, next, lookups: lookups, over: chunks, limit: limit, until: until)
    }
}
