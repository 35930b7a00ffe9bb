internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

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
            while let item = next(from: work, &worker) {
                guard let outputs = run.outputPool.receive() else { break }
                worker.adopt(item.step)
                worker.look()
                try worker.run(item, into: outputs)
                var finished = PipelineRun.Finished(
                    batch: item.batch, outputs: outputs, watermark: item.watermark)
                finished.step = item.step
                finished.mark = item.mark
                if item.mark != nil { finished.rules = worker.takeChanges() }
                run.finished.send(finished)
            }
            try close(&worker)
            let counts = worker.vm.counts
            run.shared.withLock { $0.counts.add(counts) }
        } catch {
            let failure = PipelineError(exitCode: isReady ? 1 : 2, "error: \(error)")
            if isReady {
                run.fail(failure)
            } else {
                run.startup.send(.failed(error as? PipelineError ?? failure))
            }
        }
        // The last worker to leave tells the writer that nothing more will come.
        if run.workersLeft.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
            run.finished.close()
        }
    }

    /// The next batch. A worker that others leave without one takes a new version all the same.
    private func next(
        from work: Channel<PipelineRun.Work>, _ worker: inout LoadedWorker
    ) -> PipelineRun.Work? {
        guard run.ring != nil else { return work.receive() }
        while true {
            let sent = run.sentStep.load(ordering: .acquiring)
            if let item = work.receive(milliseconds: run.patience) { return item }
            if work.isFinished { return nil }
            // What was sent before that step is taken by now, so nothing older can come.
            worker.adopt(sent)
        }
    }

    /// The input has ended: timers of rules fire, and their rows follow all others.
    private func close(_ worker: inout LoadedWorker) throws(RuleError) {
        let isOver = run.hasEnded.load(ordering: .acquiring) || run.options.drain
        guard isOver, worker.vm.usesState, let outputs = run.outputPool.receive() else { return }
        try worker.vm.advance(to: Int64.max, into: outputs.sinks, rows: outputs.rows)
        var finished = PipelineRun.Finished(
            batch: Batch(), outputs: outputs, watermark: nil, isClosing: true)
        finished.rules = worker.takeChanges()
        run.finished.send(finished)
    }

    /// Makes and loads the VM of the calling thread.
    func start() throws -> LoadedWorker {
        let log = run.log
        var vm = try run.plan.makeVM(for: run.purpose) {
            log.write(stage: $0, $1)
        }
        let version = run.lookups.version
        for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
        try vm.load()
        try run.plan.checkAggregates(vm)
        if vm.usesState { run.usesState.store(true, ordering: .relaxed) }
        let stages =
            run.workerCount > 1 ? run.stageNames(behindWindows: false) : run.allStageNames
        // Puts back what is read while the store is still being opened.
        try run.restore(&vm, stages: stages, worker: index, workers: run.workerCount)
        if let opening = run.opening {
            let isEmpty = try opening.get().state.isEmpty
            run.resumed.store(!isEmpty, ordering: .relaxed)
        }
        try run.migrateAtStart(&vm, stages: stages)
        run.versions.wanted.layouts = StateLayout.all(of: vm, in: run.plan)
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
    private let changes = OutputBuffer()
    private var step = 0
    private(set) var looking: LookingThread

    init(run: PipelineRun, index: Int, vm: consuming RuleVM, lookupVersion: Int) {
        self.run = run
        self.index = index
        self.vm = vm
        self.lookupVersion = lookupVersion
        looking = LookingThread(run.looking, index: index)
    }

    /// Changes to the version of the rules that a step wants; between two batches only. True when
    /// there is another VM now.
    @discardableResult
    mutating func adopt(_ wanted: Int) -> Bool {
        guard wanted != step else { return false }
        let old = run.versions.version(step)
        let version = run.versions.version(wanted)
        step = wanted
        guard old !== version, var next = version.take(index) else {
            version.noteAdopted()
            return false
        }
        let started = monotonicNanoseconds()
        count()
        do throws(RuleError) {
            try version.begin(&next, from: &vm)
        } catch {
            version.put(next, index)
            version.noteProblem(error.description)
            return false
        }
        for (name, table) in run.lookups.current { next.setLookup(name, to: table) }
        looking.leave(&vm)
        swap(&vm, &next)
        old.put(next, index)
        version.noteAdopted(after: monotonicNanoseconds() - started)
        return true
    }

    /// Does what those want who look at the pipeline; between two batches only. True when that is
    /// something else than before.
    @discardableResult
    mutating func look() -> Bool { looking.update(&vm, tapSink: run.tapSink) }

    /// Runs one batch through all stages; rows are appended to `outputs`.
    mutating func run(
        _ item: PipelineRun.Work, into outputs: PipelineRun.Outputs
    ) throws(RuleError) {
        if run.lookups.version != lookupVersion {
            lookupVersion = run.lookups.version
            for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
        }
        // Workers that share every batch need it noted once.
        if index == 0 || !run.isShared { run.ring?.note(item.batch) }
        try vm.run(
            item.batch, into: outputs.sinks, rows: outputs.rows, scan: item.scan, worker: index,
            workers: run.workerCount, floor: item.floor)
        count()
    }

    /// What has changed in the state of the rules since the last call.
    mutating func takeChanges() -> [[UInt8]] {
        guard run.store != nil else { return [] }
        var draft = CommitDraft()
        draft.addRules(&vm, changes)
        return draft.rules
    }

    /// Shows the others how far this worker is.
    mutating func count() {
        let totals = vm.totals
        run.readCount.add(totals.read - counted.read, ordering: .relaxed)
        run.deadCount.add(totals.deadLetters - counted.deadLetters, ordering: .relaxed)
        run.versions.note(
            step, records: totals.read - counted.read,
            failures: totals.deadLetters - counted.deadLetters)
        counted = totals
    }
}
