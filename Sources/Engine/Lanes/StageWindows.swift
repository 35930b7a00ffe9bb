internal import Definitions
internal import Scripting
internal import Windowing

/// The windows of one aggregate stage, for the keys of one slot. One thread owns it; rows come in
/// the order of their source, so that results depend on the data alone.
final class StageWindows {
    let index: Int
    /// Its place among the aggregate stages.
    let place: Int
    let windows: WindowOperator
    /// What has come out and was not taken yet.
    var output = WindowOutput()
    /// Rows are added while their record is still a transaction, because Lua may let it fail.
    let isPrepared: Bool
    private let name: String
    private var hook: WindowHook?

    /// Makes the windows of a stage; its aggregates in Lua run in `vm`, with its records.
    init(
        _ index: Int, place: Int, _ plan: Plan, slot: WindowSlot, _ aggregate: AggregateStage,
        _ vm: borrowing RuleVM
    ) {
        self.index = index
        self.place = place
        name = plan.definition.stages[index].name
        isPrepared = !aggregate.userFiles.isEmpty
        hook = vm.windowHook(of: index)
        windows = WindowOperator(aggregate.definition, users: hook?.aggregates, slot: slot)
        hook?.stage = self
    }

    /// Goes on with what an earlier run has committed, and notes changes from here on.
    func restore(_ state: PipelineState) {
        windows.tracksChanges = true
        state.forEachWindow(of: name) { key, value in windows.restore(key: key, value: value) }
    }

    /// Another VM runs its aggregates in Lua from here on.
    func rebind(_ vm: borrowing RuleVM) {
        guard let old = hook, let next = vm.windowHook(of: index), next !== old else { return }
        next.stage = self
        next.committed = old.committed
        hook = next
        windows.replaceUsers(next.aggregates)
    }

    /// Takes rows in the order of their source, but for those that their records have added
    /// already; returns how many rows were added since the last call, in either way.
    func take(_ block: RowBlock) -> Int {
        guard !isPrepared else {
            defer { hook?.committed = 0 }
            return hook?.committed ?? 0
        }
        guard block.count > 0 else { return 0 }
        windows.process(block, into: &output)
        return block.count
    }

    /// Time is `watermark` from here on.
    func advance(to watermark: Int64) { windows.advance(to: watermark, into: &output) }

    /// The input has ended: every window closes.
    func finish() { windows.finish(into: &output) }

    /// Hands over what has come out, for an empty output.
    func swapOutput(with other: WindowRows) { swap(&output, &other.output) }

    /// Adds what has changed since the last call.
    func addChanges(to draft: inout CommitDraft) {
        var bytes: [UInt8] = []
        StoreEntry.add(Array(name.utf8), [], to: &bytes)
        let before = bytes.count
        windows.takeChanges { key, value in StoreEntry.add(key, value, to: &bytes) }
        if bytes.count > before { draft.windows.append(bytes) }
    }
}

/// What the windows of one stage and slot have given for a batch, on its way to the outlet.
final class WindowRows: @unchecked Sendable {  // One owner at a time, like `Batch`.
    var output = WindowOutput()
}
