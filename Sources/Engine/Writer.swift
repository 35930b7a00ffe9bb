internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// The thread that writes rows to the sinks, in the order in which their records were read.
struct Writer {
    let run: PipelineRun
    let delivery: SinkWriter

    func main() {
        // Without this, a run whose source has ended would wait for the refreshing of lookups.
        defer {
            run.lookups.end()
            run.committer?.close()
        }
        delivery.whole { () throws(ConnectorError) in
            let windows = run.plan.definition.hasAggregates ? try WindowWriter(run) : nil
            var rules = try write(windows)
            if run.hasEnded.load(ordering: .acquiring) || run.options.drain, let windows {
                try delivery.write(try windows.finish())
            }
            windows?.report()
            guard let committer = run.committer, !run.isBroken else { return }
            var draft = CommitDraft()
            swap(&draft.rules, &rules)
            complete(&draft, windows)
            committer.submitAndWait(draft)
        }
    }

    /// Adds what this thread knows to a commit that ends with the batch just written.
    private func complete(_ draft: inout CommitDraft, _ windows: WindowWriter?) {
        windows?.addChanges(to: &draft)
        delivery.addPositions(to: &draft)
    }

    /// Writes everything; returns what closing workers have changed in the state of their rules.
    private func write(_ windows: WindowWriter?) throws(ConnectorError) -> [[UInt8]] {
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
                if let windows {
                    windows.adopt(parts[0].step)
                    windows.look()
                    try delivery.write(try windows.take(parts))
                }
                if var draft = parts[0].mark, let committer = run.committer {
                    draft.rules = parts.flatMap(\.rules)
                    complete(&draft, windows)
                    // Where files that are appended to begin must be known before the first row.
                    if next == 1 { committer.submitAndWait(draft) } else { committer.submit(draft) }
                }
                for part in parts { run.outputPool.send(part.outputs) }
                run.pool.send(parts[0].batch)
            }
        }
        for part in closing { try delivery.write(part.outputs.sinks) }
        if let windows, !closing.isEmpty { try delivery.write(try windows.take(closing)) }
        return closing.flatMap(\.rules)
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
    private let changes = OutputBuffer()
    private var step = 0
    private var looking: LookingThread

    init(_ run: PipelineRun) throws(ConnectorError) {
        self.run = run
        looking = LookingThread(run.looking, index: run.workerCount)
        do throws(RuleError) {
            let log = run.log
            vm = try run.plan.makeVM(for: run.purpose) {
                log.write(stage: $0, $1)
            }
            for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
            try vm.load()
        } catch {
            throw ConnectorError("error: \(error)")
        }
        do throws(RuleError) {
            try run.restore(&vm, stages: run.stageNames(behindWindows: true))
        } catch {
            throw ConnectorError("error: \(error)")
        }
        aggregation = Aggregation(run.plan, vm)
        if let store = run.store { aggregation.restore(store.state) }
        outputs = run.makeOutputs().sinks
    }

    /// Adds what has changed in windows and in the rules behind them.
    func addChanges(to draft: inout CommitDraft) {
        aggregation.addChanges(to: &draft)
        draft.addRules(&vm, changes)
    }

    /// Changes to the version of the rules that a step wants; between two batches only.
    func adopt(_ wanted: Int) {
        guard wanted != step else { return }
        let old = run.versions.version(step)
        let version = run.versions.version(wanted)
        step = wanted
        guard old !== version, var next = version.take(run.workerCount) else {
            return version.noteAdopted()
        }
        do throws(RuleError) {
            try version.begin(&next, from: &vm)
        } catch {
            version.put(next, run.workerCount)
            return version.noteProblem(error.description)
        }
        for (name, table) in run.lookups.current { next.setLookup(name, to: table) }
        looking.leave(&vm)
        swap(&vm, &next)
        old.put(next, run.workerCount)
        aggregation.rebind(vm, looking)
        version.noteAdopted()
    }

    /// Does what those want who look at the pipeline; between two batches only.
    func look() {
        if looking.update(&vm, tapSink: run.tapSink) { aggregation.rebind(vm, looking) }
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
