import ArgumentParser
import Records

/// `tidewheel tap`: shows what passes a point of a running pipeline.
struct TapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tap", abstract: "Show what passes a stage of a running pipeline.",
        discussion: "The point is STAGE or STAGE.out (what leaves it), STAGE.in (what comes to "
            + "it), STAGE.dead (its dead letters) or STAGE.OUTPUT. When more passes than can be "
            + "shown, a part of it is.")
    @Argument(help: "STAGE, STAGE.in, STAGE.dead or STAGE.OUTPUT.")
    var point: String
    @Option(name: .shortAndLong, help: "End after so many rows.")
    var number: Int?
    @OptionGroup var options: StoreOptions

    func run() throws {
        let parts = point.split(separator: ".", maxSplits: 1).map(String.init)
        guard let stage = parts.first else { throw ValidationError("name a stage") }
        var fields = [Field("stage", .string(stage))]
        if parts.count > 1 { fields.append(Field("point", .string(parts[1]))) }
        if let number {
            try checkCount(number)
            fields.append(Field("count", .integer(Int64(number))))
        }
        try RunningPipelineVerb(options).run("tap", fields)
    }
}
