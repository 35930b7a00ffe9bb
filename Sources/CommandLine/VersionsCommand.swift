import ArgumentParser
import Control
internal import Engine

/// `tidewheel versions`: what became of the rule sets of a pipeline.
struct VersionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions", abstract: "List the versions of the rules, oldest first.")
    @OptionGroup var options: StoreOptions

    func run() throws {
        try VerbRunner(options).run(
            "versions",
            orHere: { (output) throws(ControlFailure) in
                var history = VersionHistory()
                try VerbRunner(options).look { kind, bytes in history.take(kind: kind, bytes) }
                for row in history.rows { output.line(Array(row.json.utf8)) }
            })
    }
}
