internal import Connecting
internal import Records

/// A source as the intake reads it: a connector, a queue, or nothing but handlers.
protocol IntakeSource: AnyObject {
    /// Fills an empty batch; see `Source.read`.
    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome
    /// Adds where it stands to a commit: before `next`, a record of the last batch, or behind all
    /// that was read.
    func addEntries(before next: RecordPlace?, to draft: inout CommitDraft)
    /// What was read of revoked partitions is committed.
    func released(_ partitions: [String])
}

extension IntakeSource {
    func released(_ partitions: [String]) {}
}

/// A connector's source; its positions go into the commit under the source's name.
final class ConnectorSource: IntakeSource {
    private let source: any Source
    private let owner: String

    init(_ source: any Source, name: String) {
        self.source = source
        owner = "source \(name)"
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        try source.read(into: batch, limit: limit, milliseconds: milliseconds)
    }

    func addEntries(before next: RecordPlace?, to draft: inout CommitDraft) {
        var positions: [SourcePosition] = []
        source.takePositions(before: next) { name, position in
            positions.append(SourcePosition(name: name, position: position))
        }
        guard !positions.isEmpty else { return }
        for place in positions { draft.addPosition(owner, place.name, place.position) }
        let told = KeptPositions(source: source, positions: positions)
        draft.whenKept.append { told.tell() }
    }

    func released(_ partitions: [String]) { source.released(partitions) }
}

/// Positions on their way to the source that gave them, once they are kept.
private struct KeptPositions: @unchecked Sendable {  // `kept` may be called on any thread.
    let source: any Source
    let positions: [SourcePosition]

    func tell() { source.kept(positions) }
}
