internal import Connecting
internal import Definitions
internal import Records
internal import Threads

/// The sources of a pipeline, read in turn; knows how far time has come in each.
///
/// A source that has ended, or that has been silent for `idle_after` while we were waiting for it,
/// no longer holds time back.
final class SourceSet {
    private struct Member {
        let source: any Source
        let name: String
        var newest = Int64.min
        var hasEnded = false
        var isIdle = false
        /// How long we have waited for it without getting anything, in nanoseconds.
        var silence: Int64 = 0
    }

    private var members: [Member] = []
    private let pause = Channel<Void>(capacity: 1)
    private var next = 0
    private let idleNanoseconds: Int64?

    /// Opens them all.
    init(
        _ definition: Definition, _ context: RunContext, _ store: PipelineStore? = nil,
        isEmpty: Bool = false
    ) throws(PipelineError) {
        idleNanoseconds = (definition.time?.idleMilliseconds).map { $0 * 1_000_000 }
        if isEmpty { return }
        if definition.sources.isEmpty, let store, !definition.handlers.isEmpty {
            let waiting = HandlersSource(definition.handlers, store.queues, isOnce: context.once)
            members = [Member(source: waiting, name: "handlers")]
            return
        }
        guard !definition.sources.isEmpty else {
            throw PipelineError(exitCode: 2, "the pipeline has no source")
        }
        do {
            for source in definition.sources {
                var context = context
                context.sourceName = source.name
                let state = store?.state
                context.resumption.positions = state?.positions["source \(source.name)"] ?? [:]
                var member = Member(
                    source: try Self.open(source, store, context), name: source.name)
                member.newest = state?.times.newest[source.name] ?? member.newest
                members.append(member)
            }
        } catch {
            throw PipelineError(exitCode: 1, "error: \(error.description)")
        }
    }

    private static func open(
        _ source: SourceDefinition, _ store: PipelineStore?, _ context: RunContext
    ) throws(ConnectorError) -> any Source {
        guard let queue = source.queue else { return try source.open(context) }
        guard let store else { throw PipelineRun.queueNeedsStore }
        return try QueueSource(queue, store.queues, context)
    }

    /// Reads from the next source that has something; `.end` when all have ended.
    func read(
        into batch: Batch, limit: Int, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        if members.isEmpty {
            _ = pause.receive(milliseconds: 1)
            return .nothingYet
        }
        if members.count == 1 {
            return try members[0].source.read(into: batch, limit: limit, milliseconds: milliseconds)
        }
        let live = members.indices.filter { !members[$0].hasEnded }
        guard !live.isEmpty else { return .end }
        let began = monotonicNanoseconds()
        var silent: [Int] = []
        // Only the time in which we wait for sources counts.
        defer {
            let waited = Int64(monotonicNanoseconds() - began)
            for index in silent { members[index].silence += waited }
        }
        var risen = false
        for step in live.indices {
            let index = live[(next + step) % live.count]
            let outcome = try readOne(index, batch, limit, milliseconds / live.count)
            if outcome == .records {
                next = (next + step + 1) % live.count
                return .records
            }
            if outcome == .nothingYet { silent.append(index) }
            risen = outcome == .end || risen
        }
        // Time may have come on because a source has fallen silent or ended: an empty batch of
        // another tells everybody.
        let waiting = members.indices.filter { !members[$0].hasEnded && !members[$0].isIdle }
        if risen || noteSilence(), let index = waiting.first ?? members.indices.first {
            batch.sourceIndex = index
            batch.source = members[index].name
            return .records
        }
        return .nothingYet
    }

    private func readOne(
        _ index: Int, _ batch: Batch, _ limit: Int, _ milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        let outcome = try members[index].source.read(
            into: batch, limit: limit, milliseconds: max(milliseconds, 1))
        switch outcome {
        case .end: members[index].hasEnded = true
        case .nothingYet: break
        case .records:
            members[index].silence = 0
            members[index].isIdle = false
            batch.sourceIndex = index
        }
        return outcome
    }

    /// True when a source has just become idle.
    private func noteSilence() -> Bool {
        guard let idleNanoseconds else { return false }
        var found = false
        for index in members.indices where !members[index].hasEnded && !members[index].isIdle {
            guard members[index].silence >= idleNanoseconds else { continue }
            members[index].isIdle = true
            found = true
        }
        return found
    }

    /// Adds where the sources stand, and how far time has come in them.
    func addPositions(to draft: inout CommitDraft) {
        var times = draft.times ?? CommittedTimes()
        for member in members {
            draft.addPositions("source \(member.name)", member.source)
            if let queue = member.source as? QueueSource, let receipts = queue.takeReceipts() {
                draft.receipts.append(receipts)
            }
            if member.newest != .min { times.newest[member.name] = member.newest }
        }
        draft.times = times
    }

    /// Remembers how far a source has come.
    func note(_ newest: Int64, of index: Int) { members[index].newest = newest }

    /// The newest time of the slowest other source that time waits for; nil when it waits for none.
    func floor(_ index: Int) -> Int64? {
        var least: Int64?
        for other in members.indices where other != index {
            guard !members[other].hasEnded, !members[other].isIdle else { continue }
            least = min(least ?? Int64.max, members[other].newest)
        }
        return least
    }
}
