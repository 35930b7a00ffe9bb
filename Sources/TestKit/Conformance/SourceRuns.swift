public import Connecting
public import Records

/// A source over several runs that share what was committed, as a suite drives it.
public protocol SourceRuns: AnyObject {
    /// Begins a run where the last commit has left the source; the run before ends as if killed.
    func begin() throws
    /// Reads from the source of this run; see `Source.read`.
    func read(into batch: Batch, limit: ReadLimit, milliseconds: Int) throws -> SourceOutcome
    /// A commit is kept: all is done that stands before `next`, or all that was read. True when
    /// the source had something to say about it.
    func commit(before next: RecordPlace?) throws -> Bool
}

/// The runs of a source that goes on from positions.
public final class PositionedSource: SourceRuns {
    private let open: (Resumption) throws(ConnectorError) -> any Source
    private var source: (any Source)?
    private var committed: [String: [UInt8]] = [:]

    /// Takes what opens the source.
    public init(_ open: @escaping (Resumption) throws(ConnectorError) -> any Source) {
        self.open = open
    }

    /// Opens the source with the positions of the last commit.
    public func begin() throws {
        var resumption = Resumption()
        resumption.isKept = true
        resumption.positions = committed
        source = nil
        source = try open(resumption)
    }

    /// Reads from the source that is open.
    public func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws -> SourceOutcome {
        try source?.read(into: batch, limit: limit, milliseconds: milliseconds) ?? .end
    }

    /// Keeps the positions, and tells the source so.
    public func commit(before next: RecordPlace?) throws -> Bool {
        var positions: [SourcePosition] = []
        source?.takePositions(before: next) { name, position in
            positions.append(SourcePosition(name: name, position: position))
        }
        for place in positions { committed[place.name] = place.position }
        source?.kept(positions)
        return !positions.isEmpty
    }
}

/// What a source gave in one batch, and where a commit may end in it.
struct ReadBatch {
    /// A record as rules see it: its text, or why it is malformed, and what its id is made of.
    struct Row: Hashable, CustomStringConvertible {
        var text: String
        var file: String
        var position: UInt64
        var line: UInt64
        var description: String { "\(text) (\(file):\(line), at \(position))" }
    }

    var rows: [Row] = []
    /// What the engine gives as the place before each row, when the one before it is done.
    var places: [RecordPlace] = []
    var byteCount: Int

    init(_ batch: Batch) {
        byteCount = batch.bytes.count
        let bytes = unsafe batch.bytes.withUnsafeBytes { unsafe Array($0) }
        if batch.entries.isEmpty {
            addLines(of: bytes, batch)
        } else {
            let originals = unsafe batch.originals.withUnsafeBytes { unsafe Array($0) }
            for entry in batch.entries {
                let text =
                    entry.problem.isEmpty
                    ? String(decoding: bytes[entry.text], as: UTF8.self)
                    : "<\(String(decoding: originals[entry.problem], as: UTF8.self))>"
                add(text, batch, position: entry.position, line: entry.line)
                places.append(
                    RecordPlace(
                        position: entry.position, line: entry.line, index: places.count))
            }
        }
    }

    /// Blank lines are no records; a commit ends behind the line of a record.
    private mutating func addLines(of bytes: [UInt8], _ batch: Batch) {
        var start = 0
        var line = batch.line
        var place = RecordPlace(position: batch.position, line: line, index: 0)
        for index in bytes.indices where bytes[index] == 0x0A {
            let text = bytes[start..<index]
            if text.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) {
                places.append(place)
                add(
                    String(decoding: text, as: UTF8.self), batch,
                    position: batch.position + UInt64(start), line: line)
                place = RecordPlace(
                    position: batch.position + UInt64(index + 1), line: line + 1,
                    index: rows.count)
            }
            start = index + 1
            line += 1
        }
    }

    private mutating func add(_ text: String, _ batch: Batch, position: UInt64, line: UInt64) {
        rows.append(Row(text: text, file: batch.file, position: position, line: line))
    }
}
