internal import Connecting

/// What the engine is told: lookups, limits, commits, reloads.
extension SectionSpecification {
    static let lookup = SectionSpecification(
        "lookups.NAME",
        """
        A table from a CSV file with a header, or from JSON lines. It is read again when the file \
        changes, while the stream runs; a file that cannot be read leaves the table as it was.
        """,
        keys: [
            .required(
                "file", .text("a file"), "The file, .csv, .tsv or JSON lines, also packed.",
                example: "lookups/users.csv"),
            .required(
                "key", .text("a column or field"), "The column or field that rows are found by.",
                example: "user_id"),
            .optional(
                "delimiter", .character, usual: .described("a comma, and a tab for .tsv"),
                "What stands between the cells of CSV.", example: "\";\""),
            .optional(
                "refresh", .duration(DurationForm()),
                usual: .nanoseconds(LookupDefinition.usualRefreshNanoseconds),
                "How often the file is looked at.", example: "60s"),
        ])

    static let limits = SectionSpecification(
        "limits", "What goes beyond a limit is a dead letter, and the next record is processed.",
        keys: [
            .optional(
                "script_memory", .size(1...Int.max), usual: .bytes(Limits().scriptMemory),
                "The memory that the rules of one worker may take.", example: "128MiB"),
            .optional(
                "record", .size(1...1 << 30), usual: .bytes(Limits().record),
                "The longest record.", example: "1MiB"),
            .optional(
                "depth", .integer(1...Limits.deepest), usual: .integer(Limits().depth),
                "How deep values may be nested in a record.", example: "100"),
            .optional(
                "emitted", .size(1...Int.max), usual: .bytes(Limits().emitted),
                "The bytes that one record may become.", example: "16MiB"),
            .optional(
                "state_memory", .size(1...Int.max), usual: .bytes(Limits().stateMemory),
                "The memory that all keyed state may take.", example: "1GiB"),
            .optional(
                "slice", .duration(DurationForm(minimum: 1_000_000, maximum: 3_600_000_000_000)),
                usual: .nanoseconds(Limits().sliceNanoseconds),
                "How long a worker may work before commits, reloads and stops have their turn.",
                example: "5ms"),
        ])

    static let commit = SectionSpecification(
        "commit", "When outputs become visible and sources are told that their records are done.",
        keys: [
            .optional(
                "every", .duration(DurationForm()), usual: .nanoseconds(Commit().everyNanoseconds),
                "A commit is made at the latest after this time.", example: "1s"),
            .optional(
                "records", .integer(1...10_000_000), usual: .integer(Commit().records),
                "A commit is made at the latest after so many records.", example: "10000"),
        ])

    static let checkpoint = SectionSpecification(
        "checkpoint", "Snapshots, with which a restart begins.",
        keys: [
            .required(
                "every", .duration(DurationForm()), "How often a snapshot is taken.",
                example: "60s")
        ])

    static let durability = SectionSpecification(
        "durability", "Commits are written at once and synced a little later.",
        keys: [
            .required(
                "disk-within", .duration(.milliseconds),
                "At the latest after this time they are synced; a power cut may take as much.",
                example: "100ms")
        ])

    static let reload = SectionSpecification(
        "reload",
        """
        A new version of the rules is compiled, tested and tried on the last records before it is \
        switched in between two batches; too many failures bring the old one back.
        """,
        keys: [
            .optional(
                "watch", .flag, usual: .flag(ReloadDefinition().watch),
                "Loads rules when their files change.", example: "true"),
            .optional(
                "shadow", .integer(0...1_000_000), usual: .integer(ReloadDefinition().shadow),
                "How many of the last records a new version is tried on.", example: "5000"),
            .optional(
                "max_difference", .percentage, usual: .share(ReloadDefinition().maxDifference),
                "How many of those may come out differently.", example: "10%"),
            .optional(
                "max_new_errors", .percentage, usual: .share(ReloadDefinition().maxNewErrors),
                "How many of those may fail with the new rules and not with the old ones.",
                example: "0%"),
            .optional(
                "timeout", .duration(DurationForm()),
                usual: .nanoseconds(ReloadDefinition().timeoutNanoseconds),
                "How long its tests and its trial may take together.", example: "30s"),
            .optional(
                "probation", .nested(.probation), "When a new version has proved itself.",
                example: "{records: 1000, error_rate: 5%}"),
        ])

    static let probation = SectionSpecification(
        "reload.probation", "The time in which a new version can still be taken back by itself.",
        keys: [
            .optional(
                "records", .integer(1...10_000_000),
                usual: .integer(ReloadDefinition().probationRecords),
                "How many records it lasts.", example: "1000"),
            .optional(
                "error_rate", .percentage, usual: .share(ReloadDefinition().probationErrorRate),
                "How many of them may fail.", example: "5%"),
        ])

    static let time = SectionSpecification(
        "time",
        """
        Windows and timers go by the time that records carry. It has passed a point when a record \
        came that is newer than the point by `out_of_orderness`, whatever the clock says.
        """,
        keys: [
            .required(
                "field", .text("a field"),
                "Where the time is; a record without one is a dead letter.",
                example: "created_at"),
            .optional(
                "format", .oneOf([.choice(timeFormats), .pattern("%", "a pattern")]),
                usual: .word(timeFormats[0]),
                "How it is written; a pattern has %Y %m %d %e %j %b %H %M %S %f %z and %%.",
                example: "\"%Y-%m-%d %H:%M:%S\""),
            .optional(
                "timezone", .text("a time zone"), usual: .word("UTC"),
                "The zone of times by a pattern without %z; one that comes twice is the first.",
                example: "Europe/Berlin"),
            .optional(
                "out_of_orderness", .duration(.millisecondsOrZero),
                usual: .milliseconds(TimeDefinition(field: "").outOfOrdernessMilliseconds),
                "How late a record may come after a newer one.", example: "30s"),
            .optional(
                "idle_after", .duration(.milliseconds), usual: .described("never"),
                "After so much silence a source no longer holds the time of the others back; once "
                    + "all are silent, the windows that are open close.",
                example: "30s"),
            .optional(
                "max_future_skew", .duration(.milliseconds), usual: .described("no limit"),
                "A record that is further ahead of the clock is a dead letter.",
                example: "1h"),
        ])

    /// The words for formats of times; the first one is the usual one.
    static let timeFormats = ["rfc3339", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"]
}
