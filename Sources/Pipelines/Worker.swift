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
            let log = run.log
            var vm = try run.plan.makeVM { log.write(stage: $0, $1) }
            for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
            try vm.load()
            if vm.usesState { run.usesState.store(true, ordering: .relaxed) }
            isReady = true
            run.startup.send(.ready)
            try work(&vm)
            let counts = vm.counts
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

    private func work(_ vm: inout RuleVM) throws(RuleError) {
        var lookupVersion = run.lookups.version
        var counted = RuleCounts()
        while let item = run.work[index].receive() {
            if run.lookups.version != lookupVersion {
                lookupVersion = run.lookups.version
                for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
            }
            guard let outputs = run.outputPool.receive() else { return }
            try vm.run(
                item.batch, into: outputs, partitions: item.partitions, worker: index,
                workers: run.work.count)
            let totals = vm.totals
            run.readCount.add(totals.read - counted.read, ordering: .relaxed)
            run.deadCount.add(totals.deadLetters - counted.deadLetters, ordering: .relaxed)
            counted = totals
            run.finished.send(PipelineRun.Finished(batch: item.batch, outputs: outputs))
        }
    }
}
