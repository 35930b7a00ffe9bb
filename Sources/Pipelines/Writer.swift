internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

/// The thread that writes rows to the sinks, in the order in which their records were read.
struct Writer {
    let run: PipelineRun
    let delivery: SinkWriter

    func main() {
        // Without this, a run whose source has ended would wait for the refreshing of lookups.
        defer { run.lookups.end() }
        delivery.whole { () throws(ConnectorError) in
            let windows = run.plan.definition.hasAggregates ? try WindowWriter(run) : nil
            try write(windows)
            if run.hasEnded.load(ordering: .acquiring) || run.options.drain, let windows {
                try delivery.write(try windows.finish())
            }
            windows?.report()
        }
    }

    private func write(_ windows: WindowWriter?) throws(ConnectorError) {
        var next: UInt64 = 0
        var waiting: [UInt64: [PipelineRun.Finished]] = [:]
        let expected = run.isShared ? run.workerCount : 1
        var closing: [PipelineRun.Finished] = []
        while let item = try nextItem() {
            if item.isClosing {
                closing.append(item)
                continue
            }
            let sequence = item.batch.sequence
            waiting[sequence, default: []].append(item)
            while let parts = waiting[next], parts.count == expected {
                waiting[next] = nil
                next += 1
                for part in parts { try delivery.write(part.outputs.sinks) }
                if let windows { try delivery.write(try windows.take(parts)) }
                for part in parts { run.outputPool.send(part.outputs) }
                run.pool.send(parts[0].batch)
            }
        }
        for part in closing { try delivery.write(part.outputs.sinks) }
        if let windows, !closing.isEmpty { try delivery.write(try windows.take(closing)) }
    }

    /// When nothing more is at hand, what was written becomes visible before we wait.
    private func nextItem() throws(ConnectorError) -> PipelineRun.Finished? {
        if let item = run.finished.tryReceive() { return item }
        try delivery.flush()
        return run.finished.receive()
    }
}

/// The windows of a run with several workers, and a VM for the stages behind them.
final class WindowWriter {
    private let run: PipelineRun
    private var vm: RuleVM
    private let aggregation: Aggregation
    private let outputs: [OutputBuffer]

    init(_ run: PipelineRun) throws(ConnectorError) {
        self.run = run
        do throws(RuleError) {
            let log = run.log
            vm = try run.plan.makeVM { log.write(stage: $0, $1) }
            for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
            try vm.load()
        } catch {
            throw ConnectorError("error: \(error)")
        }
        aggregation = Aggregation(run.plan, vm)
        outputs = run.makeOutputs().sinks
    }

    /// Takes the parts of one batch; what came out waits in the result to be written.
    func take(_ parts: [PipelineRun.Finished]) throws(ConnectorError) -> [OutputBuffer] {
        do throws(RuleError) {
            try aggregation.run(
                parts.map { $0.outputs.rows }, watermark: parts[0].watermark, vm: &vm,
                outputs: outputs)
            if let watermark = parts[0].watermark, vm.usesState {
                try aggregation.advanceRules(to: watermark, vm: &vm, outputs: outputs)
            }
        } catch {
            throw ConnectorError("error: \(error)")
        }
        return outputs
    }

    /// The input has ended.
    func finish() throws(ConnectorError) -> [OutputBuffer] {
        do throws(RuleError) {
            try aggregation.finish(vm: &vm, outputs: outputs)
        } catch {
            throw ConnectorError("error: \(error)")
        }
        return outputs
    }

    /// Adds what was counted to the run.
    func report() {
        let counts = vm.counts
        let windows = aggregation.counts
        run.shared.withLock {
            $0.counts.add(counts)
            $0.windows = windows
        }
    }
}
