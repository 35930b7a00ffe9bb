package import Connecting
package import Engine
internal import Records

/// What came of running the tests of a rule set.
package struct RuleTestReport: Sendable {
    /// What is wrong with the test files themselves; such a file has not been run.
    package var findings: [Diagnostic] = []
    /// One result per test, in the order of files and tests.
    package var results: [RuleTestResult] = []
    /// How many tests were left out because their names did not match.
    package var skipped = 0
    /// The seconds it took.
    package var seconds = 0.0
    /// Which lines ran, when that was asked for; sorted by file.
    package var coverage: [RuleCoverage] = []

    /// Creates an empty report.
    package init() {}

    /// True when every test passed and no test file is broken.
    package var isPassed: Bool {
        findings.isEmpty && results.allSatisfy { $0.failure == nil }
    }

    /// The tests that did not pass.
    package var failed: [RuleTestResult] { results.filter { $0.failure != nil } }
}

/// One test and what came of it.
package struct RuleTestResult: Sendable {
    /// Its name.
    package var name: String
    /// Where it stands.
    package var location: Location
    /// The rule file that it tests.
    package var rule: String
    /// The seconds it took.
    package var seconds: Double
    /// Why it failed; nil when it passed.
    package var failure: RuleTestFailure?
}

/// Why a test failed.
package struct RuleTestFailure: Sendable {
    /// The errors of the rule that the test did not expect.
    package var errors: [RuleProblem] = []
    /// Where what came out differs from what was expected.
    package var differences: [Difference] = []
    /// The JSON texts that went in.
    package var inputs: [String] = []
    /// What the rule logged meanwhile.
    package var log: [String] = []
    /// The line of the rule to look at first.
    package var place: Location?
    /// True when the rule file could not be loaded at all.
    package var isLoadError = false
}

/// An error of a rule.
package struct RuleProblem: Error, Hashable {
    /// The text, as a rule: `rules/x.lua:3: attempt to …`.
    package var message: String
    /// The file it comes from.
    package var file: String
    /// The line, or 0.
    package var line: Int
    /// The values at each line on the way there.
    package var trace: [String]

    /// Creates a problem.
    package init(message: String, file: String, line: Int, trace: [String] = []) {
        self.message = message
        self.file = file
        self.line = line
        self.trace = trace
    }

    /// The message, with file and line in front when it lacks them.
    package var text: String {
        line == 0 || message.hasPrefix(file) ? message : "\(file):\(line): \(message)"
    }
}

/// How much of a file ran.
package struct RuleCoverage: Sendable {
    /// The file.
    package var file: String
    /// The lines that can run.
    package var lines: Int
    /// Those that did not.
    package var missing: [Int]
}
