import Foundation
import Testing

/// What the command says about itself, as people see it; `RECORD=1` writes it anew.
@Suite struct HelpTests {
    static let commands = [
        "--help", "help run", "help lint", "help new", "help test", "help repl", "help types",
        "help bench pipeline", "help tap", "help top", "help profile", "help explain",
        "help lineage",
        "help docs", "docs", "docs lua", "docs sinks", "docs windows", "docs commit.every",
        "docs running", "docs signals",
    ]

    @Test(arguments: commands)
    func `help looks as recorded`(command: String) throws {
        let outcome = try Tool.run(
            arguments: command.split(separator: " ").map(String.init),
            environment: ["COLUMNS": "80"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let name = command.replacing("--", with: "").replacing(" ", with: "-") + ".txt"
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(outcome.output.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(outcome.output == recorded, "RECORD=1 accepts the new text of \(name)")
    }
}
