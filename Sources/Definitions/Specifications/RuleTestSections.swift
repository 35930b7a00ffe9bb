package import Connecting

/// The test files of rules.
extension SectionSpecification {
    /// The top of a test file.
    package static let ruleTestFile = SectionSpecification(
        "the test file",
        """
        `rules/NAME.test.yaml` holds tests of one rule file. `tidewheel test` runs them, and a \
        reload is refused when one of them fails.
        """,
        keys: [
            .required(
                "rule", .text("a Lua file"), "The rule file, beside this one.",
                example: "shape.lua"),
            .optional(
                "now", .text("a time such as 2026-11-23T15:00:00Z"),
                usual: .word("2000-01-01T00:00:00Z"), "What now() gives in all tests.",
                example: "2026-11-23T15:00:00Z"),
            .optional(
                "lookups", .map(MapForm(.list(.anything, isEmptyAllowed: true), names: nil)),
                "Rows of lookups for all tests.",
                example: "{users: [{user_id: u1, region: eu}]}"),
            .required(
                "tests", .list(.nested(.ruleTest), isEmptyAllowed: false), "The tests.",
                example: "[{in: {status: open}, out: {status: OPEN}}]"),
        ])

    static let ruleTest = SectionSpecification(
        "the test", "What goes in, and what must come out.",
        keys: ruleTestInput + ruleTestExpectation)

    private static let ruleTestInput: [KeySpecification] = [
        .optional(
            "name", .text("a text"), usual: .described("the line it stands in"),
            "What the test shows.", example: "adds the total"),
        .required(
            "in", .anything, "The record, or a list of records; also as JSON text in quotes.",
            example: "{status: open, price: 2.5}"),
        .optional(
            "now", .text("a time such as 2026-11-23T15:00:00Z"),
            usual: .described("as the file says"), "What now() gives in this test.",
            example: "2026-11-23T15:00:00Z"),
        .optional(
            "until", .text("a time such as 2026-11-23T15:00:00Z"),
            usual: .described("the time of the records"),
            "Event time passes this before the result is looked at, so that timers fire.",
            example: "2026-11-23T16:00:00Z"),
        .optional(
            "lookups", .map(MapForm(.list(.anything, isEmptyAllowed: true), names: nil)),
            "Rows of lookups for this test.",
            example: "{users: [{user_id: u1, region: eu}]}"),
    ]

    private static let ruleTestExpectation: [KeySpecification] = [
        .optional(
            "out", .anything, "The row, or the list of rows, no field more and none less.",
            example: "{status: OPEN, price: 2.5}"),
        .optional("contains", .anything, "A part of the row.", example: "{status: OPEN}"),
        .optional(
            "dropped", .text("a reason"), "Why the record is dropped.", example: "cancelled"),
        .optional(
            "routed", .text("an output"), "The output that the record is sent to.",
            example: "priority"),
        .optional(
            "outputs", .map(MapForm(.anything, names: nil, isNullAllowed: true)),
            "The rows of several outputs.", example: "{priority: [{id: a1}]}"),
        .optional(
            "error", .text("a text"), "A part of the error, or of the reason of reject.",
            example: "attempt to index"),
        .optional(
            "state", .nested(.ruleTestState), "The state of the rule's stage.",
            example: "{before: {u1: 1}, after: {u1: 2}}"),
    ]

    static let ruleTestState = SectionSpecification(
        "state", "Keyed state before the first record, and afterwards.",
        keys: [
            .optional(
                "before", .map(MapForm(.anything, names: nil, isNullAllowed: true)),
                "What is there before.", example: "{u1: 1}"),
            .optional(
                "after", .map(MapForm(.anything, names: nil, isNullAllowed: true)),
                "What must be different afterwards.", example: "{u1: 2}"),
        ])
}
