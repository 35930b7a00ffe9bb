internal import Definitions
internal import Threads

/// What somebody wants of a reload.
public struct ReloadRequest: Sendable {
    /// What asks: `watch`, `command` or `rollback`.
    public var by = "command"
    /// The user who asks; nil: the one whose process this is.
    public var user: String?
    /// How many records the version is tried on; nil: as `pipeline.yaml` says.
    public var shadow: Int?
    /// The share of them that may come out differently, 0 to 1; nil: as `pipeline.yaml` says.
    public var maxDifference: Double?
    /// Lint, tests, differences and state of a newer layout do not stop it.
    public var force = false
    /// False once nobody waits for the answer, which ends the trial; asked often, on the thread
    /// that tries the version.
    package var isWanted: @Sendable () -> Bool = { true }

    /// Creates a request with the pipeline's own settings.
    public init() {}
}

/// What came of it.
public struct ReloadOutcome: Sendable {
    /// How it ended.
    public enum Result: String, Sendable {
        /// The version runs.
        case active
        /// The files are those of the version that runs.
        case unchanged
        /// It was refused; everything is as it was.
        case refused
    }

    /// How it ended.
    public var result: Result
    /// The version that was wanted.
    public var version: String
    /// Where it was refused: `compile`, `test`, `shadow` or `migrate`.
    public var step: String?
    /// Why, on one screen: file and line, the test, or the figures of the shadow run.
    public var reason: String?
    /// What the shadow run has found, if there was one.
    public var shadow: ShadowReport?
    /// How many tests passed, of how many; nil when none ran.
    public var tests: TestCount?
    /// Milliseconds from the request until the version ran.
    public var milliseconds = 0.0
    /// The longest that records of a thread waited for the switch itself, in milliseconds.
    public var pauseMilliseconds = 0.0
}

/// How many tests of a version passed.
public struct TestCount: Sendable, Hashable {
    /// Those that passed.
    public var passed: Int
    /// All that ran.
    public var total: Int

    /// Puts the two counts together.
    package init(passed: Int, total: Int) {
        self.passed = passed
        self.total = total
    }
}

/// A reload on its way, and what it has found out so far.
struct ReloadAttempt {
    let request: ReloadRequest
    let user: String
    let started = monotonicNanoseconds()
    let limit: TrialLimit
    var tests: TestCount?
    var shadow: ShadowReport?

    init(_ request: ReloadRequest, _ settings: ReloadDefinition) {
        self.request = request
        limit = TrialLimit(nanoseconds: settings.timeoutNanoseconds, isWanted: request.isWanted)
        user = request.user ?? userName()
    }

    /// The version ran before, or somebody insists: what it does is known.
    var isTrusted: Bool { request.force || request.by == "rollback" }

    /// A row about what came of it.
    func row(
        _ version: String, _ state: VersionRow.State, _ outcome: VersionRow.Outcome,
        step: String? = nil, reason: String? = nil
    ) -> VersionRow {
        var row = VersionRow(version, state, outcome, by: request.by, user: user)
        row.step = step
        row.reason = reason
        row.tests = tests
        row.shadow = shadow
        return row
    }

    /// The answer to whoever asked.
    func outcome(_ result: ReloadOutcome.Result, _ version: String) -> ReloadOutcome {
        var outcome = ReloadOutcome(result: result, version: version)
        outcome.tests = tests
        outcome.shadow = shadow
        outcome.milliseconds = Double(monotonicNanoseconds() - started) / 1e6
        return outcome
    }
}
