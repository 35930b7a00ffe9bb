internal import Scripting
internal import Synchronization

/// A rule set that is loaded for every thread that runs rules, and what it has done since it became
/// active. Any thread.
final class LoadedVersion: Sendable {
    let plan: Plan
    private let layouts: Locked<[Int]>
    private let machines: [MachineBox]
    private let adopted = Atomic<Int>(0)
    private let records = Atomic<Int>(0)
    private let failures = Atomic<Int>(0)
    private let problem = Locked<String?>(nil)

    init(_ plan: Plan, _ machines: [MachineBox], stateVersions: [Int]) {
        self.plan = plan
        self.machines = machines
        layouts = Locked(stateVersions)
    }

    /// Lets a loaded VM take over from the one before, and change the state if its layout differs;
    /// when it cannot, everything is as it was.
    func begin(_ next: inout RuleVM, from old: inout RuleVM) throws(RuleError) {
        try next.takeOver(from: &old)
        do throws(RuleError) {
            for stage in plan.definition.stages.indices {
                let before = old.stateVersion(ofStage: stage)
                if next.stateVersion(ofStage: stage) != before {
                    try next.migrate(stage: stage, from: before)
                }
            }
        } catch {
            try old.takeOver(from: &next)
            throw error
        }
    }

    var name: String { plan.ruleSet.version }

    /// The layout of the state of each stage.
    var stateVersions: [Int] {
        get { layouts.withLock { $0 } }
        set { layouts.withLock { $0 = newValue } }
    }

    /// The VM of a thread, once.
    func take(_ thread: Int) -> RuleVM? { machines[thread].take() }

    /// Lets its VMs go, once no thread runs it any more.
    func discard() { for machine in machines { _ = machine.take() } }

    /// Keeps a VM for the time when this version becomes active again.
    func put(_ vm: consuming RuleVM, _ thread: Int) { machines[thread].put(vm) }

    /// A thread runs it from here on.
    func noteAdopted() { adopted.add(1, ordering: .releasing) }

    /// True when every thread runs it.
    var isAdopted: Bool { adopted.load(ordering: .acquiring) >= machines.count }

    /// A thread could not begin with it.
    func noteProblem(_ text: String) { problem.withLock { $0 = $0 ?? text } }
    var adoptionProblem: String? { problem.withLock { $0 } }

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
