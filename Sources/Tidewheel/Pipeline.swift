public import Connecting
internal import Connectors
public import Definitions
public import Engine
public import Records
public import Scripting
internal import Threads
internal import Trials

/// A pipeline folder, loaded and ready to be started inside a Swift program.
///
/// A folder whose source is `source: {ingest: {}}` takes its records from
/// ``RunningPipeline/ingest(_:)``.
/// Stages and sinks written in Swift are added before `start`. Use it from one thread.
public struct Pipeline {
    private var definition: Definition
    private let ingest = IngestQueue()

    /// Reads and checks a pipeline folder.
    ///
    /// - Throws: ``PipelineError`` with every finding, each with file, line and column.
    public init(folder: String, environment: [String: String] = [:]) throws(PipelineError) {
        var catalogue = Catalogue.standard
        let queue = ingest
        catalogue.sources.append(
            .ingest { (context: RunContext) throws(ConnectorError) -> any Source in
                IngestSource(queue, context: context)
            })
        do {
            definition = try readDefinition(
                folder: folder, environment: environment, catalogue: catalogue)
        } catch {
            throw PipelineError(exitCode: 2, render(error.findings) { _, _ in nil })
        }
    }

    /// Puts a stage written in Swift behind the stage `name` (or the source, when nil), in front of
    /// everything that took its records from there.
    ///
    /// - Parameter process: called on a worker's thread with each record; must not block.
    public mutating func insertStage(
        _ name: String, after origin: String?,
        process: @escaping @Sendable (Record) -> NativeVerdict
    ) throws(PipelineError) {
        let from = try self.origin(origin)
        let index = definition.stages.count
        for position in definition.stages.indices where definition.stages[position].from == from {
            definition.stages[position].from = .stage(index, output: nil)
        }
        for position in definition.sinks.indices where definition.sinks[position].from == from {
            definition.sinks[position].from = .stage(index, output: nil)
        }
        let place = Location(file: "pipeline.yaml", line: 1, column: 1)
        let work = unsafe StageWork.native { bytes in
            guard let record = try? Record(json: unsafe Array(bytes)) else {
                return .reject("a record that Swift cannot read")
            }
            return process(record)
        }
        definition.stages.append(
            StageDefinition(
                name: name, work: work, from: from, fromLocation: place, location: place))
    }

    /// Adds a sink written in Swift that takes what leaves `origin` (`STAGE`, `STAGE.OUTPUT`,
    /// `source` or `dead_letters`).
    ///
    /// - Parameter write: called on the writer's thread with each record; a throw ends the run.
    public mutating func addSink(
        _ name: String, from origin: String,
        write: @escaping @Sendable (Record) throws(ConnectorError) -> Void
    ) throws(PipelineError) {
        try add(name, origin) { ClosureSink(write) }
    }

    /// What leaves `origin`, as an asynchronous sequence; reading slowly makes the pipeline wait.
    public mutating func output(from origin: String) throws(PipelineError) -> OutputSequence {
        let queue = OutputQueue()
        try add(origin, origin) { OutputSink(queue) }
        return OutputSequence(queue: queue)
    }

    private mutating func add(
        _ name: String, _ origin: String, _ make: @escaping @Sendable () -> any Sink
    ) throws(PipelineError) {
        let from = try self.origin(origin)
        definition.sinks.append(
            SinkDefinition(
                name: name, from: from,
                fromLocation: Location(file: "pipeline.yaml", line: 1, column: 1),
                isAppendOnly: false,
                open: { (_: RunContext) throws(ConnectorError) -> OpenedSink in .rows(make()) }))
    }

    private func origin(_ text: String?) throws(PipelineError) -> Origin {
        guard let text, text != "source" else { return .source }
        if text == "dead_letters" { return .deadLetters }
        let parts = text.split(separator: ".", maxSplits: 1).map(String.init)
        guard let index = definition.stages.firstIndex(where: { $0.name == parts[0] }) else {
            let hint = suggestion(for: parts[0], among: definition.stages.map(\.name))
            throw PipelineError(exitCode: 2, "there is no stage \"\(parts[0])\"\(hint)")
        }
        let output = parts.count > 1 ? parts[1] : nil
        if let output, let problem = definition.stages[index].problem(ofOutput: output) {
            throw PipelineError(exitCode: 2, problem)
        }
        return .stage(index, output: output)
    }

    /// Starts it; returns when everything is open and loaded.
    public consuming func start(
        workers: Int = 1, once: Bool = false
    ) throws(PipelineError) -> RunningPipeline {
        let plan: Plan
        do {
            plan = try Plan(definition)
        } catch {
            throw PipelineError(exitCode: 2, render(error.findings) { _, _ in nil })
        }
        var options = RunOptions()
        options.workers = workers
        options.once = once
        options.trial = FolderTrial()
        return RunningPipeline(run: try PipelineRun.start(plan, options: options), ingest: ingest)
    }
}

/// A pipeline at work. Safe to use from any thread.
public struct RunningPipeline: Sendable {
    let run: PipelineRun
    let ingest: IngestQueue

    /// Hands a record in; suspends while the pipeline is busy. False when it has ended.
    @discardableResult
    public func ingest(_ record: Record) async -> Bool { await ingest(json: record.json) }

    /// Hands in a JSON text as it is; a malformed one becomes a dead letter.
    @discardableResult
    public func ingest(json: some Sequence<UInt8>) async -> Bool {
        let bytes = Array(json)
        let channel = ingest.channel
        if channel.trySend(bytes) { return true }
        // Waiting for room would block a thread that readers of the outputs may need.
        return await withCheckedContinuation { continuation in
            WorkerThread { continuation.resume(returning: channel.send(bytes)) }.detach()
        }
    }

    /// No more records will come; everything handed in is finished, then the summary is returned.
    public func stop() async throws(PipelineError) -> Summary {
        ingest.channel.close()
        let run = run
        let isFed = ingest.isUsed
        if !isFed { run.requestStop() }
        return try await withCheckedContinuation { continuation in
            WorkerThread { continuation.resume(returning: run.wait()) }.detach()
        }.get()
    }

    /// Records read, rows delivered and dead letters so far.
    public var progress: (read: Int, delivered: Int, deadLetters: Int) { run.progress }
}
