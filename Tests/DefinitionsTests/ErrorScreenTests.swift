import Connecting
import Connectors
import Glibc
import Definitions
import TestKit
import Testing

/// One screen of errors as a person sees it; `RECORD=1` writes it anew.
@Suite struct ErrorScreenTests {
    @Test func `an error screen looks as recorded`() throws {
        let yaml = """
            name: ${NAME}
            source: {file: {pth: "in/*.jsonl"}}
            stages:
              - {name: check, validate: {rules: rules/check.lua}}
              - {name: shape, from: chek, transform: rules/a.lua, budget: 5}
            sinks:
            \t- {from: shape}

            """.replacing("\t-", with: "  -")
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        folder.write(yaml, to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/a.lua")
        let error = #expect(throws: DiagnosticList.self) {
            try readDefinition(folder: folder.path, environment: [:], catalogue: .standard)
        }
        let lines = yaml.split(separator: "\n", omittingEmptySubsequences: false)
        let screen = render(error?.findings ?? []) { _, line in
            lines.indices.contains(line - 1) ? String(lines[line - 1]) : nil
        }
        let golden = Golden(#filePath, "error-screen.txt")
        if getenv("RECORD") != nil { golden.write(screen + "\n") }
        #expect(screen + "\n" == golden.text, "RECORD=1 accepts the new screen")
    }
}
