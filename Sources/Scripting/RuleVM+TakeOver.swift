internal import CScripting

extension RuleVM {
    /// Takes over from the VM of another version, on the thread that runs its batches: state, time
    /// and counters change hands, so that the other can take them back. Both must have the same
    /// stages. Throws when the system gives no timer for this thread; then nothing has changed.
    public mutating func takeOver(from old: inout RuleVM) throws(RuleError) {
        guard unsafe tw_vm_take_over(vm, old.vm) else {
            throw RuleError("the system gives no timer for the time budget of rules")
        }
    }

    /// What the rule of a stage says about the layout of its state; 1 when it says nothing.
    public func stateVersion(ofStage stage: Int) -> Int {
        unsafe Int(tw_vm_state_version(vm, Int32(stage)))
    }

    /// True when the rule of a stage can change its state from another layout.
    public func hasMigrate(ofStage stage: Int) -> Bool {
        unsafe tw_vm_has_migrate(vm, Int32(stage))
    }

    /// True when a stage keeps anything in its state.
    public func hasState(ofStage stage: Int) -> Bool { unsafe tw_vm_has_state(vm, Int32(stage)) }

    /// Lets the rule of a stage change its state from an older layout, in all partitions as one
    /// transaction; throws what the rule raised, and then nothing has changed.
    public mutating func migrate(stage: Int, from version: Int) throws(RuleError) {
        let status = unsafe tw_vm_migrate(vm, Int32(stage), Int64(version))
        guard status.code == 0 else { throw RuleError(status) }
    }
}
