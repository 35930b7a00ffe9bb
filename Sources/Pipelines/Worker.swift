internal import Records
internal import Scripting
internal import Synchronization

/// A thread that owns one VM and runs batches through all stages.
struct Worker {
    let run: PipelineRun
    let index: Int

    func main() {
        var isReady = false
        do {
            var worker = try start()
            isReady = true
            // Without state any worker may take any batch, so none waits while there is work.
            let work = run.work[worker.vm.usesState ? index : 0]
            while let item = work.receive() {
                guard let outputs = run.outputPool.receive() else { break }
                try worker.run(item, into: outputs)
                run.finished.send(
                    PipelineRun.Finished(
                        batch: item.batch, outputs: outputs, watermark: item.watermark))
            }
            try close(&worker)
            let counts = worker.vm.counts
            run.shared.withLock { $0.counts.add(counts) }
        } catch {
            let failure = PipelineError(exitCode: isReady ? 1 : 2, "error: \(error)")
            if isReady { run.fail(failure) } else { run.startup.send(.failed(failure)) }
        }
        // The last worker to leave tells the writer that nothing more will come.
        if run.workersLeft.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
            run.finished.close()
        }
    }

    /// The input has ended: timers of rules fire, and their rows follow all others.
    private func close(_ worker: inout LoadedWorker) throws(RuleError) {
        let isOver = run.hasEnded.load(ordering: .acquiring) || run.options.drain
        guard isOver, worker.vm.usesState, let outputs = run.outputPool.receive() else { return }
        try worker.vm.advance(to: Int64.max, into: outputs.sinks, rows: outputs.rows)
        run.finished.send(
            PipelineRun.Finished(batch: Batch(), outputs: outputs, watermark: nil, isClosing: true))
    }

    /// Makes and loads the VM of the calling thread.
    func start() throws(RuleError) -> LoadedWorker {
        let log = run.log
        var vm = try run.plan.makeVM { log.write(stage: $0, $1) }
        let version = run.lookups.version
        for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
        try vm.load()
        try run.plan.checkAggregates(vm)
        if vm.usesState { run.usesState.store(true, ordering: .relaxed) }
        run.startup.send(.ready)
        return LoadedWorker(run: run, index: index, vm: vm, lookupVersion: version)
    }
}

/// A worker whose rules are loaded; stays on its thread.
struct LoadedWorker: ~Copyable {
    let run: PipelineRun
    let index: Int
    var vm: RuleVM
    private var lookupVersion: Int
    private var counted = RuleCounts()

    init(run: PipelineRun, index: Int, vm: consuming RuleVM, lookupVersion: Int) {
        self.run = run
        self.index = index
        self.vm = vm
        self.lookupVersion = lookupVersion
    }

    /// Runs one batch through all stages; rows are appended to `outputs`.
    mutating func run(
        _ item: PipelineRun.Work, into outputs: PipelineRun.Outputs
    ) throws(RuleError) {
        if run.lookups.version != lookupVersion {
            lookupVersion = run.lookups.version
            for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
        }
        try vm.run(
            item.batch, into: outputs.sinks, rows: outputs.rows, scan: item.scan, worker: index,
            workers: run.workerCount, floor: item.floor)
        count()
    }

    /// Shows the others how far this worker is.
    mutating func count() {
        let totals = vm.totals
        run.readCount.add(totals.read - counted.read, ordering: .relaxed)
        run.deadCount.add(totals.deadLetters - counted.deadLetters, ordering: .relaxed)
        counted = totals
    }
}
