import ArgumentParser

/// `tidewheel top`: what a running pipeline does.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Show what a running pipeline does.")
    @OptionGroup var options: StoreOptions

    func run() throws { try RunningPipelineVerb(options).run("top", []) }
}
