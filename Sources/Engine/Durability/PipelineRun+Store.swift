internal import Definitions
public import Journal
public import Queueing
internal import Scripting
internal import Synchronization
internal import Threads

extension PipelineRun {
    /// Where positions and state are kept; waits until it is open. Nil when nothing is kept.
    var store: PipelineStore? { opening.flatMap { try? $0.get() } }

    /// True when an earlier run has left positions in the store.
    public var hasResumed: Bool { resumed.load(ordering: .relaxed) }

    /// The store, for whoever serves its queues to others; nil when nothing is kept.
    public var queueStore: Store<SystemDisk>? { store?.queues }

    /// What the VMs of the run's threads are made for.
    var purpose: MachinePurpose {
        var purpose = MachinePurpose(
            tracksChanges: opening != nil, showsLetters: opening != nil)
        purpose.now = options.now
        return purpose
    }

    /// Puts back the state of rules as it was committed, before the first record.
    func restore(
        _ vm: inout RuleVM, stages: Set<String>, worker: Int = 0, workers: Int = 1
    ) throws(RuleError) {
        let feed = opening?.rules
        while let bytes = feed?.receive() {
            try vm.restore(encoded: bytes, worker: worker, workers: workers)
        }
        guard let state = store?.state else { return }
        if feed == nil {
            try state.forEachRulesSlice(of: stages) { (bytes) throws(RuleError) in
                try vm.restore(encoded: bytes, worker: worker, workers: workers)
            }
        }
        for (index, source) in plan.definition.sources.enumerated() {
            vm.restoreTime(
                ofSource: index, newest: state.times.newest[source.name],
                watermark: state.times.watermark)
        }
    }

    /// Changes the state if the rules, changed since the last run, keep it in another layout.
    func migrateAtStart(_ vm: inout RuleVM, stages: Set<String>) throws(RuleError) {
        guard let versions = store?.state.versions, let active = versions.active,
            let before = versions.kept[active]?.stateVersions
        else { return }
        let layouts = StateLayout.all(of: vm, in: plan)
        for (index, stage) in plan.definition.stages.enumerated() {
            guard stages.contains(stage.name), let old = before[stage.name],
                old != layouts[index].number
            else { continue }
            if vm.hasState(ofStage: index),
                let reason = plan.problem(ofStage: index, layouts[index], takingLayout: old)
            {
                throw RuleError(reason)
            }
            try vm.migrate(stage: index, from: old)
        }
    }

    /// The stages that records reach before any window, or those that they reach behind one.
    func stageNames(behindWindows: Bool) -> Set<String> {
        let definition = plan.definition
        return Set(
            definition.stages.indices.filter { definition.isBehindWindows($0) == behindWindows }
                .map { definition.stages[$0].name })
    }

    /// Every stage.
    package var allStageNames: Set<String> { Set(plan.definition.stages.map(\.name)) }

    /// The run ends: whoever waits for dead letters to be run again hears so.
    func refuseReplays() {
        replays.close()
        while let job = replays.tryReceive() { job.answer.close() }
    }
}
