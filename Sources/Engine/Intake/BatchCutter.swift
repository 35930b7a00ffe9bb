internal import Glibc
internal import Records

/// Cuts what a source gave at once into batches for several lanes.
///
/// Sources are read in the same steps whatever the number of lanes, so that several of them come in
/// the same turns; only then is it divided into what a lane can do within a slice.
final class BatchCutter {
    private let whole = Batch()
    /// Where the next piece begins: a byte, or an entry; and how many records come before it.
    private var offset = 0
    private var line: UInt64 = 1
    private var index = 0

    /// What the source fills once everything is cut.
    func begin() -> Batch {
        whole.removeAll()
        offset = 0
        index = 0
        return whole
    }

    /// The source has filled it.
    func start() { line = whole.line }

    /// True when all of it was cut.
    var isEmpty: Bool {
        whole.entries.isEmpty ? offset >= whole.bytes.count : offset >= whole.entries.count
    }

    /// Where the first record stands that was not cut; nil when there is none.
    var next: RecordPlace? {
        guard !isEmpty else { return nil }
        guard whole.entries.isEmpty else {
            let entry = whole.entries[offset]
            return RecordPlace(position: entry.position, line: entry.line, index: offset)
        }
        return RecordPlace(position: whole.position + UInt64(offset), line: line, index: index)
    }

    /// Moves the next records into an empty batch: about so many bytes, at most so many records,
    /// and at least one.
    func cut(into batch: Batch, bytes: Int, records: Int) {
        batch.source = whole.source
        batch.sourceIndex = whole.sourceIndex
        batch.file = whole.file
        if whole.entries.isEmpty {
            cutLines(into: batch, bytes, records)
        } else {
            cutEntries(into: batch, bytes, records)
        }
    }

    private func cutLines(into batch: Batch, _ bytes: Int, _ records: Int) {
        batch.position = whole.position + UInt64(offset)
        batch.line = line
        if offset == 0, whole.lineCount > 0, whole.lineCount <= records, whole.bytes.count <= bytes
        {
            batch.lineCount = whole.lineCount
            swap(&batch.bytes, &whole.bytes)
            whole.bytes.removeAll()
            return
        }
        var end = offset
        var count = 0
        unsafe whole.bytes.withUnsafeBytes { text in
            while end < text.count, count == 0 || (end - offset < bytes && count < records) {
                end = unsafe lineEnd(text, from: end)
                count += 1
            }
        }
        batch.bytes.append(copyOf: whole.bytes, offset..<end)
        batch.lineCount = count
        offset = end
        line += UInt64(count)
        index += count
    }

    private func cutEntries(into batch: Batch, _ bytes: Int, _ records: Int) {
        while !isEmpty, batch.entries.count < records,
            batch.entries.isEmpty || batch.bytes.count < bytes
        {
            batch.append(whole.entries[offset], of: whole)
            offset += 1
        }
        index = offset
    }
}

/// Behind the line break of the line that begins there, or behind all of the text.
private func lineEnd(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
    guard let base = text.baseAddress else { return text.count }
    guard let found = unsafe memchr(base + start, 0x0A, text.count - start) else {
        return text.count
    }
    return unsafe UnsafeRawPointer(found) - base + 1
}

extension Batch {
    /// Adds a record of another batch.
    func append(_ entry: Entry, of other: Batch) {
        func move(_ range: Range<Int>) -> Range<Int> {
            guard !range.isEmpty else { return 0..<0 }
            let start = originals.count
            originals.append(copyOf: other.originals, range)
            return start..<originals.count
        }
        var copy = entry
        let start = bytes.count
        bytes.append(copyOf: other.bytes, entry.text)
        copy.text = start..<bytes.count
        copy.original = move(entry.original)
        copy.problem = move(entry.problem)
        copy.id = move(entry.id)
        copy.headers = move(entry.headers)
        entries.append(copy)
    }
}
