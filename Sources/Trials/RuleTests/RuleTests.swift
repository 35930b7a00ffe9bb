internal import Connecting
package import Definitions
package import Engine
internal import Glibc
internal import Records
package import Scripting
internal import Threads

/// Runs the `*.test.yaml` files of a pipeline folder against a rule set.
///
/// A `RuleTests` belongs to the thread that runs it; it prints nothing and changes no file.
package struct RuleTests {
    /// Only tests whose name contains this text are run.
    package var filter: String?
    /// Whether to tell which lines ran; that slows the rules down.
    package var measuresCoverage = false
    /// Ends the tests before their end; nil: nothing does.
    private var limit: TrialLimit?
    private let plan: Plan
    private let files: [RuleSet.File]
    private var tables: [String: Lookup] = [:]
    private var outputs: [String: [String]] = [:]
    private var lines: [String: [Int: Int]] = [:]

    /// Prepares the tests in `files`; what is tested are the scripts in `plan`, and only a rule
    /// that no stage uses is read from the folder.
    package init(_ plan: Plan, files: [RuleSet.File]) {
        self.plan = plan
        self.files = files
    }

    /// The test files of a pipeline folder: those of rules, then those of the whole pipeline.
    package static func files(in folder: String) -> [RuleSet.File] {
        RuleTestFiles.all(in: folder) + PipelineTestFiles.all(in: folder)
    }

    /// Runs every test; what is wrong with the test files is in the report, too.
    package static func run(
        _ plan: Plan, files: [RuleSet.File], filter: String? = nil, measuresCoverage: Bool = false,
        until limit: TrialLimit? = nil
    ) -> RuleTestReport {
        var tests = RuleTests(plan, files: files)
        tests.limit = limit
        tests.filter = filter
        tests.measuresCoverage = measuresCoverage
        return tests.run()
    }

    /// Runs every test, unless there is a limit that ends it.
    package mutating func run() -> RuleTestReport {
        let start = monotonicNanoseconds()
        var report = RuleTestReport()
        for file in files {
            if PipelineTestFiles.isOne(file) {
                runPipelineTests(file, into: &report)
                continue
            }
            let (read, findings) = read(file)
            report.findings += findings
            if let read { run(read, into: &report) }
        }
        report.coverage = measuresCoverage ? coverage() : []
        report.seconds = Double(monotonicNanoseconds() - start) / 1e9
        return report
    }

    /// Runs the tests of `tests/NAME.yaml`.
    private func runPipelineTests(_ file: RuleSet.File, into report: inout RuleTestReport) {
        let (read, findings) = PipelineTestFiles.read(file, for: plan)
        report.findings += findings
        let runner = PipelineTestRun(plan, limit)
        for test in read?.cases ?? [] {
            guard limit?.reason == nil else { return }
            if let filter, !test.name.contains(filter) {
                report.skipped += 1
                continue
            }
            report.results.append(runner.run(test))
        }
    }

    /// A test file as values, or what is wrong with it.
    func read(_ file: RuleSet.File) -> (file: RuleTestFile?, findings: [Diagnostic]) {
        RuleTestFiles.read(file, for: plan)
    }

    /// A rule file of the rule set, or else of the folder.
    func script(_ path: String) -> RuleSet.File? { RuleTestFiles.script(path, for: plan) }

    private mutating func run(_ file: RuleTestFile, into report: inout RuleTestReport) {
        guard let script = script(file.rule.path) else { return }
        if measuresCoverage, lines[script.path] == nil { lines[script.path] = [:] }
        for test in file.cases {
            guard limit?.reason == nil else { return }
            if let filter, !test.name.contains(filter) {
                report.skipped += 1
                continue
            }
            let start = monotonicNanoseconds()
            var failure: RuleTestFailure?
            do {
                failure = try run(test, of: script)
            } catch {
                failure = RuleTestFailure(errors: [error], isLoadError: true)
            }
            if var found = failure {
                found.inputs = test.inputs.map { String(decoding: $0, as: UTF8.self) }
                found.place = RuleLines(script).place(of: found)
                failure = found
            }
            report.results.append(
                RuleTestResult(
                    name: test.name, location: test.location, rule: script.path,
                    seconds: Double(monotonicNanoseconds() - start) / 1e9, failure: failure))
        }
    }

    private mutating func run(
        _ test: RuleTestCase, of script: RuleSet.File
    ) throws(RuleProblem) -> RuleTestFailure? {
        let isAggregate = isAggregate(script)
        let outcome = try outcome(of: test, script, isAggregate: isAggregate)
        for (name, counts) in outcome.lines {
            lines[name, default: [:]].merge(counts) { $0 + $1 }
        }
        var failure =
            isAggregate
            ? test.expected.aggregateFailure(of: outcome) : test.expected.failure(of: outcome)
        failure?.log = outcome.log
        return failure
    }

    /// What the script makes of a test; throws when it cannot be loaded.
    mutating func outcome(
        of test: RuleTestCase, _ script: RuleSet.File, isAggregate: Bool
    ) throws(RuleProblem) -> RuleOutcome {
        do throws(RuleError) {
            let lookups = try lookups(for: test)
            if isAggregate {
                return try AggregateTest(
                    plan: plan, script: script, countsLines: measuresCoverage
                ).run(test, lookups: lookups)
            }
            var vm = RuleTestVM(
                plan: plan, script: script, outputs: outputs[script.path] ?? [],
                countsLines: measuresCoverage)
            defer { outputs[script.path] = vm.outputs }
            return try vm.run(test, lookups: lookups)
        } catch {
            throw RuleLines(script).problem(error.description)
        }
    }

    /// A file that some aggregate stage computes with, or else one that defines no `process`.
    func isAggregate(_ script: RuleSet.File) -> Bool {
        for stage in plan.definition.stages {
            switch stage.work {
            case .files(_, let rule): if rule?.path == script.path { return false }
            case .aggregate(let aggregate):
                if aggregate.userFiles.contains(where: { $0.path == script.path }) { return true }
            case .native: break
            }
        }
        return !String(decoding: script.bytes, as: UTF8.self).contains("process")
    }

    /// The rows of the test, and the tables of the pipeline for all other names.
    private mutating func lookups(
        for test: RuleTestCase
    ) throws(RuleError) -> [String: Lookup] {
        var found: [String: Lookup] = [:]
        for definition in plan.definition.lookups {
            if let rows = test.lookups[definition.name] {
                let isText = TextFormat(name: definition.path).records == .csv
                found[definition.name] = rows.table(key: definition.key, isText: isText)
                continue
            }
            if let known = tables[definition.name] {
                found[definition.name] = known
                continue
            }
            do throws(PipelineError) {
                let file = LookupFile(definition: definition, folder: plan.definition.folder)
                let table = try file.read()
                tables[definition.name] = table
                found[definition.name] = table
            } catch {
                throw RuleError(error.description)
            }
        }
        return found
    }

    private func coverage() -> [RuleCoverage] {
        lines.keys.sorted().compactMap { path in
            guard let script = script(path) else { return nil }
            let all = executableLines(of: script.bytes)
            let ran = lines[path] ?? [:]
            return RuleCoverage(
                file: path, lines: all.count, missing: all.filter { ran[$0] == nil })
        }
    }

}

extension LookupRows {
    /// The table; cells of a CSV file are texts, so the values of its stand-in are, too.
    func table(key: String, isText: Bool) -> Lookup {
        var columns: [String] = []
        for row in rows {
            for field in row.fields where !columns.contains(field.name) {
                columns.append(field.name)
            }
        }
        if columns.isEmpty { columns = [key] }
        var builder = LookupBuilder(columns: columns)
        for row in rows {
            builder.beginRow(key: Array((row[key] ?? .null).text.utf8))
            for (index, column) in columns.enumerated() {
                guard let value = row[column] else { continue }
                if case .string(let text) = value {
                    builder.set(index, to: Array(text.utf8), isJSON: false)
                } else {
                    builder.set(index, to: value.json, isJSON: !isText)
                }
            }
        }
        return builder.finish()
    }
}
