import ArgumentParser
internal import Engine
internal import Operating

/// `tidewheel versions`: what became of the rule sets of a pipeline.
struct VersionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions", abstract: "List the versions of the rules, oldest first.")
    @OptionGroup var options: StoreOptions

    func run() throws {
        try VerbRunner(options).run(
            "versions",
            orHere: { (output) throws(ControlFailure) in
                for row in try VerbRunner(options).store.versions() {
                    output.line(Array(row.json.utf8))
                }
            })
    }
}
