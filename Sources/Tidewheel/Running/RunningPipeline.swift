public import Definitions
public import Engine
public import Records
internal import Threads

/// A pipeline at work. Safe to use from any thread and task.
///
/// It runs until ``stop(patience:)``, or until its input has ended. A running pipeline that is let
/// go without either is asked to stop, and ends in its own time.
public final class RunningPipeline: Sendable {
    let run: PipelineRun
    let doors: IngestDoors
    let gate: StoreGate
    private let end: RunEnd
    private let pulse: Pulse
    private let outputs: [OutputQueue]

    init(
        _ run: PipelineRun, _ doors: IngestDoors, _ outputs: [OutputQueue], _ pulse: Pulse,
        whenOver: @escaping @Sendable () -> Void
    ) {
        self.run = run
        self.doors = doors
        self.outputs = outputs
        self.pulse = pulse
        let gate = StoreGate(pollMicroseconds: 20_000)
        let end = RunEnd()
        self.gate = gate
        self.end = end
        run.whenEnding { gate.close(waitingMilliseconds: 2000) }
        startThread {
            let result = run.wait()
            gate.close(waitingMilliseconds: 0)
            whenOver()
            if case .failure(let error) = result { doors.end(error) } else { doors.end(nil) }
            end.complete(result)
        }
    }

    deinit {
        let run = run
        doors.close { run.requestStop() }
    }

    // MARK: Records

    /// Hands a record in and returns once the commit that holds it is kept: from then on no crash
    /// loses it, and what it leads to happens once. A record that the rules refuse is a dead letter
    /// in that commit.
    ///
    /// A run that keeps nothing (`fresh`, or `durability: memory`) has no commits: there the call
    /// returns once the pipeline has read the record.
    ///
    /// - Parameter record: the record; of repeated names the rules see the last.
    /// - Parameter source: the name of the source that is `{ingest: {}}`; nil when there is one.
    /// - Throws: ``PipelineError`` when the pipeline has no such source, has ended, or ends before
    ///   the commit; `CancellationError` when the task is cancelled, and then the record is taken
    ///   back, or was read already and counts.
    public func ingest(_ record: Record, to source: String? = nil) async throws {
        try await ingest(contentsOf: CollectionOfOne(record), to: source)
    }

    /// Hands in a value as a record, like ``ingest(_:to:)``.
    ///
    /// - Throws: also `EncodingError`, when the value is not encoded as an object of JSON.
    public func ingest(encoding value: some Encodable, to source: String? = nil) async throws {
        try await ingest(Record(encoding: value), to: source)
    }

    /// Hands in records and returns once the commits that hold all of them are kept.
    public func ingest(
        contentsOf records: some Sequence<Record>, to source: String? = nil
    ) async throws {
        try await doors.queue(source).hand(in: records.map(\.json), .commit)
    }

    /// Hands in a JSON text as it is, so that what rules do not touch keeps its bytes; a malformed
    /// one becomes a dead letter.
    public func ingest(json: some Sequence<UInt8>, to source: String? = nil) async throws {
        try await doors.queue(source).hand(in: [Array(json)], .commit)
    }

    /// Hands a record in and returns as soon as there is room for it: 1,024 records wait at most.
    /// It counts once it is committed, which nobody hears of.
    ///
    /// - Throws: ``PipelineError`` when the pipeline has no such source or has ended;
    ///   `CancellationError` when the task is cancelled while it waits for room.
    public func submit(_ record: Record, to source: String? = nil) async throws {
        try await doors.queue(source).hand(in: [record.json], .room)
    }

    /// Hands in a JSON text as it is, like ``submit(_:to:)``.
    public func submit(json: some Sequence<UInt8>, to source: String? = nil) async throws {
        try await doors.queue(source).hand(in: [Array(json)], .room)
    }

    // MARK: The end

    /// Ends the pipeline: what was handed in is finished, written and committed, then the store is
    /// closed. Files and queues that it reads are left where they are, for the next run.
    ///
    /// It always returns. When the pipeline does nothing for as long as `patience`, because a
    /// sink hangs or nobody reads an output, it is given up: nothing more is committed, and the
    /// call throws. Code of the program that does not even return then keeps its thread.
    ///
    /// - Parameter patience: how long nothing may happen; not how long all of it may take.
    /// - Returns: what the run did; the same for everybody who asks.
    /// - Throws: ``PipelineError`` when the run has failed, or was given up.
    @discardableResult
    public func stop(
        patience: Duration = .seconds(30)
    ) async throws(PipelineError) -> Summary {
        let run = run
        doors.close { run.requestStop() }
        let stopping = Stopping(
            run: run, end: end, pulse: pulse, outputs: outputs,
            patience: UInt64(max(0, patience.milliseconds)))
        return try await onThread { stopping.result() }.get()
    }

    /// Takes no more records, and waits until the pipeline has ended by itself: with `once` that is
    /// when all sources have been read to their end.
    ///
    /// - Throws: ``PipelineError`` when the run has failed.
    @discardableResult
    public func finish() async throws(PipelineError) -> Summary {
        doors.close(thenStop: nil)
        let end = end
        return try await onThread { end.wait() }.get()
    }
}
