import ArgumentParser
internal import Connecting
import Connectors
internal import Definitions
internal import Engine
internal import Operating

/// `tidewheel lint`: what is wrong with a pipeline folder, without running it.
struct LintCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lint", abstract: "Check a pipeline folder without running it.")

    /// How findings are printed.
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, github }

    @OptionGroup var place: ReadFolder
    @Option(
        help: "text for people, json for programs: one object per line, github for annotations.")
    var format = Format.text

    private var folder: String { place.name }

    func run() throws {
        let findings = lintPipeline(
            folder: folder, environment: environment(), catalogue: .checking)
        switch format {
        case .json: for finding in findings { print(finding.json) }
        case .github: for finding in findings { print(finding.annotation(in: folder)) }
        case .text: if !findings.isEmpty { writeError(describe(findings, in: folder)) }
        }
        if findings.contains(where: { $0.severity == .error }) {
            throw CommandFailure(exitCode: 1, text: "")
        }
    }
}

extension Diagnostic {
    /// A line that GitHub shows at the place in a pull request.
    func annotation(in folder: String) -> String {
        func escape(_ text: String) -> String {
            text.replacing("%", with: "%25").replacing("\r", with: "%0D")
                .replacing("\n", with: "%0A")
        }
        func escapeProperty(_ text: String) -> String {
            escape(text).replacing(":", with: "%3A").replacing(",", with: "%2C")
        }
        let prefix = folder == "." ? "" : folder.hasSuffix("/") ? folder : folder + "/"
        let file = escapeProperty(prefix + location.file)
        let title = code.map { ",title=\(escapeProperty($0))" } ?? ""
        return "::\(severity.rawValue) file=\(file),line=\(location.line),"
            + "col=\(location.column)\(title)::\(escape(message))"
    }
}
