internal import Connecting
internal import Queueing

/// Queues and what works on them.
extension SectionSpecification {
    /// The keys of `pipeline.yaml` that make up queues.
    static let queueing: [KeySpecification] = [
        .optional(
            "queues", .map(MapForm(.nested(.queue), names: .dotted, isNullAllowed: true)),
            "The queues, each under its name; a folder may hold nothing else.",
            example: "{jobs: {max_attempts: 5}}"),
        .optional(
            "exchanges", .map(MapForm(.nested(.exchange), names: .dotted, isNullAllowed: true)),
            "Names to publish to that lead to queues.",
            example: "{videos: {routes: [{topic: \"video.#\", queue: jobs}]}}"),
        .optional(
            "schedules", .map(MapForm(.nested(.schedule), isNullAllowed: true)),
            "Messages that are published again and again, each under its name.",
            example: "{nightly: {cron: \"0 3 * * *\", queue: jobs}}"),
        .optional(
            "handlers", .list(.nested(.handler), isEmptyAllowed: true),
            "Rules that work on the messages of queues.",
            example: "[{queue: jobs, script: rules/job.lua}]"),
        .optional(
            "store", .nested(.store), "The store in which queues, state and positions are kept.",
            example: "{segment: 16MiB}"),
    ]

    private static let usual = QueueSettings("")

    static let queue = SectionSpecification(
        "queues.NAME",
        """
        What is published stays until it is acknowledged. What fails too often, expires or is \
        rejected moves with its history into a queue for the dead, which needs no declaration.
        """,
        keys: queueLimits + queueFailures + queuePromises,
        rules: [.needs("on_duplicate", "deduplicate")])

    private static let queueLimits: [KeySpecification] = [
        .optional(
            "max_size", .integer(1...Int.max), usual: .integer(usual.maxSize),
            "How many messages it holds, whatever their state.", example: "5000"),
        .optional(
            "overflow", .choice(Overflow.allCases.map(\.rawValue)),
            usual: .word(usual.overflow.rawValue),
            "What a full queue does: publishers wait, are refused, or the oldest one is dead.",
            example: "reject"),
        .optional(
            "max_message_size", .size(1...512 << 20), usual: .bytes(usual.maxMessageSize),
            "How large a payload with its headers may be.", example: "64KiB"),
        .optional(
            "message_ttl", .duration(.milliseconds), usual: .described("for ever"),
            "How long a message lives from publishing on, when it does not say so itself.",
            example: "2h"),
    ]

    private static let queueFailures: [KeySpecification] = [
        .optional(
            "lease", .duration(.milliseconds), usual: .milliseconds(usual.lease),
            "How long a message is lent to whoever receives it, who must acknowledge it by then.",
            example: "5m"),
        .optional(
            // A lease's start is kept in 32 bits of milliseconds.
            "max_lease",
            .duration(DurationForm(maximum: 40 * 86_400_000_000_000, isWholeMilliseconds: true)),
            usual: .milliseconds(usual.maxLease),
            "How long a lease may last with all its extensions; a longer lease moves it along.",
            example: "1h"),
        .optional(
            "max_attempts", .integer(1...65_000), usual: usual.maxAttempts.map { .integer($0) },
            "How often a message is delivered before it is dead.", example: "4"),
        .optional(
            "max_deaths", .integer(1...100), usual: .integer(usual.maxDeaths),
            "How often in a row a message may be alone in a process that dies before it is dead "
                + "with the reason poison.", example: "2"),
        .optional(
            "retry",
            .oneOf([
                .duration(.millisecondsOrZero), .pattern("\\.lua$", "a Lua file"),
                .list(.duration(.millisecondsOrZero), isEmptyAllowed: false), .nested(.retry),
            ]),
            usual: .described("1s, doubled each time, up to an hour"),
            "How long a failed message waits: always so long, one after the other, growing, or as "
                + "the function retry of a Lua file says.",
            example: "[1s, 10s, 1m]"),
        .optional(
            "dead_letter_queue", .text("a queue"), usual: .described("NAME.dead"),
            "Where dead messages go.", example: "jobs_dlq"),
        .optional(
            "dead_letters", .choice(["keep", "drop"]),
            usual: .word(usual.keepsDeadLetters ? "keep" : "drop"),
            "Whether dead messages are kept at all.", example: "drop"),
        .optional(
            "on_dead_key", .choice(["skip", "block"]),
            usual: .word(usual.blocksKeyOfDead ? "block" : "skip"),
            "Whether a dead message keeps those behind it of its ordering key back.",
            example: "block"),
    ]

    private static let queuePromises: [KeySpecification] = [
        .optional(
            "deduplicate", .duration(.milliseconds), usual: .described("ids are not compared"),
            "For how long the id of a message is remembered, so that it is not added again.",
            example: "10m"),
        .optional(
            "on_duplicate", .choice(DuplicatePolicy.allCases.map(\.rawValue)),
            usual: .word(usual.onDuplicate.rawValue),
            "What becomes of a message whose id is known; it may replace one that still waits.",
            example: "replace_if_scheduled"),
        .optional(
            "delivery", .choice(QueueDelivery.allCases.map(\.rawValue)),
            usual: .word(usual.delivery.rawValue),
            "Whether a message comes back until it is acknowledged, or is gone when handed over.",
            example: "at_most_once"),
        .optional(
            "durability", .oneOf([.choice(PipelineDurability.words), .nested(.durability)]),
            usual: .word(usual.durability.name),
            "When a message counts as kept; only disk survives a power cut.",
            example: "{disk-within: 100ms}"),
    ]

    static let retry = SectionSpecification(
        "retry", "Waits that grow with each attempt.",
        keys: [
            .optional(
                "base", .duration(.millisecondsOrZero), usual: .milliseconds(RetryPolicy().base),
                "The first wait.", example: "10s"),
            .optional(
                "cap", .duration(.milliseconds), usual: .milliseconds(RetryPolicy().cap),
                "The longest wait.", example: "1h"),
            .optional(
                "factor", .number(1...1000), usual: .number(RetryReader.usualFactor),
                "By how much each wait is longer than the one before, in the shape exponential.",
                example: "3"),
            .optional(
                "jitter", .number(0...1), usual: .number(RetryPolicy().jitter),
                "How far chance may move a wait, as a part of it, up and down.", example: "0.5"),
            .optional(
                "shape", .choice(["exponential", "linear", "fixed"]), usual: .word("exponential"),
                "How waits grow.", example: "linear"),
            .optional(
                "waits",
                .oneOf([
                    .duration(DurationForm(minimum: 1_000_000)),
                    .list(.duration(DurationForm(minimum: 1_000_000)), isEmptyAllowed: false),
                ]),
                usual: .described("by the shape"),
                "The waits one by one; the last one is used again and again.",
                example: "[1s, 10s]"),
            .optional(
                "rule", .text("a Lua file"), usual: .described("by the shape"),
                "A file whose function retry(message, attempt, error) says how long.",
                example: "rules/retry.lua"),
        ])

    static let store = SectionSpecification(
        "store",
        """
        The folder `data` beside this file, or the one of `--data`. One process owns it. \
        `tidewheel store` checks it, copies it while it is used, and mends it.
        """,
        keys: [
            .optional(
                "segment", .size(1 << 20...1 << 30),
                usual: .bytes(Definition(folder: "").segmentBytes),
                "How large a file of the journal gets.", example: "16MiB"),
            .optional(
                "catalogue",
                .oneOf([.choice(["off"]), .duration(DurationForm(minimum: 1_000_000))]),
                usual: Definition(folder: "").catalogueNanoseconds.map { .nanoseconds($0) },
                "How often data/catalogue.sqlite is brought up to date, if at all.",
                example: "1m"),
        ])

    static let handler = SectionSpecification(
        "handler",
        """
        A rule for the messages of a queue. What it emits to a queue is one transaction with the \
        acknowledgement; an error or `reject` gives the message back.
        """,
        keys: [
            .required("queue", .text("a queue"), "Whose messages it gets.", example: "jobs"),
            .required("script", .text("a Lua file"), "The rule.", example: "rules/job.lua"),
            .optional(
                "concurrency", .integer(1...1024),
                usual: .integer(HandlerDefinition.usualConcurrency),
                "How many messages are worked on at once.", example: "5"),
            .optional(
                "timeout", .duration(DurationForm()),
                usual: .nanoseconds(HandlerDefinition.usualTimeoutNanoseconds),
                "How long one message may take.", example: "5m"),
        ])
}

extension NameForm {
    /// The names of queues and exchanges.
    static let dotted = NameForm(allowsDots: true)
}
