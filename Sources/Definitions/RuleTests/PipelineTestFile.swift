package import Connecting
package import Records
package import Scripting

/// One `tests/NAME.yaml` as values.
package struct PipelineTestFile: Sendable {
    /// The tests in the order of the file.
    package var cases: [PipelineTestCase] = []
}

/// One test of a whole pipeline.
package struct PipelineTestCase: Sendable {
    /// Its name.
    package var name: String
    /// Where it begins.
    package var location: Location
    /// What goes in, by source.
    package var inputs: [String: PipelineTestInput] = [:]
    /// The clock in milliseconds since 1970; nil when nothing is said.
    package var now: Int64?
    /// Event time comes to this; nil: the input ends.
    package var until: Int64?
    /// Rows of lookup tables, by name.
    package var lookups: [String: LookupRows] = [:]
    /// All rows of sinks.
    package var rows: [Field] = []
    /// Parts of rows of sinks.
    package var parts: [Field] = []
    /// A number, or parts of letters; nil: there are none.
    package var dead: Value?
}

/// What goes in at one source.
package enum PipelineTestInput: Sendable {
    /// JSON texts of records.
    case records([[UInt8]])
    /// A file, relative to the folder.
    case file(String)
}

/// The test files of the whole pipeline.
package enum PipelineTestFiles {
    private static let folder = "tests/"

    /// Those in `tests/`, sorted by path.
    package static func all(in folder: String) -> [RuleSet.File] {
        names(in: folder + "/tests").filter { $0.hasSuffix(".yaml") }.sorted().map {
            let path = Self.folder + $0
            return RuleSet.File(path: path, bytes: readFile(folder + "/" + path) ?? [])
        }
    }

    /// True for a file that `all` gives.
    package static func isOne(_ file: RuleSet.File) -> Bool { file.path.hasPrefix(folder) }

    /// A test file as values, or what is wrong with it.
    package static func read(
        _ file: RuleSet.File, for plan: Plan
    ) -> (file: PipelineTestFile?, findings: [Diagnostic]) {
        let start = Location(file: file.path, line: 1, column: 1)
        if file.bytes.isEmpty, let problem = fileProblem(plan.definition.folder + "/" + file.path) {
            return (nil, [Diagnostic(at: start, "the file \(problem)")])
        }
        guard !plan.definition.sources.isEmpty else {
            let what = "the folder has no source, so there is no pipeline to test"
            return (nil, [Diagnostic(at: start, what)])
        }
        var reader = PipelineTestReader(file.path, plan.definition)
        let read = reader.read(file.bytes)
        return (read, reader.findings)
    }
}
