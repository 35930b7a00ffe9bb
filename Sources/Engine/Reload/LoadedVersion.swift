package import Definitions
internal import Scripting
internal import Synchronization
internal import Threads

/// A rule set that is loaded for every thread that runs rules, and what it has done since it became
/// active. Any thread.
package final class LoadedVersion: Sendable {
    package let plan: Plan
    private let stageLayouts: Locked<[StateLayout]>
    private let machines: [MachineBox]
    private let adopted = Atomic<Int>(0)
    private let longestPause = Atomic<UInt64>(0)
    private let records = Atomic<Int>(0)
    private let failures = Atomic<Int>(0)
    private let problemText = Locked<String?>(nil)

    /// Somebody insists on it, so state of a newer layout is left as it is.
    let takesAnyState: Bool

    init(
        _ plan: Plan, _ machines: [MachineBox], layouts: [StateLayout], takesAnyState: Bool = false
    ) {
        self.plan = plan
        self.machines = machines
        self.takesAnyState = takesAnyState
        stageLayouts = Locked(layouts)
    }

    /// Lets a loaded VM take over from the one before, and change the state if its layout differs;
    /// when it cannot, everything is as it was.
    func begin(_ next: inout RuleVM, from old: inout RuleVM) throws(RuleError) {
        try next.takeOver(from: &old)
        do throws(RuleError) {
            for stage in plan.definition.stages.indices {
                let before = old.stateVersion(ofStage: stage)
                guard next.stateVersion(ofStage: stage) != before else { continue }
                if !takesAnyState, next.hasState(ofStage: stage),
                    let reason = problem(ofStage: stage, takingLayout: before)
                {
                    throw RuleError(reason)
                }
                try next.migrate(stage: stage, from: before)
            }
        } catch {
            try old.takeOver(from: &next)
            throw error
        }
    }

    var name: String { plan.ruleSet.version }

    /// How each stage keeps its state.
    var layouts: [StateLayout] {
        get { stageLayouts.withLock { $0 } }
        set { stageLayouts.withLock { $0 = newValue } }
    }

    /// Why a stage cannot go on with state of another layout, or nil.
    func problem(ofStage stage: Int, takingLayout before: Int) -> String? {
        guard let layout = layouts.indices.contains(stage) ? layouts[stage] : nil else {
            return nil
        }
        return plan.problem(ofStage: stage, layout, takingLayout: before)
    }

    /// The VM of a thread, once.
    func take(_ thread: Int) -> RuleVM? { machines[thread].take() }

    /// Lets its VMs go, once no thread runs it any more.
    func discard() { for machine in machines { _ = machine.take() } }

    /// Keeps a VM for the time when this version becomes active again.
    func put(_ vm: consuming RuleVM, _ thread: Int) { machines[thread].put(vm) }

    /// A thread runs it from here on; its records have waited so long for the change.
    func noteAdopted(after nanoseconds: UInt64 = 0) {
        longestPause.max(nanoseconds, ordering: .relaxed)
        adopted.add(1, ordering: .releasing)
    }

    /// The longest that any thread's records have waited for the change, in milliseconds.
    var pauseMilliseconds: Double { Double(longestPause.load(ordering: .relaxed)) / 1e6 }

    /// True when every thread runs it.
    var isAdopted: Bool { adopted.load(ordering: .acquiring) >= machines.count }

    /// A thread could not begin with it.
    func noteProblem(_ text: String) { problemText.withLock { $0 = $0 ?? text } }
    var adoptionProblem: String? { problemText.withLock { $0 } }

    /// Counts what a thread has run since its last call.
    func note(records count: Int, failures failed: Int) {
        records.add(count, ordering: .relaxed)
        failures.add(failed, ordering: .relaxed)
    }

    /// Records since it became active, and those of them that failed.
    var counts: (records: Int, failures: Int) {
        (records.load(ordering: .relaxed), failures.load(ordering: .relaxed))
    }

    /// Begins to count anew and to wait for its threads, because it becomes active again.
    func reset() {
        adopted.store(0, ordering: .relaxed)
        records.store(0, ordering: .relaxed)
        failures.store(0, ordering: .relaxed)
        longestPause.store(0, ordering: .relaxed)
        problemText.withLock { $0 = nil }
    }
}

/// How the rule of a stage keeps its state.
struct StateLayout: Sendable, Hashable {
    /// Its `state_version`.
    var number: Int
    /// It has a function `migrate`.
    var hasMigrate: Bool

    /// The layouts of all stages of a loaded VM.
    static func all(of vm: borrowing RuleVM, in plan: Plan) -> [StateLayout] {
        plan.definition.stages.indices.map { stage in
            StateLayout(
                number: vm.stateVersion(ofStage: stage),
                hasMigrate: vm.hasMigrate(ofStage: stage))
        }
    }
}

extension Plan {
    /// Why a stage cannot go on with state of a newer layout, or nil: only its own `migrate` can
    /// take such state back.
    func problem(
        ofStage stage: Int, _ layout: StateLayout, takingLayout before: Int
    ) -> String? {
        guard layout.number < before, !layout.hasMigrate else { return nil }
        let stage = definition.stages[stage]
        return "\(stage.rulePath ?? stage.name) keeps its state in layout \(layout.number) "
            + "(state_version), and the state of \(stage.name) has layout \(before); give the "
            + "rule a function migrate(old_version, state) that takes layout \(before)"
    }
}

/// A VM on its way from the thread that loads it to the one that runs it.
///
/// It is filled before its version is wanted, and from then on only its own thread touches it.
final class MachineBox: @unchecked Sendable {  // Protected by that order.
    private var vm: RuleVM?

    init(_ vm: consuming RuleVM?) { self.vm = vm }

    func take() -> RuleVM? { vm.take() }

    func put(_ given: consuming RuleVM) { vm = consume given }
}
