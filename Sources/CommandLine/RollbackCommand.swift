import ArgumentParser
import Records

/// `tidewheel rollback`: goes back to rules that were active before.
struct RollbackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Go back to rules that were active before.")
    @Argument(help: "The version, as `versions` lists it.")
    var version: String
    @Flag(help: "Also when it cannot take the state back that a later version has changed.")
    var force = false
    @OptionGroup var options: StoreOptions

    func run() throws {
        try RunningPipelineVerb.run(
            "rollback", [Field("version", .string(version))] + flag("force", force),
            VerbRunner(options))
    }
}
