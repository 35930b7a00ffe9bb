internal import Connecting
internal import Queueing

/// Exchanges and schedules.
extension SectionSpecification {
    static let exchange = SectionSpecification(
        "exchanges.NAME",
        "A message goes to every queue that a route leads it to, and its bytes are stored once.",
        keys: [
            .required(
                "routes", .list(.nested(.route), isEmptyAllowed: false),
                "Which messages go where.", example: "[{topic: \"video.#\", queue: jobs}]"),
            .optional(
                "topic_field", .text("a field"), usual: .described("no topic"),
                "The field of a payload that holds its topic, when the publisher gives none.",
                example: "kind"),
            .optional(
                "alternate", .text("a queue"), usual: .described("such a message is refused"),
                "Where messages go that no route takes.", example: "rest"),
        ])

    static let route = SectionSpecification(
        "route", "A way to queues; without a condition every message takes it.",
        keys: [
            .required("queue", .texts("a queue"), "Where it leads.", example: "[archive, jobs]"),
            .optional(
                "topic", .text("a pattern of topics"), usual: .described("any topic"),
                "Which topics take it; * stands for one word, # for any number.",
                example: "\"video.*.done\""),
            .optional(
                "headers",
                .map(
                    MapForm(
                        .oneOf([.scalar, .nested(.headerRule)]), names: nil,
                        isEmptyAllowed: false)),
                "Which headers take it: equal to a value, there at all, or within bounds.",
                example: "{tier: premium, size: {min: 10}}"),
            .optional(
                "match", .choice(["all", "any"]), usual: .word("all"),
                "Whether all of the headers must be so, or one.", example: "any"),
            .optional(
                "rule", .text("a Lua file"),
                "A file whose function match(message) is true for those that take it.",
                example: "rules/large.lua"),
        ],
        rules: [
            .atMostOne(["topic", "headers", "rule"], of: "a route"), .needs("match", "headers"),
        ])

    static let headerRule = SectionSpecification(
        "headers.NAME", "What a header must be.",
        keys: [
            .optional("exists", .onlyTrue, "The header is there.", example: "true"),
            .optional(
                "min", .number(-.infinity ... .infinity), usual: .described("no lower bound"),
                "The header is a number of at least this.", example: "10"),
            .optional(
                "max", .number(-.infinity ... .infinity), usual: .described("no upper bound"),
                "The header is a number of at most this.", example: "100"),
        ],
        rules: [.excludes("exists", ["min", "max"])])

    static let schedule = SectionSpecification(
        "schedules.NAME",
        "A message that is published by the clock of a running pipeline, each tick exactly once.",
        keys: [
            .required(
                "cron", .text("five or six fields"),
                "When: minute hour day month weekday, with seconds in front where they matter.",
                example: "\"*/15 * * * *\""),
            .required(
                "queue", .text("a queue or exchange"), "Where it is published.", example: "jobs"),
            .optional(
                "zone", .text("a time zone"), usual: .word("UTC"), "Whose clocks count.",
                example: "Europe/Berlin"),
            .optional(
                "missed", .choice(MissedTicks.allCases.map(\.rawValue)),
                usual: .word(MissedTicks.once.rawValue),
                "Which ticks happen late that passed while nothing ran: none, the last one or all.",
                example: "all"),
            .optional(
                "payload", .anything, usual: .described("{}"), "What it says.",
                example: "{kind: cleanup}"),
            .optional(
                "headers", .map(MapForm(.anything, names: nil)), usual: .described("{}"),
                "The message's headers.", example: "{tier: free}"),
            .optional(
                "priority", .integer(0...9), usual: .integer(ScheduleDefinition.usualPriority),
                "How urgent it is; 9 comes first.", example: "9"),
            .optional(
                "key", .text("a text"), usual: .described("no order"),
                "The ordering key; messages of one key come one after the other.",
                example: "nightly"),
            .optional(
                "ttl", .duration(.milliseconds), usual: .described("as the queue says"),
                "How long the message lives.", example: "1h"),
            .optional(
                "topic", .text("a topic"), usual: .described("no topic"),
                "The topic for the routes of an exchange.", example: "cleanup.nightly"),
        ])
}
