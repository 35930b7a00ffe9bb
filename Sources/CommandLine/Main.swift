import ArgumentParser
import Glibc

/// The `tidewheel` command: one file per verb.
struct RootCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tidewheel",
        abstract: "Stream processing whose rules are Lua scripts.",
        version: "0.1.0",
        subcommands: [
            RunCommand.self, NewCommand.self, LintCommand.self, TestCommand.self, ReplCommand.self,
            ReloadCommand.self, VersionsCommand.self, RollbackCommand.self, TapCommand.self,
            TopCommand.self, ProfileCommand.self, ExplainCommand.self,
            LineageCommand.self, LetterCommand.self, QueueCommand.self,
            StoreCommand.self,
            TypesCommand.self, DocsCommand.self, BenchCommand.self,
        ])
}

/// Something that ends the command: what to print on stderr, and the exit code.
struct CommandFailure: Error {
    var exitCode: Int32
    var text: String
}

@main
enum Main {
    /// `run` with sound arguments, without looking at all the other verbs: the first record is out
    /// that much sooner.
    private static func quickRun() -> (any ParsableCommand)? {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.first == "run" else { return nil }
        return try? RunCommand.parse(Array(arguments.dropFirst()))
    }

    static func main() {
        do {
            var command = try quickRun() ?? RootCommand.parseAsRoot()
            try command.run()
        } catch let failure as CommandFailure {
            writeError(failure.text)
            exit(failure.exitCode)
        } catch {
            let code = RootCommand.exitCode(for: error)
            let text = RootCommand.fullMessage(for: error)
            if code == .success {
                print(text)
                exit(0)
            }
            writeError(text)
            exit(2)  // Wrong usage; the parser's own code would be 64.
        }
    }
}

/// Writes whole lines to stderr.
func writeError(_ text: String) {
    guard !text.isEmpty else { return }
    let line = text.hasSuffix("\n") ? text : text + "\n"
    unsafe Array(line.utf8).withUnsafeBytes { _ = unsafe Glibc.write(2, $0.baseAddress, $0.count) }
}
