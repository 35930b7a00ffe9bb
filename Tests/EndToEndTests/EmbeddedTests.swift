import Foundation
import TestKit
import Testing

/// The programs of `examples/embedded`, which are built beside the tests.
@Suite struct EmbeddedTests {
    @Test(
        .timeLimit(.minutes(30)),
        arguments: [
            ("embedded-transform", "transform"), ("embedded-queue", "queue"),
            ("embedded-pipeline", "operating"),
        ])
    func `the program prints what it promises`(product: String, name: String) throws {
        // They were built beside the tests, with or without a sanitizer.
        let binary = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent(product).path
        let examples = Tool.root + "/examples/embedded"
        let run = try Tool.run("\(examples)/\(name)/pipeline", executable: binary)
        let expected = try String(
            contentsOfFile: "\(examples)/expected/\(name).txt", encoding: .utf8)
        // Several tasks print, so that only the lines themselves are sure.
        let (found, promised) = (lines(run.output), lines(expected))
        #expect(found == promised, "\(run.output)\n\(run.errors)")
        #expect(run.status == 0)
    }

    private func lines(_ text: String) -> [Substring] { text.split(separator: "\n").sorted() }
}
