internal import Connecting
internal import Records

/// The source behind `ingest`: each record handed in is one entry of a batch.
final class IngestSource: Source {
    private let queue: IngestQueue
    private let doors: IngestDoors
    private let name: String
    /// What stands before the number in the id of a record.
    private let file: String
    private let isKept: Bool
    /// Records that were ever read, also by earlier runs on the same store.
    private var count: UInt64
    private var told: UInt64

    init(_ doors: IngestDoors, context: RunContext) {
        self.doors = doors
        name = context.sourceName
        file = name == "source" ? "ingest" : name
        queue = doors.open(name)
        isKept = context.resumption.isKept
        // Records of an earlier run are not these: they have names of their own.
        let place = context.resumption.positions["records"] ?? []
        count = UInt64(String(decoding: place, as: UTF8.self)) ?? 0
        told = count
    }

    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> SourceOutcome {
        batch.source = name
        batch.file = file
        queue.wait(milliseconds: milliseconds)
        queue.take(from: count, isKept: isKept) { json in
            add(json, to: batch)
            return batch.bytes.count < limit.bytes && batch.entries.count < limit.records ?? .max
        }
        if !batch.entries.isEmpty { return .records }
        guard queue.isFinished else { return .nothingYet }
        // Everything before this call has been run, so the rest of the run may be asked to end.
        return doors.noteFinished(name) ? .nothingYet : .end
    }

    func takePositions(
        before next: RecordPlace?, _ body: (_ name: String, _ position: [UInt8]) -> Void
    ) {
        let position = next?.position ?? count
        guard position != told else { return }
        told = position
        body("records", Array("\(position)".utf8))
    }

    func kept(_ positions: [SourcePosition]) {
        for place in positions {
            if let position = UInt64(String(decoding: place.position, as: UTF8.self)) {
                queue.kept(before: position)
            }
        }
    }

    private func add(_ json: [UInt8], to batch: Batch) {
        let start = batch.bytes.count
        unsafe json.withUnsafeBytes { unsafe batch.bytes.append($0) }
        unsafe json.withUnsafeBytes { unsafe batch.originals.append($0) }
        let range = start..<batch.bytes.count
        batch.entries.append(
            Batch.Entry(
                text: range, original: range, problem: 0..<0, position: count, line: count + 1,
                originalLength: UInt64(json.count)))
        count += 1
    }
}
