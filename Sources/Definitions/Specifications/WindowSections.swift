internal import Connecting

/// Windows and what is computed in them.
extension SectionSpecification {
    static let aggregate = SectionSpecification(
        "aggregate",
        """
        A row for each key and window. It holds the key fields, the computed fields, \
        `window_start` and `window_end`. `STAGE.late` has the records that came too late.
        """,
        keys: [
            .optional(
                "key", .texts("a field"), usual: .described("all records together"),
                "The fields that tell the groups apart.", example: "[user_id]"),
            .required(
                "window", .oneOf([.choice(["global"]), .nested(.window)]),
                "Which records come together; global is one window per key without an end.",
                example: "{tumbling: 60s}"),
            .required(
                "compute",
                .map(
                    MapForm(
                        .oneOf([.text("an aggregate or a Lua file"), .nested(.compute)]),
                        names: nil, isEmptyAllowed: false)),
                "The fields of a row and how they come about.",
                example: "{orders: count, total: sum(price)}"),
            .optional(
                "emit", .oneOf([.choice(["close", "update"]), .nested(.emit)]),
                usual: .word("close"),
                "When rows are written: once at the end, with each record, or now and then.",
                example: "{every: 10s}"),
            .optional(
                "allowed_lateness", .duration(.millisecondsOrZero), usual: .milliseconds(0),
                "How long after its end a window still takes records, and revises its row.",
                example: "10m"),
            .optional(
                "ttl", .duration(.milliseconds), usual: .described("for ever"),
                "How long a silent key of a window that has no end of its own is remembered.",
                example: "1d"),
        ])

    static let window = SectionSpecification(
        "window",
        """
        Windows begin at 1970-01-01T00:00Z, hold their start and not their end, and close when \
        time has passed their end.
        """,
        keys: [
            .optional(
                "tumbling",
                .oneOf([
                    .duration(.milliseconds),
                    .pattern(
                        "^0*[1-9][0-9]{0,3} *(w|weeks?|months?)$", "days, weeks or months"),
                ]),
                "One after the other; days, weeks from Monday and months go by the calendar.",
                example: "60s"),
            .optional(
                "hopping", .nested(.hopping), "Overlapping windows.",
                example: "{size: 60s, every: 20s}"),
            .optional(
                "session", .nested(.session), "Records of a key that follow each other closely.",
                example: "{gap: 30m}"),
            .optional(
                "count", .nested(.count), "So many records of a key.", example: "{size: 100}"),
            .optional(
                "rolling", .nested(.rolling), "A row for each record, over those before it.",
                example: "{range: 5m}"),
            .optional(
                "global", .nested(.global), "One window per key; it needs ttl and emit.",
                example: "{}"),
            .optional(
                "offset", .duration(.offset), usual: .milliseconds(0),
                "How much later than the full hour, minute or day tumbling windows begin.",
                example: "5s"),
            .optional(
                "timezone", .text("a time zone"), usual: .described("UTC"),
                "Whose days, weeks and months tumbling windows follow.",
                example: "America/New_York"),
        ],
        rules: [
            .exactlyOne(["tumbling", "hopping", "session", "count", "rolling", "global"]),
            .needs("offset", "tumbling"), .needs("timezone", "tumbling"),
        ])

    static let hopping = SectionSpecification(
        "window.hopping", "Windows of one size that begin again and again.",
        keys: [
            .required(
                "size", .duration(.milliseconds), "How long a window is.", example: "60s"),
            .required(
                "every", .duration(.milliseconds), "How long after the last one the next begins.",
                example: "20s"),
            .optional(
                "offset", .duration(.offset), usual: .milliseconds(0),
                "How much later than 1970-01-01T00:00Z the first one begins.", example: "5s"),
        ])

    static let session = SectionSpecification(
        "window.session", "Windows that end when a key is silent.",
        keys: [
            .required(
                "gap", .duration(.milliseconds), "How long a key must be silent.", example: "30m")
        ])

    static let count = SectionSpecification(
        "window.count", "Windows that end when they are full.",
        keys: [
            .required(
                "size", .integer(1...1_000_000_000), "How many records of a key fill one.",
                example: "100")
        ])

    static let rolling = SectionSpecification(
        "window.rolling", "A row for each record, over the last records of its key.",
        keys: [
            .optional(
                "range", .duration(.milliseconds), "How far back records count.", example: "5m"),
            .optional(
                "rows", .integer(1...1_000_000), "How many records count, with the newest.",
                example: "10"),
        ],
        rules: [.exactlyOne(["range", "rows"])])

    static let global = SectionSpecification(
        "window.global", "One window per key, which never closes.", keys: [])

    static let emit = SectionSpecification(
        "emit", "Rows are written now and then, while their windows are open.",
        keys: [
            .required(
                "every", .duration(.milliseconds),
                "How often the rows of windows that have changed are written.", example: "10s")
        ])

    static let compute = SectionSpecification(
        "compute.NAME", "One computed field.",
        keys: [
            .required(
                "aggregate", .text("an aggregate or a Lua file"),
                "What is computed: count, sum(f), avg(f) and so on, or an aggregate in Lua.",
                example: "sum(price)"),
            .optional(
                "where", .text("conditions"), usual: .described("all records"),
                "Which records count.", example: "status == 'paid' and price > 5"),
        ])
}

extension DurationForm {
    /// How windows are moved.
    static let offset = DurationForm(minimum: 0, isWholeMilliseconds: true, isSigned: true)
}
