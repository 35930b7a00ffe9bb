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
            let aggregation = Aggregation(run.plan, worker.vm)
            guard let sources = openSources() else { return }
            var failure: PipelineError?
            delivery.whole { () throws(ConnectorError) in
                do {
                    try process(sources, &worker, aggregation, delivery)
                } catch let error as ConnectorError {
                    throw error
                } catch {
                    failure = PipelineError(exitCode: 1, "error: \(error)")
                }
                if let failure { run.fail(failure) }
            }
            let counts = worker.vm.counts
            let windows = aggregation.counts
            run.shared.withLock {
                $0.counts.add(counts)
                $0.windows = windows
            }
        } catch {
            run.startup.send(.failed(PipelineError(exitCode: 2, "error: \(error)")))
        }
    }

    private func openSources() -> SourceSet? {
        do {
            let sources = try SourceSet(run.plan.definition, context)
            run.startup.send(.ready)
            return sources
        } catch {
            run.startup.send(.failed(error))
            return nil
        }
    }

    private func process(
        _ sources: SourceSet, _ worker: inout LoadedWorker, _ aggregation: Aggregation,
        _ delivery: SinkWriter
    ) throws {
        let batch = Batch()
        let outputs = run.makeOutputs()
        var isFlushed = true
        while !run.stopRequested.load(ordering: .relaxed) {
            batch.removeAll()
            let outcome: SourceOutcome
            do {
                // What was written becomes visible before we wait for more.
                outcome = try sources.read(
                    into: batch, limit: PipelineRun.batchLimit, milliseconds: isFlushed ? 100 : 0)
            } catch {
                run.failWhenDrained(PipelineError(exitCode: 1, error.description))
                return try delivery.flush()
            }
            switch outcome {
            case .end:
                return try close(&worker, aggregation, outputs, delivery)
            case .nothingYet:
                if !isFlushed { try delivery.flush() }
                isFlushed = true
            case .records:
                let work = PipelineRun.Work(batch: batch, floor: sources.floor(batch.sourceIndex))
                try worker.run(work, into: outputs)
                if let newest = worker.vm.newestTime(ofSource: batch.sourceIndex) {
                    sources.note(newest, of: batch.sourceIndex)
                }
                if !aggregation.isEmpty {
                    try aggregation.run(
                        [outputs.rows], watermark: worker.vm.watermark, vm: &worker.vm,
                        outputs: outputs.sinks)
                    worker.count()
                }
                try delivery.write(outputs.sinks)
                isFlushed = false
            }
        }
        if run.options.drain { try close(&worker, aggregation, outputs, delivery) }
    }

    /// The input has ended, so no window can get more.
    private func close(
        _ worker: inout LoadedWorker, _ aggregation: Aggregation, _ outputs: PipelineRun.Outputs,
        _ delivery: SinkWriter
    ) throws {
        guard !aggregation.isEmpty || worker.vm.usesState else { return }
        try worker.vm.advance(to: Int64.max, into: outputs.sinks, rows: outputs.rows)
        try aggregation.run(
            [outputs.rows], watermark: nil, vm: &worker.vm, outputs: outputs.sinks)
        try aggregation.finish(vm: &worker.vm, outputs: outputs.sinks)
        worker.count()
        try delivery.write(outputs.sinks)
    }
}

/// Hands the sinks to the thread that writes, which alone uses them from then on.
final class SinkBox: @unchecked Sendable {  // Handed over once, before use.
    let sinks: [any Sink]
    init(_ sinks: [any Sink]) { self.sinks = sinks }
}
