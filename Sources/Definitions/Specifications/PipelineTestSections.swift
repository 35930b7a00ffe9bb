package import Connecting

/// The test files of whole pipelines.
extension SectionSpecification {
    /// The top of `tests/NAME.yaml`.
    package static let pipelineTestFile = SectionSpecification(
        "the pipeline tests",
        """
        `tests/NAME.yaml` holds tests of the whole folder: records go in at the sources, and what \
        arrives at the sinks is compared. Nothing is written, sources and sinks stay closed, and \
        the clock stands. `tidewheel test` runs them, and a reload is refused when one fails.
        """,
        keys: [
            .optional(
                "now", .text("a time such as 2026-11-23T15:00:00Z"),
                usual: .word("2000-01-01T00:00:00Z"),
                "What now() gives in all tests; without it no record is too far in the future.",
                example: "2026-11-23T15:00:00Z"),
            .optional(
                "lookups", .map(MapForm(.list(.anything, isEmptyAllowed: true), names: nil)),
                "Rows of lookups for all tests.",
                example: "{users: [{user_id: u1, region: eu}]}"),
            .required(
                "tests", .list(.nested(.pipelineTest), isEmptyAllowed: false), "The tests.",
                example: "[{in: [{price: 2}], out: {totals: [{total: 2}]}}]"),
        ])

    static let pipelineTest = SectionSpecification(
        "the pipeline test", "What goes in at the sources, and what must arrive at the sinks.",
        keys: [
            .optional(
                "name", .text("a text"), usual: .described("the line it stands in"),
                "What the test shows.", example: "adds up an hour"),
            .required(
                "in", .anything,
                "Records by source, or a list of records for the only source; a text or "
                    + "`{file: PATH}` in place of a list is a file, read as its source reads it.",
                example: "{orders: [{at: \"2026-11-23T15:00:00Z\", price: 2}]}"),
            .optional(
                "out", .anything,
                "The rows by sink, all of them in their order; `{contains: ROWS}` names parts of "
                    + "rows that must be among them.",
                example: "{totals: [{total: 2}]}"),
            .optional(
                "contains", .map(MapForm(.anything, names: nil)),
                "Parts of rows by sink that must be among its rows.",
                example: "{totals: [{total: 2}]}"),
            .optional(
                "dead", .anything,
                "How many dead letters there are, or a part of each: texts of reason and error "
                    + "need only be contained. Without it there must be none.",
                example: "[{stage: shape, reason: \"attempt to index\"}]"),
            .optional(
                "now", .text("a time such as 2026-11-23T15:00:00Z"),
                usual: .described("as the file says"), "What now() gives in this test.",
                example: "2026-11-23T15:00:00Z"),
            .optional(
                "until", .text("a time such as 2026-11-23T15:00:00Z"),
                usual: .described("the input ends, and every window closes"),
                "Event time comes to this moment after the last record; windows that end later "
                    + "stay open.",
                example: "2026-11-23T16:00:00Z"),
            .optional(
                "lookups", .map(MapForm(.list(.anything, isEmptyAllowed: true), names: nil)),
                "Rows of lookups for this test.",
                example: "{users: [{user_id: u1, region: eu}]}"),
        ])
}
