internal import Glibc
internal import Records
internal import Scripting
internal import Stages

/// Where reading stands in one file: what was read but not yet delivered, and its place.
final class FileCursor {
    let path: String
    let shown: String
    private let context: RunContext
    private(set) var reader: ByteReader
    /// Bytes that do not make a whole record yet.
    private var pending = ByteBuffer()
    private var position: UInt64 = 0
    private var line: UInt64 = 1
    private var generation = 1
    private let csv: CSVFraming?

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
        into batch: Batch, limit: Int, milliseconds: Int
    ) throws(ConnectorError) -> ByteReader.Outcome {
        batch.source = context.sourceName
        batch.file = name
        while true {
            let scanned = pending.count
            let outcome = try reader.read(into: &pending, limit: limit, milliseconds: milliseconds)
            switch outcome {
            case .nothingYet: return .nothingYet
            case .end: return try finishText(batch) ? .bytes : .end
            case .bytes: break
            }
            if try takeRecords(into: batch, scanned: scanned, isEnd: false) { return .bytes }
        }
    }

    /// Like `read`, for a file that may still grow: its end is not the end of a record.
    func readGrowing(into batch: Batch, limit: Int) throws(ConnectorError) -> ByteReader.Outcome {
        batch.source = context.sourceName
        batch.file = name
        while true {
            let scanned = pending.count
            let outcome = try reader.read(into: &pending, limit: limit, milliseconds: 0)
            guard case .bytes = outcome else { return outcome }
            if try takeRecords(into: batch, scanned: scanned, isEnd: false) { return .bytes }
        }
    }

    /// What is left at the end of the text is a record, too.
    private func finishText(_ batch: Batch) throws(ConnectorError) -> Bool {
        guard !pending.isEmpty else { return false }
        if csv == nil { pending.append(0x0A) }
        return try takeRecords(into: batch, scanned: 0, isEnd: true)
    }

    /// Moves whole records from `pending` into the batch; false when there is none yet.
    private func takeRecords(
        into batch: Batch, scanned: Int, isEnd: Bool
    ) throws(ConnectorError) -> Bool {
        if let csv {
            let taken = try csv.take(
                from: &pending, into: batch, position: &position, line: &line, isEnd: isEnd)
            if !taken && pending.count > context.recordLimit {
                return try skipLine(batch, from: 0)
            }
            return taken
        }
        guard let end = lastNewline(from: scanned) else {
            return pending.count > context.recordLimit ? try skipLine(batch, from: 0) : false
        }
        batch.position = position
        batch.line = line
        unsafe pending.withUnsafeBytes { bytes in
            unsafe batch.bytes.append(UnsafeRawBufferPointer(rebasing: bytes[...end]))
        }
        pending.removeFirst(end + 1)
        position += UInt64(end + 1)
        line += unsafe batch.bytes.withUnsafeBytes { unsafe countNewlines($0) }
        return true
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

    /// A line that is longer than a record may be: its start is kept, the rest is passed over.
    private func skipLine(_ batch: Batch, from start: Int) throws(ConnectorError) -> Bool {
        let kept = keptPrefix()
        let keptCount = kept.count
        var total = UInt64(0)
        let startLine = line
        var isFinished = false
        while !isFinished {
            let newline = unsafe pending.withUnsafeBytes { bytes -> Int? in
                guard let base = bytes.baseAddress,
                    let found = unsafe memchr(base, 0x0A, bytes.count)
                else { return nil }
                return unsafe UnsafeRawPointer(found) - base
            }
            total += UInt64(newline ?? pending.count)
            pending.removeFirst(newline.map { $0 + 1 } ?? pending.count)
            if newline != nil { break }
            switch try reader.read(into: &pending, limit: 256 << 10, milliseconds: 1000) {
            case .end: isFinished = true
            case .nothingYet, .bytes: break
            }
        }
        let problem =
            "line of \(total) bytes is longer than the record limit of \(context.recordLimit) bytes"
        batch.originals.append(contentsOf: kept)
        batch.originals.append(contentsOf: problem.utf8)
        batch.entries.append(
            Batch.Entry(
                text: 0..<0, original: 0..<keptCount,
                problem: keptCount..<batch.originals.count, position: position, line: startLine,
                originalLength: total))
        position += total + 1
        line += 1
        return true
    }

    /// The first 64 KiB of what is pending, cut between characters, which have four bytes at most.
    private func keptPrefix() -> [UInt8] {
        unsafe pending.withUnsafeBytes { bytes in
            var count = min(64 << 10, bytes.count)
            let least = max(0, count - 3)
            while count > least, count < bytes.count, unsafe bytes[count] & 0xC0 == 0x80 {
                count -= 1
            }
            return unsafe [UInt8](bytes[..<count])
        }
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
        pending.removeAll()
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

    /// True when the file at the path is no longer the one that is open.
    var isReplaced: Bool {
        var opened = stat()
        var named = stat()
        guard unsafe fstat(reader.descriptor, &opened) == 0, unsafe stat(path, &named) == 0 else {
            return false
        }
        return named.st_ino != opened.st_ino || named.st_dev != opened.st_dev
    }
}

/// How many lines end in these bytes.
func countNewlines(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    UInt64(unsafe newlineCount(of: bytes))
}
