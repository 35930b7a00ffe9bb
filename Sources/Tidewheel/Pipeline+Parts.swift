public import Connecting
public import Definitions
public import Records
public import Scripting

/// Stages, sinks and outputs of a pipeline that are written in Swift.
extension Pipeline {
    /// Puts a stage written in Swift behind the stage `name` (or the source, when nil), in front of
    /// everything that took its records from there.
    ///
    /// - Parameters:
    ///   - name: the new stage's name, by which others may take what leaves it.
    ///   - origin: `STAGE`, `STAGE.OUTPUT` or `source`; nil for the source.
    ///   - process: called on a worker's thread with each record, with several workers on several
    ///     threads at once; must not block.
    /// - Throws: ``PipelineError`` when there is no such stage or output.
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
        let work = unsafe StageWork.native { bytes in
            guard let record = try? Record(json: unsafe Array(bytes)) else {
                return .reject("a record that Swift cannot read")
            }
            return process(record)
        }
        definition.stages.append(
            StageDefinition(
                name: name, work: work, from: from, fromLocation: Self.place,
                location: Self.place))
    }

    /// Adds a sink written in Swift. Rows come to it before their commit is kept, so a later run
    /// may bring the last ones again.
    ///
    /// - Parameters:
    ///   - name: the sink's name, as ``MetricsSnapshot/delivered`` has it.
    ///   - origin: `STAGE`, `STAGE.OUTPUT`, `source` or `dead_letters`.
    ///   - write: called on the writer's thread with each record, one at a time; the pipeline waits
    ///     for it. What it throws ends the run, unless the error's remedy says otherwise.
    /// - Throws: ``PipelineError`` when there is no such stage or output.
    public mutating func addSink(
        _ name: String, from origin: String,
        write: @escaping @Sendable (Record) throws(ConnectorError) -> Void
    ) throws(PipelineError) {
        let pulse = pulse
        try add(name, origin) { ClosureSink(name, pulse, write) }
    }

    /// What leaves an origin, as an asynchronous sequence.
    ///
    /// - Parameter origin: `STAGE`, `STAGE.OUTPUT`, `source` or `dead_letters`.
    /// - Throws: ``PipelineError`` when there is no such stage or output.
    public mutating func output(from origin: String) throws(PipelineError) -> OutputSequence {
        let pulse = pulse
        let queue = OutputQueue(pulse)
        try add(origin, origin) { OutputSink(queue, origin, pulse) }
        outputs.append(queue)
        return OutputSequence(reader: OutputReader(queue))
    }

    private mutating func add(
        _ name: String, _ origin: String, _ make: @escaping @Sendable () -> any Sink
    ) throws(PipelineError) {
        let from = try self.origin(origin)
        definition.sinks.append(
            SinkDefinition(
                name: name, from: from, fromLocation: Self.place, isAppendOnly: false,
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
}

extension NativeVerdict {
    /// This record goes on instead.
    public static func replace(_ record: Record) -> NativeVerdict { .replace(record.json) }
}
