internal import Connecting
internal import Definitions
internal import Engine
internal import Records
internal import Scripting
internal import Threads

/// Runs tests of a whole pipeline: the folder's own plan, with records in place of sources, and
/// memory in place of sinks. Queues are sources and sinks like others; their handlers stay away.
struct PipelineTestRun {
    private let plan: Plan
    private let limit: TrialLimit?

    init(_ plan: Plan, _ limit: TrialLimit?) {
        self.plan = plan
        self.limit = limit
    }

    func run(_ test: PipelineTestCase) -> RuleTestResult {
        let start = monotonicNanoseconds()
        var failure = failure(of: test)
        if var found = failure {
            found.inputs = test.shownInputs
            found.place = found.errors.first { $0.line > 0 }.map {
                Location(file: $0.file, line: $0.line, column: 1)
            }
            failure = found
        }
        return RuleTestResult(
            name: test.name, location: test.location, rule: "pipeline.yaml",
            seconds: Double(monotonicNanoseconds() - start) / 1e9, failure: failure)
    }

    private func failure(of test: PipelineTestCase) -> RuleTestFailure? {
        let log = Locked<[String]>([])
        let sinks = Locked<[String: [UInt8]]>([:])
        let letters = Locked<[UInt8]>([])
        var options = RunOptions()
        options.once = true
        options.now = test.now ?? RuleTestCase.usualTime
        options.until = test.until
        options.tell = { text in log.withLock { $0.append(text) } }
        for lookup in plan.definition.lookups {
            guard let rows = test.lookups[lookup.name] else { continue }
            let isText = lookup.path.hasSuffix(".csv")
            options.lookups[lookup.name] = rows.table(key: lookup.key, isText: isText)
        }
        var plan = plan
        plan.definition = definition(of: test, sinks, letters)
        let result: Result<Summary, PipelineError>
        do {
            let run = try PipelineRun.start(plan, options: options)
            result = run.wait { limit?.reason == nil }
        } catch {
            return RuleTestFailure(errors: [Self.problem(error)], isLoadError: true)
        }
        if case .failure(let error) = result {
            return RuleTestFailure(errors: [Self.problem(error)])
        }
        let outcome = PipelineTestOutcome(
            rows: sinks.withLock { $0 }.mapValues(Self.values),
            letters: Self.values(letters.withLock { $0 }))
        var failure = outcome.failure(of: test)
        failure?.log = log.withLock { $0 }.flatMap { $0.split(separator: "\n").map(String.init) }
        return failure
    }

    /// The pipeline of the folder, but for what it reads, writes and waits for.
    private func definition(
        of test: PipelineTestCase, _ sinks: Locked<[String: [UInt8]]>, _ letters: Locked<[UInt8]>
    ) -> Definition {
        var definition = plan.definition
        definition.sources = definition.sources.map { source($0, test) }
        definition.sinks = definition.sinks.map { sink in
            var sink = sink
            let name = sink.name
            sink.queue = nil
            sink.outbox = nil
            sink.open = { (_: RunContext) throws(ConnectorError) -> OpenedSink in
                .rows(MemorySink { rows in sinks.withLock { $0[name, default: []] += rows } })
            }
            return sink
        }
        definition.sinks.append(
            SinkDefinition(
                name: "the dead letters of the test", from: .deadLetters,
                fromLocation: test.location,
                open: { (_: RunContext) throws(ConnectorError) -> OpenedSink in
                    .rows(MemorySink { rows in letters.withLock { $0 += rows } })
                }))
        definition.handlers = []
        definition.schedules = []
        definition.reload = nil
        definition.durability = .memory
        // The wall clock decides nothing.
        definition.time?.idleMilliseconds = nil
        if test.now == nil { definition.time?.maxFutureSkewMilliseconds = nil }
        return definition
    }

    private func source(_ given: SourceDefinition, _ test: PipelineTestCase) -> SourceDefinition {
        var source = given
        let folder = plan.definition.folder
        let file = test.location.file
        source.queue = nil
        switch test.inputs[source.name] {
        case .file(let path) where given.kind == "file":
            let full = resolve(path, in: folder)
            source.open = { (context: RunContext) throws(ConnectorError) -> any Source in
                var context = context
                context.inputs = [full]
                return try given.open(context)
            }
        case .file(let path):
            source.open = { (_: RunContext) throws(ConnectorError) -> any Source in
                guard let bytes = readFile(resolve(path, in: folder)) else {
                    throw ConnectorError("\(path): cannot be read")
                }
                return RecordsSource(bytes.last == 0x0A ? bytes : bytes + [0x0A], given.name, path)
            }
        case .records(let records):
            source.open = { (_: RunContext) throws(ConnectorError) -> any Source in
                RecordsSource(records.flatMap { $0 + [0x0A] }, given.name, file)
            }
        case nil:
            source.open = { (_: RunContext) throws(ConnectorError) -> any Source in
                RecordsSource([], given.name, file)
            }
        }
        return source
    }

    private static func problem(_ error: PipelineError) -> RuleProblem {
        var text = error.description
        if text.hasPrefix("error: ") { text = String(text.dropFirst(7)) }
        return RuleProblem(message: text, file: "pipeline.yaml", line: 0)
    }

    private static func values(_ rows: [UInt8]) -> [Value] {
        rows.split(separator: 0x0A).compactMap { line in
            var reader = JSONReader(Array(line))
            return try? reader.readDocument()
        }
    }
}

extension PipelineTestCase {
    /// What went in, for a person.
    fileprivate var shownInputs: [String] {
        inputs.sorted { $0.key < $1.key }.flatMap { name, input -> [String] in
            let prefix = inputs.count > 1 ? "\(name): " : ""
            switch input {
            case .file(let path): return ["\(prefix)the file \(path)"]
            case .records(let records):
                return records.map { prefix + String(decoding: $0, as: UTF8.self) }
            }
        }
    }
}

/// Gives JSON lines once.
private final class RecordsSource: Source {
    private var lines: [UInt8]
    private let name: String
    private let file: String

    init(_ lines: [UInt8], _ name: String, _ file: String) {
        self.lines = lines
        self.name = name
        self.file = file
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        guard !lines.isEmpty else { return .end }
        batch.source = name
        batch.file = file
        unsafe lines.withUnsafeBytes { unsafe batch.bytes.append($0) }
        lines = []
        return .records
    }
}

/// Keeps rows.
private final class MemorySink: Sink {
    private let take: ([UInt8]) -> Void

    init(_ take: @escaping ([UInt8]) -> Void) { self.take = take }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        take(unsafe Array(rows))
    }

    func flush() throws(ConnectorError) {}
    func finish() throws(ConnectorError) {}
    func abandon() {}
}
