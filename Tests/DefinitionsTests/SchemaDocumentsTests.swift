import Connecting
import Foundation
import Records
import Testing

@testable import Definitions

/// The schema accepts what the repository shows: the examples, and the blocks of its documents.
@Suite struct SchemaDocumentsTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    private static func files(_ ending: String) -> [String] {
        let walker = FileManager.default.enumerator(atPath: root + "/examples")
        let names = (walker?.allObjects as? [String] ?? []).filter { $0.hasSuffix(ending) }
        return names.map { "examples/\($0)" }.sorted()
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(Self.root)/\(path)", encoding: .utf8)
    }

    private func checker(_ top: SectionSpecification) -> SchemaChecker {
        var schema = PipelineSchema(top: top)
        return SchemaChecker(schema.value)
    }

    @Test func `every example is accepted`() throws {
        let checker = checker(.pipeline(SchemaComparisonTests.catalogue))
        let files = Self.files("pipeline.yaml")
        #expect(files.count >= 9)
        for file in files { #expect(checker.accepts(yaml(try text(file))), "\(file)") }
    }

    @Test func `every test file of an example is accepted`() throws {
        let checker = checker(.ruleTestFile)
        let files = Self.files(".test.yaml")
        #expect(!files.isEmpty)
        for file in files { #expect(checker.accepts(yaml(try text(file))), "\(file)") }
    }

    @Test(arguments: ["README.md", "examples/queue-requests/README.md"])
    func `every key of a document is accepted`(document: String) throws {
        let tops: [SectionSpecification] = [
            .pipeline(SchemaComparisonTests.catalogue), .ruleTestFile,
        ]
        let blocks = try text(document).matches(of: /(?s)```yaml\n(.*?)```/).map { String($0.1) }
        #expect(!blocks.isEmpty || document != "README.md")
        for block in blocks {
            guard case .object(let fields) = yaml(block) else { continue }
            // A block shows a part of a file, so nothing is missing from it.
            let isKnown = tops.contains { top in
                let checker = checker(top)
                guard case .object(let schema)? = checker.definition(top.name),
                    case .object(let properties)? = Record(schema)["properties"]
                else { return false }
                return fields.allSatisfy { field in
                    checker.accepts(field.value, Record(properties)[field.name] ?? false)
                }
            }
            #expect(isKnown, "\(block)")
        }
    }
}
