internal import Scripting

/// Makes dead letters of rows that sinks have refused, on the outlet's thread. It has a VM of its
/// own only when there is no other, and only from the first refusal on.
final class RefusalDesk {
    private let run: PipelineRun
    private let tail: Tail?
    private var machine: RuleMachine?
    private let ownsMachine: Bool
    private let outputs: [OutputBuffer]
    private var position: UInt64 = 0

    init(_ run: PipelineRun, tail: Tail?, front: RuleMachine?) {
        self.run = run
        self.tail = tail
        machine = front
        ownsMachine = front == nil
        outputs = run.makeSinkBuffers()
    }

    /// What the desk's own machine has counted; nothing when it is that of a lane.
    var counts: RuleCounts { ownsMachine ? machine?.vm.counts ?? RuleCounts() : RuleCounts() }

    /// The letters, for each sink that takes them.
    func letters(of rows: [RefusedDelivery], sink: String) -> [OutputBuffer] {
        defer { position += UInt64(rows.count) }
        if let tail { return tail.refuse(rows, sink: sink, first: position) }
        if machine == nil {
            machine = try? RuleMachine(
                run, index: 0, stages: [], part: (index: 0, count: 1))
        }
        guard let machine else { return outputs }
        let buffers = run.makeRowBuffers()
        machine.vm.refuse(rows, sink: sink, first: position, into: outputs, rows: buffers)
        machine.count()
        return outputs
    }
}

extension RuleVM {
    /// Makes a dead letter of kind `refused` of each row.
    mutating func refuse(
        _ refused: [RefusedDelivery], sink: String, first: UInt64, into outputs: [OutputBuffer],
        rows: [RowBuffer]
    ) {
        for (index, row) in refused.enumerated() {
            reject(
                sink: sink, reason: row.reason, row: row.row, position: first + UInt64(index),
                into: outputs, rows: rows)
        }
    }
}
