package import Definitions
package import Scripting

/// What a new version of the rules has to pass beside the stream, before any worker sees it.
///
/// The engine does not know how tests are run; whoever starts a pipeline hands this in by
/// `RunOptions.trial`. It is asked on the thread that wants the reload, one question at a time.
package protocol VersionTrial: Sendable {
    /// Runs the tests in the folder of the plan; nil when there are none. Ends early when `until`
    /// says so.
    func test(_ plan: Plan, until: TrialLimit) -> TestVerdict?

    /// Runs both versions over at most `limit` records of the past, without effects. Ends early
    /// when `until` says so.
    ///
    /// - Throws: `RuleError` when one of the versions cannot be loaded.
    func compare(
        _ active: Plan, _ next: Plan, lookups: [String: Lookup], over chunks: [RecordRing.Chunk],
        limit: Int, until: TrialLimit
    ) throws(RuleError) -> ShadowReport
}

/// What the tests of a version say.
package struct TestVerdict: Sendable {
    /// How many passed, of how many.
    package var count: TestCount
    /// The first few that failed and why, a few lines; nil when all passed.
    package var failure: String?

    /// Puts the two together.
    package init(count: TestCount, failure: String?) {
        self.count = count
        self.failure = failure
    }
}
