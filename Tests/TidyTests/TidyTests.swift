import Foundation
import Testing

@Suite struct TidyTests {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// Every file of the repository with one of these endings, and its text.
    static func files(_ endings: String...) -> [(path: String, text: String)] {
        var found: [(String, String)] = []
        for top in ["Sources", "Tests", "examples", "scripts"] {
            let walker = FileManager.default.enumerator(atPath: root + "/" + top)
            while let name = walker?.nextObject() as? String {
                guard endings.contains(where: { name.hasSuffix($0) }), !name.contains("/out/"),
                    let text = try? String(
                        contentsOfFile: "\(root)/\(top)/\(name)", encoding: .utf8)
                else { continue }
                found.append(("\(top)/\(name)", text))
            }
        }
        return found
    }

    /// The folders of `Sources` that hold Swift.
    static let modules: [String] = {
        let folders = try? FileManager.default.contentsOfDirectory(atPath: root + "/Sources")
        return (folders ?? []).filter { !Tidy.isForeign($0) && !$0.hasPrefix(".") }
    }()

    private func check(
        _ rule: (String, String) -> [Violation], _ files: [(path: String, text: String)]
    ) {
        #expect(files.count > 5)
        let violations = files.flatMap { rule($0.path, $0.text) }
        #expect(violations.isEmpty, "\(violations.map(\.description).joined(separator: "\n"))")
    }

    @Test func `lines fit into 100 columns`() {
        check(
            Tidy.longLines,
            Self.files(".cpp", ".h") + Self.files(".swift").filter { $0.path.hasPrefix("Sources/") }
        )
    }
    @Test func `files are one idea`() { check(Tidy.longFiles, Self.files(".swift", ".cpp", ".h")) }
    @Test func `functions fit on a screen`() {
        check(Tidy.longFunctions, Self.files(".swift", ".cpp"))
    }
    @Test func `banned words are not used`() {
        check(Tidy.bannedWords, Self.files(".swift", ".cpp", ".h"))
    }
    @Test func `tests wait for events`() { check(Tidy.waitsForTime, Self.files(".swift")) }
    @Test func `what is unchecked says why`() {
        check(Tidy.uncheckedSendable, Self.files(".swift"))
    }
    @Test func `modules stand only on what is below them, and import only that`() throws {
        let declared = try Manifest.dependencies(of: Self.root)
        let modules = declared.filter { Self.modules.contains($0.key) }
        #expect(modules.count == Self.modules.count)
        let wrong = modules.sorted { $0.key < $1.key }.flatMap {
            Tidy.wrongDependencies(of: $0.key, $0.value)
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
        check({ Tidy.undeclaredImports($0, $1, declared: declared) }, Self.files(".swift"))
    }
    @Test func `no file knows the machine it was written on`() {
        check(Tidy.machinePaths, Self.files(".swift", ".cpp", ".h", ".lua", ".yaml", ".md"))
    }

    @Test func `what a module re-exports is named`() {
        check(Tidy.wholeExports, Self.files(".swift"))
    }

    @Test func `documents have one title`() throws {
        for name in ["README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"] {
            let text = try String(contentsOfFile: "\(Self.root)/\(name).md", encoding: .utf8)
            #expect(Tidy.titles(name, text).isEmpty)
        }
    }

    @Test func `every module has tests`() throws {
        #expect(Self.modules.count > 10)
        for module in Self.modules {
            let tests = try FileManager.default.contentsOfDirectory(
                atPath: "\(Self.root)/Tests/\(module)Tests")
            #expect(tests.contains { $0.hasSuffix(".swift") }, "\(module)")
        }
    }

    @Test func `each rule finds what it is for, and lets the rest pass`() {
        #expect(Tidy.longLines("a.swift", String(repeating: "x", count: 101)).count == 1)
        #expect(Tidy.longLines("a.swift", String(repeating: "x", count: 100)).isEmpty)
        #expect(Tidy.longFiles("a.swift", String(repeating: "\n", count: 401)).count == 1)
        #expect(Tidy.longFiles("a.swift", String(repeating: "\n", count: 400)).isEmpty)
        let body = String(repeating: "    x()\n", count: 60)
        #expect(Tidy.longFunctions("a.swift", "func f() {\n\(body)}\n").count == 1)
        #expect(Tidy.longFunctions("a.cpp", "int f(int x) {\n\(body)}\n").count == 1)
        #expect(Tidy.longFunctions("a.swift", "func f() {\n    x()\n}\n").isEmpty)
        #expect(Tidy.bannedWords("Sources/Records/a.swift", "import " + "Foundation").count == 1)
        #expect(Tidy.bannedWords("Sources/Records/a.swift", "blueprint(x)").isEmpty)
        #expect(Tidy.bannedWords("Sources/Records/a.swift", "let x = try" + "! f()").count == 1)
        #expect(Tidy.bannedWords("Tests/ATests/a.swift", "  usl" + "eep(1)").count == 1)
        #expect(Tidy.bannedWords("Tests/ATests/a.swift", "await Task.sl" + "eep(x)").count == 1)
        #expect(Tidy.bannedWords("Tests/ATests/a.swift", "Thread.sl" + "eep(x)").count == 1)
        #expect(Tidy.bannedWords("Tests/ATests/a.swift", "sle" + "ep" + "(1)").count == 1)
        #expect(Tidy.bannedWords("Sources/Records/a.swift", "usl" + "eep(1)").isEmpty)
        #expect(Tidy.waitsForTime("Tests/a.swift", "#expect(wait { Date() " + "> x })").count == 1)
        #expect(Tidy.waitsForTime("Tests/a.swift", "wait { folder.text(\"a\") > \"\" }").isEmpty)
        #expect(Tidy.uncheckedSendable("a", "final class A: @unchecked " + "Sendable {").count == 1)
        #expect(
            Tidy.uncheckedSendable("a", "class A: @unchecked " + "Sendable {  // Under a lock.")
                .isEmpty)
        #expect(Tidy.wrongDependencies(of: "Records", ["Connecting"]).count == 1)
        #expect(Tidy.wrongDependencies(of: "Connectors", ["Definitions"]).count == 1)
        #expect(Tidy.wrongDependencies(of: "Engine", ["Trials", "Elsewhere"]).count == 2)
        #expect(Tidy.wrongDependencies(of: "Elsewhere", []).count == 1)
        #expect(Tidy.wrongDependencies(of: "Connecting", ["Records", "CLua"]).isEmpty)
        let declared = ["Trials": ["Engine"], "Engine": ["Records"], "Records": []]
        func undeclared(_ path: String, _ text: String) -> Int {
            Tidy.undeclaredImports(path, text, declared: declared).count
        }
        #expect(undeclared("Sources/Engine/a.swift", "internal import Trials") == 1)
        #expect(undeclared("Sources/Engine/a.swift", "public import Records") == 0)
        #expect(undeclared("Sources/Engine/a.swift", "internal import Glibc") == 0)
        #expect(Tidy.wholeExports("a", "@_exported public import Engine").count == 1)
        #expect(Tidy.wholeExports("a", "@_exported public import struct Engine.Tap").isEmpty)
        #expect(Tidy.machinePaths("a", "let x = \"/wo" + "rk/x\"").count == 1)
        #expect(Tidy.machinePaths("a", "let x = \"/dev/full\"").isEmpty)
        #expect(Tidy.titles("a", "# One\n```\n# no\n```\n").isEmpty)
        #expect(Tidy.titles("a", "# One\n# Two\n").count == 1)
    }
}
