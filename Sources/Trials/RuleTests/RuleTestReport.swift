public import Connecting
public import Engine
internal import Records

/// What came of running the tests of a rule set.
public struct RuleTestReport: Sendable {
    /// What is wrong with the test files themselves; such a file has not been run.
    public var findings: [Diagnostic] = []
    /// One result per test, in the order of files and tests.
    public var results: [RuleTestResult] = []
    /// How many tests were left out because their names did not match.
    public var skipped = 0
    /// The seconds it took.
    public var seconds = 0.0
    /// Which lines ran, when that was asked for; sorted by file.
    public var coverage: [RuleCoverage] = []

    /// Creates an empty report.
    public init() {}

    /// True when every test passed and no test file is broken.
    public var isPassed: Bool {
        findings.isEmpty && results.allSatisfy { $0.failure == nil }
    }

    /// The tests that did not pass.
    public var failed: [RuleTestResult] { results.filter { $0.failure != nil } }
}

/// One test and what came of it.
public struct RuleTestResult: Sendable {
    /// Its name.
    public var name: String
    /// Where it stands.
    public var location: Location
    /// The rule file that it tests.
    public var rule: String
    /// The seconds it took.
    public var seconds: Double
    /// Why it failed; nil when it passed.
    public var failure: RuleTestFailure?
}

/// Why a test failed.
public struct RuleTestFailure: Sendable {
    /// The errors of the rule that the test did not expect.
    public var errors: [RuleProblem] = []
    /// Where what came out differs from what was expected.
    public var differences: [Difference] = []
    /// The JSON texts that went in.
    public var inputs: [String] = []
    /// What the rule logged meanwhile.
    public var log: [String] = []
    /// The line of the rule to look at first.
    public var place: Location?
    /// True when the rule file could not be loaded at all.
    public var isLoadError = false
}

/// An error of a rule.
public struct RuleProblem: Error, Hashable {
    /// The text, as a rule: `rules/x.lua:3: attempt to …`.
    public var message: String
    /// The file it comes from.
    public var file: String
    /// The line, or 0.
    public var line: Int
    /// The values at each line on the way there.
    public var trace: [String]

    /// Creates a problem.
    public init(message: String, file: String, line: Int, trace: [String] = []) {
        self.message = message
        self.file = file
        self.line = line
        self.trace = trace
    }

    /// The message, with file and line in front when it lacks them.
    public var text: String {
        line == 0 || message.hasPrefix(file) ? message : "\(file):\(line): \(message)"
    }
}

/// How much of a file ran.
public struct RuleCoverage: Sendable {
    /// The file.
    public var file: String
    /// The lines that can run.
    public var lines: Int
    /// Those that did not.
    public var missing: [Int]
}
