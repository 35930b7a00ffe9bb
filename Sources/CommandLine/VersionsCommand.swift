import ArgumentParser
internal import Engine
internal import Operating

/// `tidewheel versions`: what became of the rule sets of a pipeline.
struct VersionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions", abstract: "List the versions of the rules, oldest first.")
    @OptionGroup var folder: FolderArgument
    @OptionGroup var options: StoreOptions

    func run() throws {
        let runner = try VerbRunner(options, folder, isList: true)
        try runner.run(
            "versions",
            orHere: { (output) throws(ControlFailure) in
                for row in try runner.store.versions() {
                    output.line(Array(row.json.utf8))
                }
            })
    }
}
