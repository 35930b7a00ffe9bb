import ArgumentParser
import Connectors
import Pipelines
import Records
import Stages

/// `tidewheel lint`: what is wrong with a pipeline folder, without running it.
struct LintCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lint", abstract: "Check a pipeline folder without running it.")

    /// How findings are printed.
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @Argument(help: "The pipeline folder.")
    var folder = "."
    @Option(help: "text for people, json for programs: one object per line.")
    var format = Format.text

    func run() throws {
        let findings = lintPipeline(
            folder: folder, environment: environment(), catalogue: .standard)
        switch format {
        case .json: for finding in findings { print(json(finding)) }
        case .text:
            if findings.isEmpty {
                writeError("no findings")
            } else {
                writeError(describe(findings, in: folder))
            }
        }
        if findings.contains(where: { $0.severity == .error }) {
            throw CommandFailure(exitCode: 1, text: "")
        }
    }

    private func json(_ finding: Diagnostic) -> String {
        Record([
            Field("file", .string(finding.location.file)),
            Field("line", .integer(Int64(finding.location.line))),
            Field("column", .integer(Int64(finding.location.column))),
            Field("severity", .string(finding.severity.rawValue)),
            Field("message", .string(finding.message)),
        ]).description
    }
}
