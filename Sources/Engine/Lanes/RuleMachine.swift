internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// The VM of one thread that runs rules, kept up to date: versions of the rules, lookup tables, and
/// those who look at the pipeline. Belongs to the thread that has loaded it.
final class RuleMachine {
    var vm: RuleVM
    private let run: PipelineRun
    /// The thread's place among those that run rules.
    let index: Int
    private var lookupVersion: Int
    private var counted = RuleCounts()
    private let changes = OutputBuffer()
    private var step = 0
    private(set) var looking: LookingThread
    /// Another one whenever another VM runs the rules, or somebody has begun or ended to look.
    private(set) var generation = 0

    /// Makes and loads the VM of the calling thread, with the state that an earlier run has left.
    ///
    /// - Parameter stages: the stages whose state it has.
    /// - Parameter part: which part of the partitions it has, and of how many.
    init(
        _ run: PipelineRun, index: Int, stages: Set<String>, part: (index: Int, count: Int)
    ) throws(RuleError) {
        self.run = run
        self.index = index
        let log = run.log
        var vm = try run.plan.makeVM(for: run.purpose) { log.write(stage: $0, $1) }
        lookupVersion = run.lookups.version
        for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
        try vm.load()
        // What is read while the store is still being opened is put back at once.
        if !stages.isEmpty {
            try run.restore(&vm, stages: stages, worker: part.index, workers: part.count)
            try run.migrateAtStart(&vm, stages: stages)
        }
        self.vm = vm
        looking = LookingThread(run.looking, index: index)
    }

    // MARK: Between two slices

    /// Brings everything up to date; between two slices only.
    func prepare(step wanted: Int) {
        refreshLookups()
        let isOther = adopt(wanted)
        if looking.update(&vm, tapSink: run.tapSink) || isOther { generation += 1 }
    }

    private func refreshLookups() {
        guard run.lookups.version != lookupVersion else { return }
        lookupVersion = run.lookups.version
        for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
    }

    /// Changes to the version of the rules that a step wants. True when there is another VM now.
    @discardableResult
    func adopt(_ wanted: Int) -> Bool {
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
        looking.leave(&vm, tapSink: run.tapSink)
        swap(&vm, &next)
        old.put(next, index)
        version.noteAdopted(after: monotonicNanoseconds() - started)
        return true
    }

    // MARK: Commits and counts

    /// Adds what has changed in the state of its rules to a commit.
    func addChanges(to draft: inout CommitDraft) {
        if run.opening != nil { draft.addRules(&vm, changes) }
    }

    /// Shows the others how far this thread is; returns what was counted since the last call.
    @discardableResult
    func count() -> SliceCounts {
        let totals = vm.totals
        let counts = SliceCounts(
            records: totals.read - counted.read,
            deadLetters: totals.deadLetters - counted.deadLetters,
            failed: totals.failedRecords - counted.failedRecords,
            dropped: totals.droppedRecords - counted.droppedRecords)
        counted = totals
        run.readCount.add(counts.records, ordering: .relaxed)
        run.deadCount.add(counts.deadLetters, ordering: .relaxed)
        run.versions.note(step, records: counts.records, failures: counts.deadLetters)
        return counts
    }
}

/// What was counted in one slice.
struct SliceCounts: Sendable, Hashable {
    /// Records of the source, malformed ones too.
    var records = 0
    /// Dead letters, those of timers and of rows included.
    var deadLetters = 0
    /// Records that failed.
    var failed = 0
    /// Records that rules dropped, with nothing left of them.
    var dropped = 0

    static func += (left: inout SliceCounts, right: SliceCounts) {
        left.records += right.records
        left.deadLetters += right.deadLetters
        left.failed += right.failed
        left.dropped += right.dropped
    }
}
