internal import Connecting
internal import Glibc
internal import Records
internal import Scripting

/// Where reading stands in one file: what was read but not yet delivered, and its place.
final class FileCursor {
    let path: String
    let shown: String
    private let context: RunContext
    private(set) var reader: ByteReader
    /// Bytes that do not make a whole record yet.
    private var pending = ByteBuffer()
    /// So many of them are known to hold no end of a record.
    private var scanned = 0
    /// The record being passed over, of which nothing is pending.
    private var oversize: OversizeRecord?
    /// How many records the batch that is being filled can take.
    private var recordLimit: Int?
    private var position: UInt64 = 0
    private var line: UInt64 = 1
    private var generation = 1
    private let csv: CSVFraming?
    /// The last record lacked its line break, which may follow yet.
    private var isUnterminated = false
    private var fingerprint = FilePosition.Fingerprint()

    init(path: String, shown: String, csv: CSVFraming?, context: RunContext) throws(ConnectorError)
    {
        self.path = path
        self.shown = shown
        self.csv = csv
        self.context = context
        reader = try ByteReader(path: path, shown: shown)
    }

    /// The name that records carry; a file that was rotated in has a name of its own.
    private var name: String { generation == 1 ? shown : "\(shown)~\(generation)" }

    /// Fills the batch with whole records.
    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> ByteReader.Outcome {
        recordLimit = limit.records
        batch.source = context.sourceName
        batch.file = name
        if try takeLeftRecords(into: batch) { return .bytes }
        while true {
            let outcome = try reader.read(
                into: &pending, limit: limit.bytes, milliseconds: milliseconds)
            switch outcome {
            case .nothingYet: return .nothingYet
            case .end: return try finishText(batch) ? .bytes : .end
            case .bytes: break
            }
            if try takeRecords(into: batch, isEnd: false) { return .bytes }
        }
    }

    /// Like `read`, for a file that may still grow: its end is not the end of a record.
    func readGrowing(
        into batch: Batch, limit: ReadLimit
    ) throws(ConnectorError) -> ByteReader.Outcome {
        recordLimit = limit.records
        batch.source = context.sourceName
        batch.file = name
        if try takeLeftRecords(into: batch) { return .bytes }
        while true {
            let outcome = try reader.read(into: &pending, limit: limit.bytes, milliseconds: 0)
            guard case .bytes = outcome else { return outcome }
            if try takeRecords(into: batch, isEnd: false) { return .bytes }
        }
    }

    /// What was read together with the end of an oversize record, or was more than the batch could
    /// take, is not kept waiting for more.
    private func takeLeftRecords(into batch: Batch) throws(ConnectorError) -> Bool {
        guard oversize == nil, scanned < pending.count else { return false }
        return try takeRecords(into: batch, isEnd: false)
    }

    /// What is left at the end of the text is a record, too.
    private func finishText(_ batch: Batch) throws(ConnectorError) -> Bool {
        guard oversize != nil || !pending.isEmpty else { return false }
        if csv == nil && oversize == nil {
            pending.append(0x0A)
            isUnterminated = true
        }
        return try takeRecords(into: batch, isEnd: true)
    }

    /// Moves whole records from `pending` into the batch; false when there is none yet.
    private func takeRecords(into batch: Batch, isEnd: Bool) throws(ConnectorError) -> Bool {
        if let oversize { return skip(oversize, batch: batch, isEnd: isEnd) }
        let isTaken = try takeWholeRecords(into: batch, isEnd: isEnd)
        scanned = isTaken && recordLimit != nil ? 0 : pending.count
        guard !isTaken, pending.count > context.recordLimit else { return isTaken }
        if csv?.hasHeader == false {
            throw ConnectorError(
                "\(shown):1: the header is longer than the record limit of "
                    + "\(context.recordLimit) bytes")
        }
        let record = OversizeRecord(
            pending, position: position, line: line, delimiter: csv?.delimiter)
        return skip(record, batch: batch, isEnd: isEnd)
    }

    private func takeWholeRecords(into batch: Batch, isEnd: Bool) throws(ConnectorError) -> Bool {
        if let csv {
            return try csv.take(
                from: &pending, into: batch, position: &position, line: &line, isEnd: isEnd,
                records: recordLimit)
        }
        guard let end = lineEnd() else { return false }
        batch.position = position
        batch.line = line
        // The bytes change hands, so that only what belongs to the next batch is copied.
        swap(&batch.bytes, &pending)
        pending.removeAll()
        pending.append(copyOf: batch.bytes, (end + 1)..<batch.bytes.count)
        batch.bytes.truncate(to: end + 1)
        batch.lineCount = Int(unsafe batch.bytes.withUnsafeBytes { unsafe countNewlines($0) })
        position += UInt64(end + 1)
        line += UInt64(batch.lineCount)
        return true
    }

    /// Where the last line ends that the batch can take.
    private func lineEnd() -> Int? {
        guard let recordLimit else { return lastNewline(from: scanned) }
        return unsafe pending.withUnsafeBytes { bytes in
            unsafe lastLineEnd(of: bytes, limit: recordLimit)
        }
    }

    private func lastNewline(from start: Int) -> Int? {
        unsafe pending.withUnsafeBytes { bytes in
            var index = bytes.count - 1
            while index >= start {
                if unsafe bytes[index] == 0x0A { return index }
                index -= 1
            }
            return nil
        }
    }

    /// Passes over a record that is longer than it may be, as far as it has been read.
    private func skip(_ record: OversizeRecord, batch: Batch, isEnd: Bool) -> Bool {
        var record = record
        let isWhole = record.skip(&pending)
        oversize = isWhole || isEnd ? nil : record
        guard isWhole || isEnd else { return false }
        position = record.add(to: batch, limit: context.recordLimit)
        line += max(record.lineBreaks, 1)
        scanned = 0
        return true
    }

    // MARK: Resuming

    /// Where the next record begins that is not done: `next` when it was read already.
    func place(before next: RecordPlace?) -> FilePosition {
        if let next {
            fingerprint.grow(reader.descriptor, to: path == "-" ? 0 : next.position)
            return FilePosition(
                offset: next.position, line: next.line, generation: generation,
                fingerprint: fingerprint)
        }
        let missing: UInt64 = isUnterminated ? 1 : 0
        if path != "-" { fingerprint.grow(reader.descriptor, to: position - missing) }
        return FilePosition(
            offset: position - missing, line: line - missing, generation: generation,
            fingerprint: fingerprint)
    }

    /// Goes on behind what an earlier run has read, or begins anew when it is another file.
    func resume(at place: FilePosition) throws(ConnectorError) {
        generation = place.generation
        if path == "-" {
            // Another stream; its records must not have the names of those that came before.
            position = place.offset
            line = place.line
            return
        }
        guard place.fingerprint.matches(reader.descriptor) else {
            generation += 1
            return
        }
        fingerprint = place.fingerprint
        if let csv, place.offset > 0 {
            let start = try ByteReader(path: path, shown: shown)
            try csv.readHeader(start, recordLimit: context.recordLimit)
        }
        position = place.offset
        line = place.line
        try reader.skip(place.offset)
    }

    // MARK: Following

    /// At the end of a followed file: has it been replaced or cut?
    func followRotation() throws(ConnectorError) -> Bool {
        var opened = stat()
        var named = stat()
        guard unsafe fstat(reader.descriptor, &opened) == 0 else { return false }
        guard unsafe stat(path, &named) == 0 else { return false }
        let offset = lseek(reader.descriptor, 0, SEEK_CUR)
        if named.st_ino != opened.st_ino || named.st_dev != opened.st_dev {
            reader = try ByteReader(path: path, shown: shown)
        } else if opened.st_size < offset {
            lseek(reader.descriptor, 0, SEEK_SET)
        } else {
            return false
        }
        generation += 1
        isUnterminated = false
        fingerprint = FilePosition.Fingerprint()
        pending.removeAll()
        scanned = 0
        oversize = nil
        position = 0
        line = 1
        return true
    }

    /// The rest of a file that was rotated away is its last record.
    func takeRest(into batch: Batch) throws(ConnectorError) -> Bool {
        batch.source = context.sourceName
        batch.file = name
        return try finishText(batch)
    }

    /// Begins at the end of the file instead of its start.
    func skipToEnd() {
        let end = lseek(reader.descriptor, 0, SEEK_END)
        if end > 0 { position = UInt64(end) }
    }

    /// True when the file at the path is no longer the one that is open, or was cut.
    var isReplaced: Bool {
        var opened = stat()
        var named = stat()
        guard unsafe fstat(reader.descriptor, &opened) == 0, unsafe stat(path, &named) == 0 else {
            return false
        }
        return named.st_ino != opened.st_ino || named.st_dev != opened.st_dev
            || opened.st_size < lseek(reader.descriptor, 0, SEEK_CUR)
    }
}

/// How many lines end in these bytes.
func countNewlines(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    UInt64(unsafe newlineCount(of: bytes))
}

/// Where the last of up to `limit` lines ends: at its line break; nil when none ends.
private func lastLineEnd(of bytes: UnsafeRawBufferPointer, limit: Int) -> Int? {
    guard let start = bytes.baseAddress else { return nil }
    var at = 0
    for _ in 0..<limit {
        guard let found = unsafe memchr(start + at, 0x0A, bytes.count - at) else { break }
        at = unsafe UnsafeRawPointer(found) - start + 1
    }
    return at > 0 ? at - 1 : nil
}
