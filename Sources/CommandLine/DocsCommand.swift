import ArgumentParser
import Scripting

/// `tidewheel docs lua`: the rule API, printed from the table that also registers it.
struct DocsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "docs", abstract: "Print documentation.")

    /// What can be documented.
    enum Topic: String, ExpressibleByArgument, CaseIterable { case lua }

    @Argument(help: "What to document: lua, the rule API.")
    var topic: Topic

    func run() throws {
        print(RuleAPI.markdown(), terminator: "")
    }
}
