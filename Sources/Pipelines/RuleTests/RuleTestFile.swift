internal import Connecting
internal import Records
internal import Scripting

/// One `rules/NAME.test.yaml` as values.
struct RuleTestFile: Sendable {
    /// Its path relative to the pipeline folder.
    var path: String
    /// The rule file that it tests, relative to the pipeline folder.
    var rule: FileReference
    /// The tests in the order of the file.
    var cases: [RuleTestCase] = []
}

/// One test: what goes in, and what must come out.
struct RuleTestCase: Sendable {
    /// What `now()` gives when a test does not say.
    static let usualTime: Int64 = 946_684_800_000

    /// Its name.
    var name: String
    /// Where it begins.
    var location: Location
    /// The JSON texts of the records.
    var inputs: [[UInt8]] = []
    /// The engine's time in milliseconds since 1970.
    var now = RuleTestCase.usualTime
    /// Event time passes this before the result is looked at, so that timers fire.
    var until: Int64?
    /// Rows of lookup tables, by name.
    var lookups: [String: LookupRows] = [:]
    /// What must come out.
    var expected = RuleTestExpectation()
    /// The keys of the test as written, for `--update`.
    var entries: [Setting.Entry] = []
}

/// What a test expects; what is nil is not looked at.
struct RuleTestExpectation: Sendable {
    /// The rows of the main output, or of the one in `routed`, exactly.
    var out: Value?
    /// A part of such a row.
    var contains: Value?
    /// Why the record is dropped.
    var dropped: String?
    /// The output that the record is sent to.
    var routed: String?
    /// The rows of named outputs.
    var outputs: [Field] = []
    /// A part of the error, or of the reason of `reject`.
    var error: String?
    /// The keyed state of the rule's stage before the first record.
    var stateBefore: [Field] = []
    /// What of it is different afterwards.
    var stateAfter: [Field]?

    /// True when nothing is expected at all.
    var isEmpty: Bool {
        out == nil && contains == nil && dropped == nil && routed == nil && outputs.isEmpty
            && error == nil && stateAfter == nil
    }
}

/// Rows of a lookup table as a test gives them.
struct LookupRows: Sendable {
    var rows: [Record]
    var location: Location
}
