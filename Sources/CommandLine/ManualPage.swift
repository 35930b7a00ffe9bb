import ArgumentParser

/// The manual page of the command, in the language of man, made from what `--help` says.
enum ManualPage {
    /// All of it: the command, and each verb with its options.
    static var text: String {
        var lines = [
            ".TH TIDEWHEEL 1 \"\" \"tidewheel \(RootCommand.configuration.version)\"", ".SH NAME",
            "tidewheel \\- \(escaped(RootCommand.configuration.abstract))", ".SH SYNOPSIS",
            ".B tidewheel", ".I VERB", "[arguments]", ".SH DESCRIPTION",
            escaped(
                "Runs pipelines whose rules are Lua scripts, and looks after them. "
                    + "`tidewheel docs` has the reference, page by page."),
            ".SH VERBS",
        ]
        lines += RootCommand.configuration.subcommands.flatMap { section($0, below: "") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func section(_ command: any ParsableCommand.Type, below: String) -> [String] {
        let configuration = command.configuration
        let name = below + (configuration.commandName ?? "\(command)".lowercased())
        guard configuration.subcommands.isEmpty else {
            return configuration.subcommands.flatMap { section($0, below: name + " ") }
        }
        let help = RootCommand.helpMessage(for: command, columns: 72)
        return [".SS \"\(name)\"", ".nf"]
            + help.split(separator: "\n", omittingEmptySubsequences: false).map { escaped($0) }
            + [".fi"]
    }

    /// A line that means nothing to man but itself.
    private static func escaped(_ line: some StringProtocol) -> String {
        let text = String(line).replacing("\\", with: "\\e").replacing("-", with: "\\-")
        return text.hasPrefix(".") || text.hasPrefix("'") ? "\\&" + text : text
    }
}
