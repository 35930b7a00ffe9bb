internal import Connecting
internal import Records
internal import Threads

/// The sources of a pipeline, read in turn; knows which of them time waits for.
///
/// A source that has ended, or that has been silent for `idle_after` while we were waiting for it,
/// no longer holds time back.
final class SourceSet {
    private struct Member {
        let source: any IntakeSource
        let name: String
        var hasEnded = false
        var isIdle = false
        /// How long we have waited for it without getting anything, in nanoseconds.
        var silence: Int64 = 0
        /// How many bytes about as many records have as one batch of several lanes may hold.
        var stepBytes = SlicePacer.most
    }

    private var members: [Member]
    private let pause = Channel<Void>(capacity: 1)
    private var next = 0
    /// The member that was read last.
    private var last = 0
    private let idleNanoseconds: Int64?
    private var hasFallenSilent = false

    /// Steps are as long as one batch of several lanes, so that they need not be cut. Several
    /// sources are read in the same steps whatever the number of lanes.
    private let isStepwise: Bool

    /// Takes opened sources; none at all never give anything.
    init(
        _ sources: [(name: String, source: any IntakeSource)], idleNanoseconds: Int64?,
        lanes: Int = 1
    ) {
        isStepwise = lanes > 1 || sources.count > 1
        members = sources.map { Member(source: $0.source, name: $0.name) }
        self.idleNanoseconds = idleNanoseconds
    }

    /// Reads from the next source that has something; `.end` when all have ended.
    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        if members.isEmpty {
            _ = pause.receive(milliseconds: 1)
            return .nothingYet
        }
        if members.count == 1 { return try readOnly(batch, limit, milliseconds) }
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
            switch outcome {
            case .records, .revoked:
                next = (next + step + 1) % live.count
                return outcome
            case .nothingYet: silent.append(index)
            case .end: risen = true
            }
        }
        // Time may have come on because a source has fallen silent or ended: an empty batch of
        // another tells everybody.
        let isSilent = noteSilence()
        let waiting = members.indices.filter { !members[$0].hasEnded && !members[$0].isIdle }
        if isSilent, waiting.isEmpty { hasFallenSilent = true }
        if isSilent || risen, let index = waiting.first ?? members.indices.first {
            batch.sourceIndex = index
            batch.source = members[index].name
            return .records
        }
        return .nothingYet
    }

    /// Reads from the only source; when it has just fallen silent, an empty batch says so.
    private func readOnly(
        _ batch: Batch, _ limit: ReadLimit, _ milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        guard idleNanoseconds != nil else { return try readOne(0, batch, limit, milliseconds) }
        let began = monotonicNanoseconds()
        let outcome = try readOne(0, batch, limit, milliseconds)
        guard outcome == .nothingYet else { return outcome }
        members[0].silence += Int64(monotonicNanoseconds() - began)
        guard noteSilence() else { return outcome }
        hasFallenSilent = true
        batch.sourceIndex = 0
        batch.source = members[0].name
        return .records
    }

    /// True once after all sources have fallen silent.
    func takeSilence() -> Bool {
        defer { hasFallenSilent = false }
        return hasFallenSilent
    }

    private func readOne(
        _ index: Int, _ batch: Batch, _ limit: ReadLimit, _ milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        var limit = limit
        limit.bytes = min(limit.bytes, members[index].stepBytes)
        let outcome = try members[index].source.read(
            into: batch, limit: limit,
            milliseconds: members.count > 1 ? max(milliseconds, 1) : milliseconds)
        switch outcome {
        case .end: members[index].hasEnded = true
        case .nothingYet: break
        case .records:
            members[index].silence = 0
            members[index].isIdle = false
            batch.sourceIndex = index
            last = index
            if isStepwise, batch.lineCount > 0 { noteLength(batch, of: index) }
        case .revoked: last = index
        }
        return outcome
    }

    /// Lines have a length, by which the next step is measured.
    private func noteLength(_ batch: Batch, of index: Int) {
        let wanted = batch.bytes.count * SlicePacer.recordLimit * 15 / 16 / batch.lineCount
        members[index].stepBytes = max(SlicePacer.least, min(SlicePacer.most, wanted))
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

    /// The sources beside one that time waits for.
    func others(than index: Int) -> [Int] {
        guard members.count > 1 else { return [] }
        return members.indices.filter {
            $0 != index && !members[$0].hasEnded && !members[$0].isIdle
        }
    }

    /// Adds where the sources stand to a commit: that which was read last before `next`, when its
    /// batch is not done yet.
    func addEntries(before next: RecordPlace?, to draft: inout CommitDraft) {
        for (index, member) in members.enumerated() {
            member.source.addEntries(before: index == last ? next : nil, to: &draft)
        }
    }

    /// What was read of revoked partitions of the source that was read last is committed.
    func released(_ partitions: [String]) {
        if members.indices.contains(last) { members[last].source.released(partitions) }
    }
}
