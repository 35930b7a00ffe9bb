internal import Connecting
internal import Definitions
internal import Engine
internal import Records
internal import Scripting

/// A record as a source gave it, to be looked at once more.
struct FoundRecord {
    /// One record.
    let batch: Batch
    /// Where it was found: `the dead letters`.
    var place: String
    /// What it became, if that was a dead letter.
    var letter: DeadLetter?

    var line: UInt64 { batch.entries.first?.line ?? batch.line }
    var position: UInt64 { batch.entries.first?.position ?? batch.position }

    /// The record's JSON text, or what the source gave when there is none.
    var text: [UInt8] {
        let bytes = unsafe batch.bytes.withUnsafeBytes { unsafe Array($0) }
        let originals = unsafe batch.originals.withUnsafeBytes { unsafe Array($0) }
        guard let entry = batch.entries.first else {
            return bytes.last == 0x0A ? Array(bytes.dropLast()) : bytes
        }
        return entry.text.isEmpty ? Array(originals[entry.original]) : Array(bytes[entry.text])
    }

    /// The record's value; nil when it is malformed.
    var value: Value? {
        var reader = JSONReader(text)
        return try? reader.readDocument()
    }
}

/// Looks for a record by its id, and remembers where it has looked.
struct RecordFinder {
    let definition: Definition
    let letters: [DeadLetter]
    let chunks: [RecordRing.Chunk]
    private(set) var looked: [String] = []

    init(_ definition: Definition, letters: [DeadLetter], chunks: [RecordRing.Chunk]?) {
        self.definition = definition
        self.letters = letters
        self.chunks = chunks ?? []
        let count = letters.count
        looked.append(count == 1 ? "1 dead letter" : "\(count) dead letters")
        if let chunks {
            let recent = chunks.reduce(0) { $0 + $1.count }
            looked.append("the last \(recent) records of the running pipeline")
        }
    }

    /// The newest record with an id; nil when there is none.
    mutating func find(_ id: String) -> FoundRecord? {
        findLetter(id) ?? findRecent(id) ?? findInSources(id)
    }

    /// `in.jsonl:1234` as a file and a place in it.
    static func place(_ id: String) -> (file: String, position: UInt64)? {
        guard let colon = id.lastIndex(of: ":"),
            let position = UInt64(id[id.index(after: colon)...]), colon > id.startIndex
        else { return nil }
        return (String(id[..<colon]), position)
    }

    private func findLetter(_ id: String) -> FoundRecord? {
        guard let letter = letters.last(where: { $0.id == id }) else { return nil }
        let batch = Batch()
        batch.fill([letter], sources: definition.sources)
        return FoundRecord(batch: batch, place: "the dead letters", letter: letter)
    }

    private func findRecent(_ id: String) -> FoundRecord? {
        for chunk in chunks.reversed() {
            var found: Batch?
            chunk.forEachRecord { batch in
                if Self.id(of: batch) == id { found = batch.copied() }
            }
            if let found {
                return FoundRecord(batch: found, place: "the last records of the running pipeline")
            }
        }
        return nil
    }

    /// What `meta.id` is of the only record in a batch.
    private static func id(of batch: Batch) -> String {
        guard let entry = batch.entries.first else { return "\(batch.file):\(batch.position)" }
        if entry.id.isEmpty { return "\(batch.file):\(entry.position)" }
        return unsafe batch.originals.withUnsafeBytes {
            unsafe String(decoding: $0[entry.id], as: UTF8.self)
        }
    }

    // MARK: Files

    private mutating func findInSources(_ id: String) -> FoundRecord? {
        guard let (file, position) = Self.place(id) else {
            looked.append("no file, since the id is not FILE:POSITION")
            return nil
        }
        let paths = [resolve(file, in: definition.folder), file]
        guard let path = paths.first(where: { exists($0) && !isFolder($0) }) else {
            looked.append("no file \(file), since there is none")
            return nil
        }
        for (index, source) in definition.sources.enumerated() where source.queue == nil {
            guard let batch = read(path, position, source) else { continue }
            batch.file = file
            batch.source = source.name
            batch.sourceIndex = index
            return FoundRecord(batch: batch, place: "the file")
        }
        looked.append("the file \(file), in which no record begins at byte \(position)")
        return nil
    }

    /// Reads a file as the source would, up to the record that begins at a place.
    private func read(_ path: String, _ position: UInt64, _ source: SourceDefinition) -> Batch? {
        let context = RunContext(
            folder: definition.folder, once: true, inputs: [path],
            recordLimit: definition.limits.record, sourceName: source.name)
        guard let reader = try? source.open(context) else { return nil }
        let batch = Batch()
        while true {
            batch.removeAll()
            guard
                let outcome = try? reader.read(
                    into: batch, limit: ReadLimit(bytes: SlicePacer.most), milliseconds: 0),
                case .records = outcome,
                // A source that has no files takes none.
                batch.file == path
            else { return nil }
            let first = batch.entries.first?.position ?? batch.position
            if first > position { return nil }
            if let found = batch.record(at: position) { return found }
        }
    }
}

extension Batch {
    /// The record that begins at a place of the source, in a batch of its own.
    fileprivate func record(at position: UInt64) -> Batch? {
        let bytes = unsafe self.bytes.withUnsafeBytes { unsafe Array($0) }
        let result = Batch()
        if entries.isEmpty {
            guard position >= self.position, position - self.position < UInt64(bytes.count) else {
                return nil
            }
            let start = Int(position - self.position)
            guard start == 0 || bytes[start - 1] == 0x0A else { return nil }
            let end = bytes[start...].firstIndex(of: 0x0A).map { $0 + 1 } ?? bytes.count
            result.bytes.append(contentsOf: bytes[start..<end])
            result.position = position
            result.line = line + UInt64(bytes[..<start].count { $0 == 0x0A })
            return result
        }
        guard let entry = entries.first(where: { $0.position == position }) else { return nil }
        let originals = unsafe self.originals.withUnsafeBytes { unsafe Array($0) }
        result.add(entry, bytes: bytes, originals: originals)
        return result
    }

    fileprivate func copied() -> Batch {
        let result = Batch()
        result.source = source
        result.sourceIndex = sourceIndex
        result.file = file
        result.position = position
        result.line = line
        unsafe bytes.withUnsafeBytes { unsafe result.bytes.append($0) }
        unsafe originals.withUnsafeBytes { unsafe result.originals.append($0) }
        result.entries = entries
        return result
    }
}
