import Foundation

/// What the repository holds, as rules about whole trees need it.
struct Tree {
    /// One file that is kept.
    struct Entry {
        var path: String
        var isLink = false
        /// The first bytes, in which anything but text shows itself.
        var head: [UInt8] = []
        var name: Substring { path.split(separator: "/").last ?? "" }
        var folders: ArraySlice<Substring> { path.split(separator: "/").dropLast() }
    }

    var entries: [Entry]

    /// Reads what git tracks in a folder; where there is no git, every file that is not made by
    /// a build or a run.
    init(of root: String) throws {
        let paths = try Self.tracked(root) ?? Self.walked(root)
        entries = paths.compactMap { path in
            let full = root + "/" + path
            let attributes = try? FileManager.default.attributesOfItem(atPath: full)
            // What is deleted and not yet committed is gone.
            guard let attributes else { return nil }
            let isLink = attributes[.type] as? FileAttributeType == .typeSymbolicLink
            let file = isLink ? nil : FileHandle(forReadingAtPath: full)
            let head = try? file?.read(upToCount: 8000)
            try? file?.close()
            return Entry(path: path, isLink: isLink, head: Array(head ?? Data()))
        }
    }

    /// A made-up tree of text files.
    init(_ paths: String...) { entries = paths.map { Entry(path: $0, head: Array("x\n".utf8)) } }

    private static func tracked(_ root: String) throws -> [String]? {
        guard FileManager.default.fileExists(atPath: root + "/.git") else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git", "-C", root, "ls-files", "-z"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func walked(_ root: String) throws -> [String] {
        let made: Set<Substring> = ["out", "data"]
        return try FileManager.default.subpathsOfDirectory(atPath: root).filter { path in
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isFolder)
            return !isFolder.boolValue && path != "Package.resolved"
                && !path.split(separator: "/").contains {
                    $0.hasPrefix(".build") || made.contains($0)
                }
        }
    }
}

/// The rules about what is kept at all; the names and the kinds of files, not their text.
extension Tree {
    /// Old stores may be kept as what tests read, here alone.
    private static func isFixture(_ entry: Entry) -> Bool {
        entry.folders.first == "Tests" && entry.folders.contains("Fixtures")
    }

    private func violations(_ rule: String, _ breaks: (Entry) -> Bool) -> [Violation] {
        entries.filter(breaks).map { Violation(file: $0.path, line: 1, rule: rule) }
    }

    /// Files that a pipeline writes while it runs.
    func stores() -> [Violation] {
        let names: Set<Substring> = ["LOCK", "FORMAT", "control.sock"]
        return violations("part of a store; it is not to be kept") { entry in
            !Self.isFixture(entry)
                && (names.contains(entry.name) || entry.name.hasPrefix("catalogue.sqlite")
                    || [".seg", ".snap"].contains { entry.name.hasSuffix($0) }
                    || entry.folders.contains("snapshots"))
        }
    }

    func links() -> [Violation] {
        violations("a symbolic link; not every file system has them", \.isLink)
    }

    /// Paths that are one and the same where file systems do not tell `a` from `A`.
    func twins() -> [Violation] {
        var spellings: [String: Set<String>] = [:]
        for entry in entries {
            let parts = entry.path.split(separator: "/")
            for count in 1...max(1, parts.count) {
                let path = parts.prefix(count).joined(separator: "/")
                spellings[path.lowercased(), default: []].insert(path)
            }
        }
        return spellings.values.filter { $0.count > 1 }.map { $0.sorted() }
            .sorted { $0[0] < $1[0] }
            .map {
                Violation(file: $0[0], line: 1, rule: "differs from \($0[1]) by case alone")
            }
    }

    /// What a build makes.
    func products() -> [Violation] {
        let endings = [
            ".o", ".a", ".so", ".swiftmodule", ".swiftdoc", ".profraw", ".profdata", ".gcda",
        ]
        return violations("made by a build; it is not to be kept") { entry in
            entry.name == "Package.resolved" || endings.contains { entry.name.hasSuffix($0) }
                || entry.folders.contains { $0.hasPrefix(".build") || $0 == ".swiftpm" }
        }
    }

    /// Text has no zero bytes.
    func binaries() -> [Violation] {
        violations("not a text") { !Self.isFixture($0) && $0.head.contains(0) }
    }

    /// Examples without a README or without the output that they are to give. Benchmarks are
    /// given their input from outside, so their output is where the tests run them.
    func unfinishedExamples() -> [Violation] {
        let examples = Set(
            entries.filter { $0.folders.first == "examples" && $0.folders.count > 1 }
                .map { $0.folders[1] })
        return examples.sorted().flatMap { example -> [Violation] in
            let folder = "examples/\(example)/"
            let found = entries.map(\.path).filter { $0.hasPrefix(folder) }
            var missing: [String] = []
            if !found.contains(folder + "README.md") { missing.append("README.md") }
            if example != "benchmarks",
                !found.contains(where: { $0.hasPrefix(folder + "expected/") })
            {
                missing.append("expected")
            }
            return missing.map { Violation(file: folder, line: 1, rule: "has no \($0)") }
        }
    }
}
