package import Connecting
package import Records
internal import Scripting

/// One `rules/NAME.test.yaml` as values.
package struct RuleTestFile: Sendable {
    /// Its path relative to the pipeline folder.
    package var path: String
    /// The rule file that it tests, relative to the pipeline folder.
    package var rule: FileReference
    /// The tests in the order of the file.
    package var cases: [RuleTestCase] = []
}

/// One test: what goes in, and what must come out.
package struct RuleTestCase: Sendable {
    /// What `now()` gives when a test does not say.
    package static let usualTime: Int64 = 946_684_800_000

    /// Its name.
    package var name: String
    /// Where it begins.
    package var location: Location
    /// The JSON texts of the records.
    package var inputs: [[UInt8]] = []
    /// The engine's time in milliseconds since 1970.
    package var now = RuleTestCase.usualTime
    /// Event time passes this before the result is looked at, so that timers fire.
    package var until: Int64?
    /// Rows of lookup tables, by name.
    package var lookups: [String: LookupRows] = [:]
    /// What must come out.
    package var expected = RuleTestExpectation()
    /// The keys of the test as written, for `--update`.
    package var entries: [Setting.Entry] = []
}

/// What a test expects; what is nil is not looked at.
package struct RuleTestExpectation: Sendable {
    /// The rows of the main output, or of the one in `routed`, exactly.
    package var out: Value?
    /// A part of such a row.
    package var contains: Value?
    /// Why the record is dropped.
    package var dropped: String?
    /// The output that the record is sent to.
    package var routed: String?
    /// The rows of named outputs.
    package var outputs: [Field] = []
    /// A part of the error, or of the reason of `reject`.
    package var error: String?
    /// The keyed state of the rule's stage before the first record.
    package var stateBefore: [Field] = []
    /// What of it is different afterwards.
    package var stateAfter: [Field]?

    /// True when nothing is expected at all.
    package var isEmpty: Bool {
        out == nil && contains == nil && dropped == nil && routed == nil && outputs.isEmpty
            && error == nil && stateAfter == nil
    }
}

/// Rows of a lookup table as a test gives them.
package struct LookupRows: Sendable {
    /// The rows in the order of the test.
    package var rows: [Record]
    /// Where they stand.
    package var location: Location
}
