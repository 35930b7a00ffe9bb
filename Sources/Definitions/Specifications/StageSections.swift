internal import Connecting

/// Stages, and what each of them works with.
extension SectionSpecification {
    static let stage = SectionSpecification(
        "stage",
        """
        One step of the way of a record. Rules are Lua files; `tidewheel docs lua` has what they \
        may do. A record that fails in any stage is one dead letter and has had no effect.
        """,
        keys: [
            .required(
                "name", .name(.unreserved), "The stage's name, for from, findings and figures.",
                example: "shape"),
            .optional(
                "from", .text("STAGE, STAGE.OUTPUT, STAGE.late, source or dead_letters"),
                usual: .described("the stage before, or the source"),
                "Which records it gets; with from a pipeline branches.", example: "check"),
            .optional(
                "validate", .nested(.validate),
                "Checks records by a schema, by rules, or by both; wrong ones are dead letters.",
                example: "{schema: schemas/order.schema.json}"),
            .optional(
                "transform", .text("a Lua file"), "Rules that change records.",
                example: "rules/shape.lua"),
            .optional(
                "enrich", .text("a Lua file"), "Rules that add what lookups know.",
                example: "rules/enrich.lua"),
            .optional(
                "route", .text("a Lua file"), "Rules that send records to outputs of the stage.",
                example: "rules/route.lua"),
            .optional(
                "aggregate", .nested(.aggregate), "Windows, which make a row of many records.",
                example: "{window: {tumbling: 60s}, compute: {orders: count}}"),
            .optional(
                "budget",
                .duration(DurationForm(maximum: 60_000_000_000)),
                usual: .nanoseconds(StageDefinition.usualBudgetNanoseconds),
                "How much CPU time one call of a rule may take.", example: "50ms"),
            .optional(
                "lookups", .texts("the name of a lookup"),
                "The lookups that the rules use, so that lint can check them.",
                example: "[users]"),
        ],
        rules: [.exactlyOne(["validate", "transform", "enrich", "route", "aggregate"])])

    static let validate = SectionSpecification(
        "validate", "Checks that records are as they should be.",
        keys: [
            .optional(
                "schema", .text("a file"), "A JSON Schema; all findings of a record are told.",
                example: "schemas/order.schema.json"),
            .optional(
                "rules", .text("a Lua file"), "Rules that reject what a schema cannot say.",
                example: "rules/check.lua"),
        ],
        rules: [.atLeastOne(["schema", "rules"])])
}
