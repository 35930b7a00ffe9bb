internal import Definitions
internal import Scripting
internal import Threads
internal import Windowing

/// What a lane keeps for its part of the keys: the windows of every aggregate stage that records
/// reach before any other window. Its state of rules lives in the lane's VM, by partition.
///
/// All tasks of a run are given the same rows and times, and each passes over the keys of others,
/// so that together they do what a single one would.
final class PartitionTask {
    private let run: PipelineRun
    private let index: Int
    private let stages: [StageWindows]
    private let merged: MergedRows?
    private var batches = 0

    /// Makes the windows of a lane, as an earlier run has left them.
    init(_ run: PipelineRun, index: Int, _ vm: borrowing RuleVM) {
        self.run = run
        self.index = index
        let slot = WindowSlot(index: index, count: run.laneCount)
        var stages: [StageWindows] = []
        for (place, stage) in run.plan.aggregateStages.enumerated() where !stage.isInTail {
            stages.append(
                StageWindows(
                    stage.index, place: place, run.plan, slot: slot, stage.aggregate, vm))
        }
        self.stages = stages
        merged = run.distribution == .byPartition ? MergedRows() : nil
        if let store = run.store { for stage in stages { stage.restore(store.state) } }
    }

    /// True when no record reaches a window here.
    var isEmpty: Bool { stages.isEmpty }

    /// Another VM runs the rules from here on.
    func rebind(_ vm: borrowing RuleVM) { for stage in stages { stage.rebind(vm) } }

    /// Takes the rows that one batch has given to each aggregate stage; then time is `watermark`,
    /// unless that is nil.
    ///
    /// - Parameter rows: of each part of the batch, by the place of the stage.
    /// - Parameter results: gets what has come out.
    func take(
        _ rows: [[RowBuffer]], watermark: Int64?, into results: inout WindowResults
    ) throws(RuleError) {
        for stage in stages {
            results.taken[stage.place] = take(rows, by: stage)
            if let watermark { stage.advance(to: watermark) }
            stage.swapOutput(with: results.rows[stage.place])
        }
        try checkMemory()
    }

    /// The input has ended: takes the last rows, then every window closes.
    func finish(_ rows: [[RowBuffer]], into results: inout WindowResults) {
        for stage in stages {
            results.taken[stage.place] = take(rows, by: stage)
            stage.finish()
            stage.swapOutput(with: results.rows[stage.place])
        }
        publish()
    }

    private func take(_ rows: [[RowBuffer]], by stage: StageWindows) -> Int {
        if rows.count == 1 { return stage.take(RowBlock(rows[0][stage.place].view)) }
        let filled = rows.map { $0[stage.place].view }.filter { $0.count > 0 }
        guard filled.count > 1, let merged else {
            return filled.first.map { stage.take(RowBlock($0)) } ?? 0
        }
        merged.fill(from: filled)
        return merged.withBlock { stage.take($0) }
    }

    /// Windows are part of the keyed state, which is bounded; counting takes a while.
    private func checkMemory() throws(RuleError) {
        batches += 1
        guard batches % 16 == 0, !stages.isEmpty else { return }
        let bytes = publish()
        let limit = run.plan.definition.limits.stateMemory
        guard bytes > limit else { return }
        throw RuleError(
            "state is full: the windows take \(bytes) bytes, and limits.state_memory is \(limit)")
    }

    /// Tells the run what the windows hold; returns how many bytes that is in all tasks together.
    @discardableResult
    private func publish() -> Int {
        let keys = stages.reduce(0) { $0 + $1.windows.keyCount }
        let bytes = stages.reduce(0) { $0 + $1.windows.byteCount }
        return run.windowSizes.set(index, keys: keys, bytes: bytes)
    }

    /// Adds what has changed in windows to a commit.
    func addEntries(to draft: inout CommitDraft) {
        for stage in stages { stage.addChanges(to: &draft) }
    }
}

/// What the windows of one task have given for a batch, by the place of the stage.
struct WindowResults: Sendable {
    /// The lane that they are of.
    var lane = 0
    var rows: [WindowRows]
    /// How many records have reached each stage, in all lanes together.
    var taken: [Int]

    /// Empty results for so many aggregate stages.
    init(stages count: Int) {
        rows = (0..<count).map { _ in WindowRows() }
        taken = Array(repeating: 0, count: count)
    }
}

/// What the windows of all tasks hold, as they have told it last. Any thread.
final class WindowSizes: Sendable {
    private let sizes: Locked<[(keys: Int, bytes: Int)]>

    /// Begins with nothing, for so many tasks.
    init(tasks: Int) { sizes = Locked((0..<tasks).map { _ in (0, 0) }) }

    /// Sets what one task holds; returns the bytes of all.
    func set(_ task: Int, keys: Int, bytes: Int) -> Int {
        sizes.withLock { sizes in
            sizes[task] = (keys, bytes)
            return sizes.reduce(0) { $0 + $1.bytes }
        }
    }

    /// Keys and bytes of all tasks.
    var total: (keys: Int, bytes: Int) {
        sizes.withLock { sizes in
            (sizes.reduce(0) { $0 + $1.keys }, sizes.reduce(0) { $0 + $1.bytes })
        }
    }
}

extension Plan {
    /// An aggregate stage, and where its windows are.
    struct PlacedAggregate {
        var index: Int
        var aggregate: AggregateStage
        /// Its records are rows of other windows, or dead letters, of which the tail makes some.
        var isInTail: Bool
    }

    /// The aggregate stages, in the order in which buffers are kept for them.
    var aggregateStages: [PlacedAggregate] {
        definition.stages.enumerated().compactMap { index, stage in
            guard case .aggregate(let aggregate) = stage.work else { return nil }
            return PlacedAggregate(
                index: index, aggregate: aggregate,
                isInTail: definition.isBehindWindows(index)
                    || definition.isBehindLetters(index))
        }
    }
}
