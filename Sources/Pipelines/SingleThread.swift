internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

/// One worker does it all: reads a batch, runs it and writes its rows.
///
/// A batch then stays in the caches of one core and no thread waits for another, which costs a
/// quarter less CPU time per record than handing it from thread to thread.
struct SingleThread {
    let run: PipelineRun
    let context: RunContext
    /// Brings the opened sinks once the rules are loaded; closed when they could not be opened.
    let opened: Channel<SinkBox>

    func main() {
        defer { run.lookups.end() }
        do {
            var worker = try Worker(run: run, index: 0).start()
            guard let sinks = opened.receive()?.sinks else { return }
            let delivery = SinkWriter(run: run, sinks: sinks)
            guard let source = openSource() else { return }
            var failure: PipelineError?
            delivery.whole { () throws(ConnectorError) in
                do {
                    try process(source, &worker, delivery)
                } catch let error as ConnectorError {
                    throw error
                } catch {
                    failure = PipelineError(exitCode: 1, "error: \(error)")
                }
                if let failure { run.fail(failure) }
            }
            let counts = worker.vm.counts
            run.shared.withLock { $0.counts.add(counts) }
        } catch {
            run.startup.send(.failed(PipelineError(exitCode: 2, "error: \(error)")))
        }
    }

    private func openSource() -> (any Source)? {
        guard let kind = run.plan.definition.source else {
            run.startup.send(.failed(PipelineError(exitCode: 2, "the pipeline has no source")))
            return nil
        }
        do {
            let source = try kind.open(context)
            run.startup.send(.ready)
            return source
        } catch {
            run.startup.send(.failed(PipelineError(exitCode: 1, "error: \(error.description)")))
            return nil
        }
    }

    private func process(
        _ source: any Source, _ worker: inout LoadedWorker, _ delivery: SinkWriter
    ) throws {
        let batch = Batch()
        let outputs = run.makeOutputs()
        var isFlushed = true
        while !run.stopRequested.load(ordering: .relaxed) {
            batch.removeAll()
            let outcome: SourceOutcome
            do {
                // What was written becomes visible before we wait for more.
                outcome = try source.read(
                    into: batch, limit: PipelineRun.batchLimit, milliseconds: isFlushed ? 100 : 0)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                return try delivery.flush()
            }
            switch outcome {
            case .end: return
            case .nothingYet:
                if !isFlushed { try delivery.flush() }
                isFlushed = true
            case .records:
                try worker.run(PipelineRun.Work(batch: batch), into: outputs)
                try delivery.write(outputs)
                isFlushed = false
            }
        }
    }
}

/// Hands the sinks to the thread that writes, which alone uses them from then on.
final class SinkBox: @unchecked Sendable {  // Handed over once, before use.
    let sinks: [any Sink]
    init(_ sinks: [any Sink]) { self.sinks = sinks }
}
