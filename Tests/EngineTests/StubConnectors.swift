import Connecting
import Definitions
import Records
import TestKit
import Threads

@testable import Engine

/// What stub sources and sinks were asked to do, in order.
final class Journal: Sendable {
    private let lines = Locked<[String]>([])

    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    func contains(_ line: String) -> Bool { all.contains(line) }
}

/// A source that asks a closure for each batch; the closure gets the number of the call.
final class StubSource: Source {
    typealias Answer = @Sendable (Int) throws(ConnectorError) -> [String]?

    private let answer: Answer
    private var calls = 0

    init(_ answer: @escaping Answer) { self.answer = answer }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        defer { calls += 1 }
        guard let lines = try answer(calls) else { return .end }
        batch.source = "source"
        batch.file = "stub"
        batch.bytes.append(contentsOf: lines.map { $0 + "\n" }.joined().utf8)
        return lines.isEmpty ? .nothingYet : .records
    }
}

/// A sink that keeps its rows, and may fail or wait in `onWrite`.
final class StubSink: Sink {
    typealias OnWrite = @Sendable ([String]) throws(ConnectorError) -> Void

    private let name: String
    private let journal: Journal
    private let onWrite: OnWrite

    init(_ name: String, _ journal: Journal, _ onWrite: @escaping OnWrite) {
        self.name = name
        self.journal = journal
        self.onWrite = onWrite
    }

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        let lines = unsafe String(decoding: rows, as: UTF8.self).split(separator: "\n")
        precondition(lines.count == count, "the number of rows must be right")
        try onWrite(lines.map(String.init))
        for line in lines { journal.add("\(name) \(line)") }
    }
    func flush() throws(ConnectorError) { journal.add("\(name) flush") }
    func finish() throws(ConnectorError) { journal.add("\(name) finish") }
    func abandon() { journal.add("\(name) abandon") }
}

/// A pipeline put together by hand around stubs.
struct StubPipeline {
    var definition: Definition
    let journal = Journal()
    private let folder: TemporaryFolder?

    private static let place = Location(file: "pipeline.yaml", line: 1, column: 1)

    init(in folder: TemporaryFolder? = nil, _ answer: @escaping StubSource.Answer) {
        self.folder = folder
        definition = Definition(folder: folder?.path ?? ".")
        definition.source = SourceDefinition(name: "source", location: Self.place) {
            (_: RunContext) throws(ConnectorError) -> any Source in StubSource(answer)
        }
    }

    mutating func addStage(_ name: String, _ work: StageWork) {
        let last = definition.stages.count - 1
        definition.stages.append(
            StageDefinition(
                name: name, work: work, from: last < 0 ? .source : .stage(last, output: nil),
                fromLocation: Self.place, location: Self.place))
    }

    mutating func addRule(_ path: String) {
        let file = FileReference(path: path, location: Self.place)
        addStage("rule", .files(schema: nil, rule: file))
    }

    mutating func addSink(
        _ name: String, from: Origin = .source,
        onWrite: @escaping StubSink.OnWrite = { (_) throws(ConnectorError) in }
    ) {
        let journal = journal
        definition.sinks.append(
            SinkDefinition(name: name, from: from, fromLocation: Self.place) {
                (_: RunContext) throws(ConnectorError) -> OpenedSink in
                journal.add("\(name) open")
                return .rows(StubSink(name, journal, onWrite))
            })
    }

    mutating func addSinkThatCannotBeOpened(_ name: String) {
        definition.sinks.append(
            SinkDefinition(name: name, from: .source, fromLocation: Self.place) {
                (_: RunContext) throws(ConnectorError) -> OpenedSink in
                throw ConnectorError("error: \(name) cannot be opened")
            })
    }

    func start(workers: Int = 1, once: Bool = true) throws -> PipelineRun {
        var options = RunOptions()
        options.once = once
        options.workers = workers
        return try PipelineRun.start(Plan(definition), options: options)
    }

    /// The rows that a sink got.
    func rows(_ sink: String) -> [String] {
        journal.all.filter { $0.hasPrefix(sink + " {") }
            .map { String($0.dropFirst(sink.count + 1)) }
    }
}
