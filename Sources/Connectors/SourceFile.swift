internal import Connecting
internal import Records

/// One file as the source knows it, whatever its name: the records that were read of it carry one
/// name from its start to its end.
final class SourceFile {
    /// The name under which it was first seen, and which file under that name it is.
    let base: String
    let generation: Int
    let framing: (any RecordFraming)?
    private let format: TextFormat
    /// Where it was last seen.
    private(set) var path: String
    private(set) var shown: String
    /// It was found in this run.
    var isLive = false
    /// Its path leads to another file now, or to none.
    var isAway = false
    /// Open, unless it is one of too many.
    var cursor: FileCursor?
    /// Where reading stands while it is not open.
    var position: FilePosition
    /// What the store knows of that.
    var told: [UInt8] = []
    /// How it was when it was looked at last.
    var status: FileStatus?
    /// Why it is left alone until it changes.
    var problem: String?
    /// It was said that its packed data is not whole.
    var hasToldEarlyEnd = false
    /// Waits to be read.
    var isQueued = false
    /// What has to be read before it: what stood under its path before.
    weak var predecessor: SourceFile?
    /// It was copied from this one, of which more may have been read since then.
    var original: SourceFile?

    init(
        base: String, _ position: FilePosition, _ found: FoundFile, _ format: TextFormat,
        _ framing: (any RecordFraming)?
    ) {
        self.base = base
        generation = position.generation
        self.position = position
        self.format = format
        self.framing = framing
        path = found.path
        shown = found.shown
    }

    /// The name that records carry.
    var name: String { generation == 1 ? base : "\(base)~\(generation)" }

    /// It stands there now.
    func move(to found: FoundFile) {
        path = found.path
        shown = found.shown
        position.shown = found.shown
    }

    /// Where reading stands, behind all that was read or before a record of the last batch.
    func place(before next: RecordPlace? = nil) -> FilePosition {
        cursor?.position(before: next, position) ?? position
    }

    func closeCursor() {
        guard let cursor else { return }
        position = cursor.position(before: nil, position)
        self.cursor = nil
    }

    /// Opens what stands at a path.
    func makeCursor(
        _ found: FoundFile, _ context: RunContext
    ) throws(ConnectorError) -> FileCursor {
        var format = format
        format.packing = TextFormat(name: found.shown).packing
        return try FileCursor(
            path: found.path, shown: found.shown, name: name, format: format, framing: framing,
            context: context)
    }

    /// Opens what stands at a path, when it is a file of which this much was read; else nil.
    func makeCursor(
        _ found: FoundFile, resumedAt position: FilePosition, _ context: RunContext
    ) throws(ConnectorError) -> FileCursor? {
        let cursor = try makeCursor(found, context)
        return try cursor.resume(at: position) ? cursor : nil
    }
}
