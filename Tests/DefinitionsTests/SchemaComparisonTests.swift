import Connecting
import Connectors
import Records
import TestKit
import Testing

@testable import Definitions

/// The schema for editors and the reader say the same about the same file, over thousands of
/// variations of sound files: each key left out, misspelt, added, and given values of every kind.
@Suite struct SchemaComparisonTests {
    static let catalogue: Catalogue = {
        var catalogue = Catalogue.standard
        catalogue.sources.append(
            .ingest { (_) throws(ConnectorError) in throw ConnectorError("nobody is there") })
        return catalogue
    }()

    static let values: [Value] = [
        nil, true, false, 0, 1, -1, 1.5, 70_000, 2_000_000_000, "", "x", "a b", "true", "5s", "0s",
        "-5s", "1500us", "5 parsecs", "90d", "30", "64MiB", "0B", "2GiB", "5%", "101%", "1 day",
        "0 weeks", "2 months", [], ["x"], [1], ["1s", "x"], [:], ["zebra": 1], ["zebra": [:]],
        ["x": "5s"], ["file": ["path": "y"]], ["every": "5s"],
    ]

    /// Findings that no schema can have: what they compare is not in one place of the file.
    static let elsewhere = [
        "no such file", "is a directory", "there is no ", "there is already", "another sink",
        "is already a key field", "is given twice", "have a field", "is the engine's own name",
        "before this", "has no named outputs", "must be STAGE or STAGE.OUTPUT", "must not be larg",
        "must be less than", "is longer than max_lease", "\"min\" is above max", "puts each record",
        "windows go by the time", "cannot hold its own dead letters", "goes with a format",
        "has its own offset", "epoch numbers are UTC", "the pattern", "a time zone is for windows",
        "calendar windows begin", "must be from 1 day", "a global window never", "is for global",
        "a rolling window writes one row", "only tumbling, hopping and session", "only appends",
        "revises its rows", "an aggregate stage has the outputs", "unknown aggregate",
        "is no schedule", "never happens", "an outbox needs a store", "is an exchange",
        "a row that no route of", "a computed field is an aggregate", "a condition needs a field",
        "a condition compares with", "unknown time zone", "has no meaning here",
        "a path that rolls", "is for CSV",
    ]

    private let folder = TemporaryFolder()

    init() {
        folder.write("function process(r) end", to: "rules/a.lua")
        folder.write("{}", to: "s.json")
        folder.write("id,x\n1,2\n", to: "users.csv")
    }

    private func findings(_ document: Value) -> [String] {
        var reader = DefinitionReader(
            folder: folder.path, environment: [:], catalogue: Self.catalogue)
        reader.read(Setting(document))
        return reader.findings.map(\.message)
    }

    private static func checker() -> SchemaChecker {
        var schema = PipelineSchema(catalogue)
        return SchemaChecker(schema.value)
    }

    @Test(arguments: SpecificationDocuments.all)
    func `the reader and the schema agree on every variation`(document: String) throws {
        let checker = Self.checker()
        let sound = yaml(document)
        #expect(findings(sound) == [])
        #expect(checker.accepts(sound))
        var count = (accepted: 0, refused: 0)
        for variation in Variation.all(of: sound, .pipeline(Self.catalogue), Self.values) {
            let found = findings(variation.document)
            let accepts = checker.accepts(variation.document)
            if accepts { count.accepted += 1 } else { count.refused += 1 }
            if !accepts {
                #expect(!found.isEmpty, "only the schema refuses \(variation.name)")
            } else {
                let missed = found.filter { text in !Self.elsewhere.contains { text.contains($0) } }
                #expect(missed == [], "only the reader refuses \(variation.name)")
            }
        }
        #expect(count.accepted > 20 && count.refused > 300, "\(count)")
        #expect(checker.unknown.isEmpty, "\(checker.unknown)")
    }

    @Test func `the documents use every section and every key`() {
        var seen: Set<String> = []
        for document in SpecificationDocuments.all {
            seen.formUnion(Variation.keys(in: yaml(document), .pipeline(Self.catalogue)))
        }
        let declared = SectionSpecification.reachable(from: .pipeline(Self.catalogue))
            .flatMap { section in section.keys.map { "\(section.name).\($0.name)" } }
        #expect(Set(declared).subtracting(seen).sorted() == [])
    }

    @Test func `to say what holds anyway changes nothing`() throws {
        var count = 0
        for document in SpecificationDocuments.all {
            let sound = yaml(document)
            for pair in Variation.defaults(of: sound, .pipeline(Self.catalogue)) {
                guard let without = definition(pair.without), let with = definition(pair.with)
                else { continue }
                count += 1
                let isSame = without == with
                #expect(isSame, "\(pair.name)")
            }
        }
        #expect(count > 40, "\(count)")
    }

    /// Everything that is known of a file, without places; nil when something is wrong with it.
    private func definition(_ document: Value) -> String? {
        var reader = DefinitionReader(
            folder: folder.path, environment: [:], catalogue: Self.catalogue)
        reader.read(Setting(document))
        guard reader.findings.isEmpty else { return nil }
        var text = ""
        dump(reader.definition, to: &text)
        return text
    }

    @Test func `the schema accepts every example of the documentation`() {
        let checker = Self.checker()
        for section in SectionSpecification.reachable(from: .pipeline(Self.catalogue)) {
            guard case .object(let fields)? = checker.definition(section.name),
                case .object(let properties)? = Record(fields)["properties"]
            else {
                Issue.record("\(section.name) has no schema")
                continue
            }
            for key in section.keys {
                let schema = Record(properties)[key.name] ?? false
                #expect(checker.accepts(yaml(key.example), schema), "\(section.name).\(key.name)")
                guard let usual = key.usual?.value else { continue }
                let isAccepted = checker.accepts(usual, schema)
                #expect(isAccepted, "the default of \(section.name).\(key.name)")
            }
        }
    }
}

extension Setting {
    /// A setting as if it had been read from JSON, all of it at one place.
    init(_ value: Value) {
        let place = Location(file: "pipeline.yaml", line: 1, column: 1)
        let content: Content =
            switch value {
            case .null: .null
            case .string(let text): .scalar(text, quoted: true)
            case .array(let items): .sequence(items.map { Setting($0) })
            case .object(let fields):
                .mapping(
                    fields.map { Entry(key: $0.name, location: place, value: Setting($0.value)) })
            case .boolean, .integer, .number, .decimal: .scalar(value.text, quoted: false)
            }
        self.init(content, at: place)
    }
}
