import TestKit
import Tidewheel

/// Pipeline folders for tests.
enum Folder {
    /// Records are handed in, doubled by a rule, and written into `out.jsonl`.
    static func doubling(_ more: String = "") -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            name: doubling
            source: {ingest: {}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{name: out, from: shape, file: {path: out.jsonl}}]
            commit: {every: 20ms}
            \(more)
            """, to: "pipeline.yaml")
        folder.write(doubled, to: "rules/shape.lua")
        return folder
    }

    static let doubled = "function process(r) r.twice = r.n * 2 end"
}

extension TemporaryFolder {
    /// The lines of a file.
    func lines(_ name: String) -> [Substring] { text(name).split(separator: "\n") }
}

/// Waits for what is to come; the test's limit is the bound.
func until(_ isTrue: () async throws -> Bool) async throws {
    while try await !isTrue() { try await ContinuousClock().sleep(for: .milliseconds(2)) }
}
