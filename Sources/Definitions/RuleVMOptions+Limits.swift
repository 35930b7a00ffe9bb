package import Scripting

extension RuleVMOptions {
    /// What scripts and records may take, in a run as in every check.
    package mutating func take(_ limits: Limits) {
        scriptMemory = limits.scriptMemory
        recordLimit = limits.record
        depthLimit = limits.depth
        emittedLimit = limits.emitted
        stateMemory = limits.stateMemory
    }
}
