import Foundation
import Testing

@Suite struct ScaffoldTests {
    @Test func `every verb that is wired in has a file of its own`() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/CommandLine").path
        let main = try String(contentsOfFile: folder + "/Main.swift", encoding: .utf8)
        let verbs = main.matches(of: /([A-Z][a-z]+)Command\.self/).map { String($0.1) }
        #expect(verbs.count >= 5)
        for verb in verbs {
            #expect(
                FileManager.default.fileExists(atPath: "\(folder)/\(verb)Command.swift"), "\(verb)")
        }
    }
}
