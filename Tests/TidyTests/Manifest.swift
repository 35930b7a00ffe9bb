import Foundation
import Testing

/// What the manifest says, as the package manager understands it.
enum Manifest {
    private struct Description: Decodable {
        var targets: [Target]
    }

    private struct Target: Decodable {
        var name: String
        var dependencies: [String]?

        enum CodingKeys: String, CodingKey {
            case name
            case dependencies = "target_dependencies"
        }
    }

    /// The targets of the package, each with the targets that it declares as dependencies.
    static func dependencies(of root: String) throws -> [String: [String]] {
        // The usual folder belongs to the process that runs the tests.
        let scratch = FileManager.default.temporaryDirectory
            .appendingPathComponent("tidewheel-manifest-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "swift", "package", "--package-path", root, "--scratch-path", scratch.path, "describe",
            "--type", "json",
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        let description = try JSONDecoder().decode(Description.self, from: bytes)
        return Dictionary(description.targets.map { ($0.name, $0.dependencies ?? []) }) { $1 }
    }
}
