internal import Records
internal import Scripting

/// The windows of a pipeline and the rules behind them. It takes the rows of all lanes in the order
/// of the source, so that results depend on the data alone. Belongs to the outlet's thread.
final class Tail {
    let machine: RuleMachine
    /// The machine whose records run through aggregates in Lua; nil when there are several lanes.
    private let front: RuleMachine?
    private let windows: Aggregation
    private let outputs: [OutputBuffer]
    private var generations = (own: 0, front: 0)

    init(_ run: PipelineRun, _ machine: RuleMachine, front: RuleMachine?) {
        self.machine = machine
        self.front = front
        windows = Aggregation(run.plan, front: (front ?? machine).vm, behind: machine.vm)
        if let store = run.store { windows.restore(store.state) }
        outputs = run.makeSinkBuffers()
    }

    /// Brings rules, lookups and lookers up to date; between two slices only.
    func prepare(step: Int) {
        machine.prepare(step: step)
        let now = (own: machine.generation, front: front?.generation ?? 0)
        guard now != generations else { return }
        generations = now
        windows.rebind(front: (front ?? machine).vm, behind: machine.vm, machine.looking)
    }

    /// Takes the rows that one batch has given to each aggregate stage, from each lane; then time is
    /// `watermark`. What came out waits in the result to be written.
    func take(
        _ rows: [[RowBuffer]], watermark: Int64?
    ) throws(RuleError) -> [OutputBuffer] {
        try windows.run(rows, watermark: watermark, vm: &machine.vm, outputs: outputs)
        if let watermark, machine !== front, machine.vm.usesState {
            try windows.advanceRules(to: watermark, vm: &machine.vm, outputs: outputs)
        }
        machine.count()
        return outputs
    }

    /// The input has ended: every window closes.
    func finish() throws(RuleError) -> [OutputBuffer] {
        try windows.finish(vm: &machine.vm, outputs: outputs)
        machine.count()
        return outputs
    }

    /// Makes dead letters of rows that a sink has refused.
    func refuse(_ rows: [RefusedDelivery], sink: String, first: UInt64) -> [OutputBuffer] {
        windows.refuse(rows, sink: sink, first: first, vm: &machine.vm, outputs: outputs)
        machine.count()
        return outputs
    }

    /// Adds what has changed in windows, and in the rules behind them.
    func addEntries(to draft: inout CommitDraft) {
        windows.addChanges(to: &draft)
        if machine !== front { machine.addChanges(to: &draft) }
    }

    /// What the windows have done, and what they hold.
    var counts: WindowCounts { windows.counts }
}
