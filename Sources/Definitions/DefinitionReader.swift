public import Connecting
internal import Glibc
internal import Windowing

/// Several findings that keep a pipeline from being read.
public struct DiagnosticList: Error, Sendable {
    /// All of them.
    public var findings: [Diagnostic]

    /// Each finding once, in the order of the file.
    init(ordered findings: [Diagnostic]) {
        var seen: Set<Diagnostic> = []
        self.findings = findings.filter { seen.insert($0).inserted }.sorted(
            by: Diagnostic.isBefore)
    }

    init(findings: [Diagnostic]) { self.findings = findings }

    /// One finding about the file as a whole.
    public init(_ message: String) {
        let start = Location(file: "pipeline.yaml", line: 1, column: 1)
        findings = [Diagnostic(at: start, message)]
    }
}

/// Reads and checks `FOLDER/pipeline.yaml`; everything wrong is reported, not only the first.
///
/// Who does not open sources and sinks can do without variables that are not set.
public func readDefinition(
    folder: String, environment: [String: String], catalogue: Catalogue,
    needsVariables: Bool = true
) throws(DiagnosticList) -> Definition {
    var substitution = Substitution(environment: environment)
    let (settings, findings) = try readSettings(folder: folder, &substitution)
    var reader = DefinitionReader(
        folder: folder, environment: environment, catalogue: catalogue)
    reader.read(settings)
    let unset = needsVariables ? substitution.findings : substitution.errors
    let all = findings + unset + reader.findings
    guard all.isEmpty else { throw DiagnosticList(ordered: all) }
    var definition = reader.definition
    definition.written = WrittenKeys(settings)
    return definition
}

/// The values of `FOLDER/pipeline.yaml`, whatever they mean, and what is wrong with its YAML.
func readSettings(
    folder: String, _ substitution: inout Substitution
) throws(DiagnosticList) -> (settings: Setting, findings: [Diagnostic]) {
    let file = "pipeline.yaml"
    let start = Location(file: file, line: 1, column: 1)
    guard isFolder(folder) else {
        let what = exists(folder) ? "is not a folder" : "no such folder"
        throw DiagnosticList(findings: [
            Diagnostic(at: start, "\(folder): \(what); name the folder that holds pipeline.yaml")
        ])
    }
    guard let bytes = readFile(folder + "/" + file) else {
        if let problem = fileProblem(folder + "/" + file) {
            throw DiagnosticList(findings: [Diagnostic(at: start, "\(file) \(problem)")])
        }
        throw DiagnosticList(findings: [
            Diagnostic(
                at: start,
                "\(folder) has no readable pipeline.yaml; `tidewheel new` makes one that runs")
        ])
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw DiagnosticList(findings: [
            Diagnostic(
                at: firstBrokenPlace(in: bytes, file: file),
                "the file is not valid UTF-8 from here on; save it as UTF-8")
        ])
    }
    var yaml = YAMLReader(file: file)
    guard let root = yaml.read(text) else { throw DiagnosticList(ordered: yaml.findings) }
    return (substitution.apply(to: root), yaml.findings)
}

/// Where the first byte stands that is no UTF-8.
func firstBrokenPlace(in bytes: [UInt8], file: String) -> Location {
    let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() where String(validating: line, as: UTF8.self) == nil {
        let column = String(decoding: line, as: UTF8.self).unicodeScalars.prefix {
            $0 != "\u{FFFD}"
        }.count
        return Location(file: file, line: index + 1, column: column + 1)
    }
    return Location(file: file, line: 1, column: 1)
}

/// Letters, digits, `_` and the other bytes given, not beginning with a digit or one of those.
package func isName(_ text: String, others: Set<UInt8> = [0x2D]) -> Bool {
    func isLetter(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte | 0x20) || byte == 0x5F
    }
    guard let first = text.utf8.first, isLetter(first) else { return false }
    return text.utf8.allSatisfy {
        isLetter($0) || (0x30...0x39).contains($0) || others.contains($0)
    }
}

/// Turns settings into a definition, section by section.
struct DefinitionReader {
    let catalogue: Catalogue
    let pipelineSection: SectionSpecification
    let sourceSection: SectionSpecification
    let sinkSection: SectionSpecification
    let environment: [String: String]
    var definition: Definition
    var findings: [Diagnostic] = []
    var sinkPaths: Set<String> = []
    /// The names under `lookups`, also of those that are wrong in themselves.
    var declaredLookups: [String] = []
    /// All names of stages, so that a `from` can be told that its stage comes later.
    var stageNames: [String] = []
    /// The names under `sources`, also of those that are wrong in themselves.
    var sourceNames: [String] = []
    /// True when there are queues and no pipeline.
    var isQueuesOnly = false
    /// True when there is a section `time`, also when it is wrong in itself.
    var hasTime = false
    /// The time zones that were read, by name.
    var zones: [String: TimeZoneRules] = [:]
    /// The queues that sources and sinks name, and where.
    var namedQueues: [(name: String, location: Location, isSink: Bool)] = []
    /// The queues and exchanges that schedules name, and where.
    var namedTargets: [(name: String, location: Location)] = []

    init(folder: String, environment: [String: String], catalogue: Catalogue) {
        self.environment = environment
        self.catalogue = catalogue
        pipelineSection = .pipeline(catalogue)
        sourceSection = .source(catalogue)
        sinkSection = .sink(catalogue)
        definition = Definition(folder: folder)
    }

    mutating func read(_ root: Setting) {
        var reader = SettingReader(root, pipelineSection)
        definition.name = reader.string("name") ?? definition.name
        definition.key = reader.string("key")
        definition.partitions = reader.integer("partitions") ?? definition.partitions
        if reader.isPresent("partitions") {
            definition.partitionsLocation = reader.location(of: "partitions")
        }
        hasTime = reader.isPresent("time")
        readQueues(&reader)
        // A folder may hold nothing but queues; only a run needs more.
        isQueuesOnly =
            Definition.queueSections.contains(where: reader.isPresent)
            && !Definition.flowSections.contains(where: reader.isPresent)
        if !isQueuesOnly { readSource(&reader) }
        readLookups(reader.setting("lookups"))
        readStages(reader.setting("stages"))
        if !isQueuesOnly { readSinks(reader.setting("sinks"), in: &reader) }
        checkNamedQueues()
        checkScheduleTargets()
        checkRevisions()
        readLimits(reader.setting("limits"))
        readCommit(reader.setting("commit"))
        readEngineSettings(&reader)
        for key in Definition.flowSections { _ = reader.setting(key) }
        findings += reader.finish()
    }

    private mutating func readSource(_ reader: inout SettingReader) {
        let single = reader.setting("source")
        let several = reader.setting("sources")
        if let single {
            if several != nil { reader.reportKey("sources", "give source or sources, not both") }
            readSource(single, name: "source")
        } else if let several {
            guard case .mapping(let entries) = several.content, !entries.isEmpty else {
                findings.append(
                    Diagnostic(
                        at: several.location,
                        "\"sources\" must map names to sources, such as {events: {file: …}}"))
                return
            }
            sourceNames = entries.map(\.key)
            for entry in entries {
                checkName(entry.key, at: entry.location)
                readSource(entry.value, name: entry.key)
            }
        } else {
            reader.require("source")
        }
    }

    private mutating func readSource(_ setting: Setting, name: String) {
        guard let entry = connector(setting, sourceSection) else { return }
        if entry.key == "queue", let queue = queueName(entry, isSink: false) {
            var source = SourceDefinition(
                name: name, location: entry.location,
                open: { (_: RunContext) throws(ConnectorError) -> any Source in
                    throw ConnectorError.queueNeedsStore
                })
            source.queue = queue
            definition.sources.append(source)
        }
        guard let kind = catalogue.sources.first(where: { $0.name == entry.key })
        else { return }
        if let open = kind.open(entry.value, &findings) {
            var source = SourceDefinition(name: name, location: entry.location, open: open)
            source.kind = kind.name
            definition.sources.append(source)
        }
    }

    /// The one key of a mapping that names a connector.
    mutating func connector(
        _ setting: Setting, _ section: SectionSpecification
    ) -> Setting.Entry? {
        let what = section.name
        let kinds = section.alternatives
        let others = section.keys.map(\.name).filter { !kinds.contains($0) }
        guard case .mapping(let entries) = setting.content else {
            findings.append(
                Diagnostic(at: setting.location, "\(what) must be a mapping, such as {file: …}"))
            return nil
        }
        var found: Setting.Entry?
        for entry in entries where !others.contains(entry.key) {
            guard kinds.contains(entry.key) else {
                let hint = suggestion(for: entry.key, among: kinds + others)
                findings.append(
                    Diagnostic(at: entry.location, "unknown key \"\(entry.key)\" in \(what)\(hint)")
                )
                continue
            }
            if found != nil {
                findings.append(
                    Diagnostic(at: entry.location, "\(what) names two connectors; one is allowed"))
            }
            found = found ?? entry
        }
        let unknown = entries.contains { !others.contains($0.key) && !kinds.contains($0.key) }
        if found == nil, !unknown {
            findings.append(
                Diagnostic(
                    at: setting.location,
                    "\(what) names no connector: one of \(kinds.joined(separator: ", "))"))
        }
        return found
    }

    private mutating func readLookups(_ setting: Setting?) {
        guard let setting else { return }
        guard case .mapping(let entries) = setting.content else {
            findings.append(Diagnostic(at: setting.location, "\"lookups\" must map names to files"))
            return
        }
        declaredLookups = entries.map(\.key)
        for entry in entries {
            checkName(entry.key, at: entry.location)
            var reader = SettingReader(entry.value, .lookup, what: "lookups.\(entry.key)")
            let path = reader.string("file")
            let key = reader.string("key")
            let refresh = reader.nanoseconds("refresh")
            let delimiter = reader.character("delimiter")
            if let path {
                checkFile(path, at: reader.location(of: "file"), largest: largestLookup)
            }
            if let path, let key {
                definition.lookups.append(
                    LookupDefinition(
                        name: entry.key, path: path, key: key,
                        refreshNanoseconds: refresh ?? LookupDefinition.usualRefreshNanoseconds,
                        delimiter: delimiter,
                        location: reader.location(of: "file")))
            }
            findings += reader.finish()
        }
    }

    private mutating func readLimits(_ setting: Setting?) {
        guard let setting else { return }
        var reader = SettingReader(setting, .limits)
        let defaults = definition.limits
        definition.limits.scriptMemory = reader.bytes("script_memory") ?? defaults.scriptMemory
        definition.limits.record = reader.bytes("record") ?? defaults.record
        definition.limits.depth = reader.integer("depth") ?? defaults.depth
        readEmitted(&reader)
        definition.limits.stateMemory = reader.bytes("state_memory") ?? defaults.stateMemory
        definition.limits.sliceNanoseconds =
            reader.nanoseconds("slice") ?? defaults.sliceNanoseconds
        findings += reader.finish()
    }

    /// A record that is passed on as it came must fit in any case.
    private mutating func readEmitted(_ reader: inout SettingReader) {
        let record = definition.limits.record
        guard let emitted = reader.bytes("emitted") else {
            definition.limits.emitted = max(definition.limits.emitted, 2 * record)
            return
        }
        definition.limits.emitted = emitted
        if emitted < record {
            reader.report("emitted", "\"emitted\" cannot be less than \"record\", \(record) bytes")
        }
    }

    private mutating func readCommit(_ setting: Setting?) {
        guard let setting else { return }
        var reader = SettingReader(setting, .commit)
        let defaults = definition.commit
        definition.commit.records = reader.integer("records") ?? defaults.records
        definition.commit.everyNanoseconds =
            reader.nanoseconds("every") ?? defaults.everyNanoseconds
        findings += reader.finish()
    }

    /// Reports a name that `from` or a rule could not use.
    mutating func checkName(_ name: String, at location: Location) {
        if !isName(name) {
            let rule = "a name has letters, digits, _ and -, and begins with a letter or _"
            findings.append(Diagnostic(at: location, "\"\(name)\": \(rule)"))
        }
        if Definition.reservedNames.contains(name) {
            findings.append(Diagnostic(at: location, "\"\(name)\" is the engine's own name"))
        }
    }

    /// Reports a file that is not there, at the place that names it.
    mutating func checkFile(_ path: String, at location: Location, largest: Int = largestScript) {
        let full = resolve(path, in: definition.folder)
        if let problem = fileProblem(full, largest: largest) {
            findings.append(Diagnostic(at: location, "\(path): \(problem)"))
        } else if !exists(full) {
            findings.append(Diagnostic(at: location, "\(path): no such file"))
        } else if unsafe access(full, R_OK) != 0 {
            findings.append(Diagnostic(at: location, "\(path): cannot be read (permission denied)"))
        }
    }
}
