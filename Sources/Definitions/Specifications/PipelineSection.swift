package import Connecting

extension SectionSpecification {
    /// The top of `pipeline.yaml`, with the sources and sinks that a program wires in.
    package static func pipeline(_ catalogue: Catalogue) -> SectionSpecification {
        SectionSpecification(
            "pipeline.yaml",
            """
            A folder with this file is a pipeline. Paths start at the folder. `${NAME}` and \
            `${NAME:-default}` are replaced from the environment, `$${` stands for a plain `${`.
            """,
            keys: general + flow(catalogue) + queueing + running,
            rules: [
                .either(
                    [.exactlyOne(["source", "sources"]), .atLeastOne(["sinks"])],
                    [
                        .atLeastOne(Definition.queueSections),
                        .none(Definition.flowSections),
                    ])
            ])
    }

    private static let general: [KeySpecification] = [
        .optional(
            "name", .text("a text"), usual: .word(usual.name),
            "The pipeline's name, which keys of delivered rows begin with.", example: "orders"),
        .optional(
            "key", .text("a field"), usual: .described("all records are one partition"),
            "The field whose value chooses the partition of a record, by murmur2 as Kafka does.",
            example: "user_id"),
        .optional(
            "partitions", .integer(1...32768), usual: .integer(usual.partitions),
            "How many partitions there are; a store keeps the number it began with.",
            example: "64"),
    ]

    private static func flow(_ catalogue: Catalogue) -> [KeySpecification] {
        [
            .optional(
                "source", .nested(.source(catalogue)),
                "Where records come from; a folder of queues alone does without.",
                example: "{file: {path: \"input/*.jsonl\"}}"),
            .optional(
                "sources",
                .map(
                    MapForm(
                        .nested(.source(catalogue)), names: .unreserved, isEmptyAllowed: false)),
                "Several sources instead of one, each under a name.",
                example: "{events: {file: {path: events.jsonl}}}"),
            .optional(
                "time", .nested(.time), usual: .described("records have no time"),
                "Where records have their time, which windows go by.",
                example: "{field: created_at, out_of_orderness: 30s}"),
            .optional(
                "lookups", .map(MapForm(.nested(.lookup), names: .unreserved)),
                "Tables that rules look rows up in, each under its name.",
                example: "{users: {file: lookups/users.csv, key: user_id}}"),
            .optional(
                "stages", .list(.nested(.stage), isEmptyAllowed: true),
                "What is done with records, in the order written.",
                example: "[{name: shape, transform: rules/shape.lua}]"),
            .optional(
                "sinks", .list(.nested(.sink(catalogue)), isEmptyAllowed: false),
                "Where rows go; a folder of queues alone does without.",
                example: "[{from: shape, file: {path: out/orders.jsonl}}]"),
        ]
    }

    private static let running: [KeySpecification] = [
        .optional(
            "limits", .nested(.limits), "What scripts, records and state may take.",
            example: "{script_memory: 128MiB}"),
        .optional(
            "delivery", .choice(Delivery.allCases.map(\.rawValue)),
            usual: .word(usual.delivery.rawValue),
            "How often an output may arrive when a run is killed and goes on.",
            example: "at_least_once"),
        .optional(
            "durability", .oneOf([.choice(PipelineDurability.words), .nested(.durability)]),
            usual: .word("disk"), "When a commit counts as kept; only disk survives a power cut.",
            example: "{disk-within: 100ms}"),
        .optional(
            "commit", .nested(.commit), "When outputs become visible and sources are told.",
            example: "{every: 1s, records: 10000}"),
        .optional(
            "checkpoint", .nested(.checkpoint),
            usual: .described("every \(durationText(usual.checkpointNanoseconds))"),
            "How often a snapshot is taken, with which a restart begins.",
            example: "{every: 60s}"),
        .optional(
            "end_of_input", .choice(EndOfInput.allCases.map(\.rawValue)),
            usual: .word(usual.endOfInput.rawValue),
            "What windows do at the end of the input: close, or keep open for the next run.",
            example: "keep"),
        .optional(
            "reload", .nested(.reload), "How rules are replaced while the stream runs.",
            example: "{watch: true, shadow: 1000}"),
    ]

    private static let usual = Definition(folder: "")
}

extension NameForm {
    /// The names of sources, stages and lookups.
    static let unreserved = NameForm(reserved: Definition.reservedNames)
}

/// Sources and sinks, whose options belong to the connectors.
extension SectionSpecification {
    /// What stands under `source`, or under a name of `sources`.
    package static func source(_ catalogue: Catalogue) -> SectionSpecification {
        let kinds = catalogue.sources.map { kind in
            KeySpecification.optional(
                kind.name, .nested(kind.section), kind.section.summary,
                example: example(of: kind.section))
        }
        return SectionSpecification(
            "source", "Where records come from: one connector and its options.",
            keys: kinds + [.queueSource],
            rules: [.exactlyOne(kinds.map(\.name) + [KeySpecification.queueSource.name])])
    }

    /// One item of `sinks`.
    package static func sink(_ catalogue: Catalogue) -> SectionSpecification {
        let kinds = catalogue.sinks.map { kind in
            KeySpecification.optional(
                kind.name, .nested(kind.section), kind.section.summary,
                example: example(of: kind.section))
        }
        return SectionSpecification(
            "sink", "Where rows go: one connector and its options, and which rows it gets.",
            keys: [
                .optional(
                    "name", .text("a text"), usual: .described("the text of from"),
                    "The sink's name in the summary and in the keys of its rows.",
                    example: "orders"),
                .optional(
                    "from", .text("STAGE, STAGE.OUTPUT, STAGE.late, source or dead_letters"),
                    usual: .described("the last stage, or the source"),
                    "Which rows it gets: those of a stage, of an output that a rule routes to, "
                        + "records that came too late, or dead letters.",
                    example: "shape"),
            ] + kinds + [.queueSink],
            rules: [.exactlyOne(kinds.map(\.name) + [KeySpecification.queueSink.name])])
    }

    /// The keys that a section needs, with their examples.
    private static func example(of section: SectionSpecification) -> String {
        let needed = section.keys.filter(\.isRequired).map { "\($0.name): \($0.example)" }
        return "{" + needed.joined(separator: ", ") + "}"
    }
}

extension KeySpecification {
    static let queueSource = KeySpecification.optional(
        "queue", .name(.dotted), "Messages of a queue of this pipeline; acks follow commits.",
        example: "jobs")

    static let queueSink = KeySpecification.optional(
        "queue", .name(.dotted),
        "Rows become messages of a queue or exchange of this pipeline, with their commit.",
        example: "jobs")
}
