import ArgumentParser
import Records

/// `tidewheel reload`: loads the rule files of a running pipeline.
struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Load the rules of a running pipeline.")
    @Option(help: "Try them on so many of the last records first.")
    var shadow: Int?
    @Option(help: "Refuse them when a larger share comes out differently, such as 5%.")
    var maxDifference: String?
    @Flag(help: "Load them whatever tests and differences say; they must compile.")
    var force = false
    @OptionGroup var folder: FolderArgument
    @OptionGroup var options: StoreOptions

    func run() throws {
        var fields = flag("force", force)
        if let shadow {
            guard (0...1_000_000).contains(shadow) else {
                throw ValidationError("--shadow must be from 0 to 1000000")
            }
            fields.append(Field("shadow", .integer(Int64(shadow))))
        }
        if let maxDifference {
            guard maxDifference.hasSuffix("%"), let percent = Double(maxDifference.dropLast()),
                (0...100).contains(percent)
            else { throw ValidationError("--max-difference must be a percentage, such as 5%") }
            fields.append(Field("max_difference", .number(percent / 100)))
        }
        try RunningPipelineVerb.run("reload", fields, VerbRunner(options, folder))
    }
}
