internal import Connecting
internal import Definitions
internal import Scripting
internal import Synchronization
internal import Threads

/// How the lanes of a run share its records.
enum Distribution: Sendable {
    /// There is one lane.
    case whole
    /// No rule keeps state, so any lane may run any batch.
    case anyLane
    /// Each lane sees every batch and runs the records of its partitions.
    case byPartition
}

extension Plan {
    /// How many lanes may share the records of a pipeline, of those that are wanted, and how.
    func distribution(lanes wanted: Int) -> (lanes: Int, Distribution) {
        // An aggregate in Lua may let its record fail, so it has to run where the record does.
        guard wanted > 1, !definition.hasAggregatesInLua else { return (1, .whole) }
        guard keepsStateInFront else { return (wanted, .anyLane) }
        // State without a key is one partition, which cannot be shared.
        return definition.key == nil ? (1, .whole) : (wanted, .byPartition)
    }

    /// True when rules keep state that records reach before any window.
    var keepsStateInFront: Bool { keepsState { !definition.isBehindWindows($0) } }

    /// True when rules of some stages keep state, or modules, which any rule may use.
    func keepsState(_ isMeant: (_ stage: Int) -> Bool) -> Bool {
        var paths = modules.map(\.path)
        for (index, stage) in definition.stages.enumerated() where isMeant(index) {
            if let path = stage.rulePath { paths.append(path) }
        }
        return paths.contains { scriptUsesState(ruleSet.bytes(of: $0) ?? []) }
    }
}

extension PipelineRun {
    /// The windows of the run, and a VM for what stands behind them; nil without windows.
    ///
    /// - Parameter front: the machine of the only lane; nil when there are several.
    func makeTail(front: RuleMachine?) throws(RuleError) -> Tail? {
        guard plan.definition.hasAggregates else { return nil }
        // Windows that lead to nothing but sinks need no VM of their own.
        if let front, !plan.definition.hasStagesBehindWindows {
            return Tail(self, front, isShared: true)
        }
        let machine = try RuleMachine(
            self, index: laneCount, stages: stageNames(behindWindows: true),
            part: (index: 0, count: 1))
        return Tail(self, machine, isShared: false)
    }
}

extension Definition {
    /// True when records of some stage are rows of windows.
    var hasStagesBehindWindows: Bool { stages.indices.contains { isBehindWindows($0) } }
}

/// How much one batch of several lanes holds, as lanes find out.
final class SliceSizes: Sendable {
    private struct State {
        var pacer: SlicePacer
        var step = 0
    }

    private let state: Locked<State>

    init(_ limits: Limits) { state = Locked(State(pacer: SlicePacer(limits))) }

    /// The limit of the next batch.
    var limit: (bytes: Int, records: Int) {
        state.withLock { ($0.pacer.bytes, $0.pacer.records) }
    }

    /// A lane has run a batch with the rules of a step.
    func note(bytes: Int, records: Int, nanoseconds: UInt64, step: Int) {
        state.withLock { state in
            if step > state.step {
                state.step = step
                state.pacer.reset()
            }
            state.pacer.note(bytes: bytes, records: records, nanoseconds: nanoseconds)
        }
    }
}
