internal import Connecting
internal import Glibc
internal import Records
internal import Scripting

/// Where reading stands in one open file: what was read but not yet delivered, and its place.
final class FileCursor {
    let shown: String
    /// Rows may be taken for whole that are not.
    var isCSV: Bool { framing is CSVFraming }
    /// The name that records carry.
    let name: String
    let path: String
    let format: TextFormat
    let context: RunContext
    let reader: ByteReader
    /// Finds records that are not simply lines; nil when they are.
    let framing: (any RecordFraming)?
    /// Bytes that do not make a whole record yet.
    var pending = ByteBuffer()
    /// So many of them are known to hold no end of a record.
    private var scanned = 0
    /// The record being passed over, of which nothing is pending.
    private var oversize: OversizeRecord?
    /// How many records the batch that is being filled can take.
    private var recordLimit: Int?
    /// Where `pending` begins.
    var place = TextPlace()
    /// The text is known to be UTF-8, and its mark is passed over.
    var isBegun = false
    /// So many bytes at the start of `pending` were delivered, before their line was whole.
    var continued = 0
    /// The last bytes of a packed text, from a batch before `place` on.
    var history = TextHistory()
    var head = FilePosition.Fingerprint()

    init(
        path: String, shown: String, name: String, format: TextFormat,
        framing: (any RecordFraming)?, context: RunContext
    ) throws(ConnectorError) {
        self.shown = shown
        self.name = name
        self.path = path
        self.format = format
        self.framing = framing
        self.context = context
        reader = try ByteReader(path: path, shown: shown, packing: format.packing)
    }

    // MARK: Reading

    /// Fills the batch with whole records; `end` when what is left is no whole one.
    func read(
        into batch: Batch, limit: ReadLimit, milliseconds: Int
    ) throws(ConnectorError) -> ByteReader.Outcome {
        begin(batch)
        recordLimit = limit.records
        if try takeLeftRecords(into: batch) { return .bytes }
        while true {
            let outcome = try fill(limit.bytes, milliseconds: milliseconds)
            guard case .bytes = outcome else { return outcome }
            guard try begins(isEnd: false) else { continue }
            if try takeRecords(into: batch, isEnd: false) { return .bytes }
        }
    }

    private func begin(_ batch: Batch) {
        batch.source = context.sourceName
        batch.file = name
        if reader.isPacked { history.forget(before: place.offset) }
    }

    private func fill(
        _ limit: Int, milliseconds: Int
    ) throws(ConnectorError) -> ByteReader.Outcome {
        let before = pending.count
        let outcome = try reader.read(into: &pending, limit: limit, milliseconds: milliseconds)
        if reader.isPacked { history.append(copyOf: pending, before..<pending.count) }
        return outcome
    }

    /// Looks at the first bytes of the file; false when more have to come first.
    private func begins(isEnd: Bool) throws(ConnectorError) -> Bool {
        if isBegun { return true }
        switch unsafe pending.withUnsafeBytes({ unsafe TextStart($0, isEnd: isEnd) }) {
        case .unknown: return false
        case .utf16: throw ConnectorError("\(shown): \(TextStart.utf16Problem)")
        case .text(let skipped):
            pending.removeFirst(skipped)
            place.offset += UInt64(skipped)
            isBegun = true
            return true
        }
    }

    /// What was read together with the end of an oversize record, or was more than the batch could
    /// take, is not kept waiting for more.
    private func takeLeftRecords(into batch: Batch) throws(ConnectorError) -> Bool {
        guard oversize == nil, scanned < pending.count, try begins(isEnd: false) else {
            return false
        }
        return try takeRecords(into: batch, isEnd: false)
    }

    /// Moves whole records from `pending` into the batch; false when there is none yet.
    private func takeRecords(into batch: Batch, isEnd: Bool) throws(ConnectorError) -> Bool {
        if let oversize { return skip(oversize, batch: batch, isEnd: isEnd) }
        let isTaken = try takeWholeRecords(into: batch, isEnd: isEnd)
        scanned = isTaken && recordLimit != nil ? 0 : pending.count
        guard !isTaken, pending.count > context.recordLimit else { return isTaken }
        return try giveUpRecord(batch, isEnd: isEnd)
    }

    private func giveUpRecord(_ batch: Batch, isEnd: Bool) throws(ConnectorError) -> Bool {
        var delimiter: UInt8?
        if let framing {
            switch try framing.giveUp(&pending, into: batch, at: &place) {
            case .given:
                scanned = 0
                return true
            case .waits:
                scanned = pending.count
                return false
            case .skipped(let found): delimiter = found
            }
        }
        continued = 0
        let record = OversizeRecord(
            pending, position: place.offset, line: place.line, delimiter: delimiter)
        return skip(record, batch: batch, isEnd: isEnd)
    }

    private func takeWholeRecords(into batch: Batch, isEnd: Bool) throws(ConnectorError) -> Bool {
        if let framing {
            return try framing.take(
                from: &pending, into: batch, at: &place, isEnd: isEnd, records: recordLimit)
        }
        if continued > 0, let isTaken = takeContinued(into: batch, isEnd: isEnd) { return isTaken }
        guard let end = lineEnd() else { return false }
        batch.position = place.offset
        batch.line = place.line
        // The bytes change hands, so that only what belongs to the next batch is copied.
        swap(&batch.bytes, &pending)
        pending.removeAll()
        pending.append(copyOf: batch.bytes, (end + 1)..<batch.bytes.count)
        batch.bytes.truncate(to: end + 1)
        batch.lineCount = Int(unsafe batch.bytes.withUnsafeBytes { unsafe countNewlines($0) })
        place.offset += UInt64(end + 1)
        place.line += UInt64(batch.lineCount)
        return true
    }

    /// The rest of a line that was delivered already; nil when nothing but its end has come.
    private func takeContinued(into batch: Batch, isEnd: Bool) -> Bool? {
        let end = unsafe pending.withUnsafeBytes { unsafe $0.firstIndex(of: 0x0A) }
        guard let end = end ?? (isEnd ? pending.count : nil) else { return false }
        let isOther = unsafe pending.withUnsafeBytes { bytes in
            unsafe bytes[min(continued, end)..<end].contains { $0 != 0x0D }
        }
        if isOther {
            unsafe pending.withUnsafeBytes { bytes in
                let line = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<end])
                unsafe batch.addContinued(line, delivered: continued, at: place)
            }
        }
        let used = min(end + 1, pending.count)
        pending.removeFirst(used)
        place.offset += UInt64(used)
        place.line += 1
        continued = 0
        scanned = 0
        return isOther ? true : nil
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
        place.offset = record.add(to: batch, limit: context.recordLimit)
        place.line += max(record.lineBreaks, 1)
        scanned = 0
        return true
    }

    // MARK: The end

    /// What stands behind the last whole record.
    enum Rest {
        /// Nothing but white space.
        case nothing
        /// A whole record, but for its line break.
        case record
        /// The start of a record.
        case part
    }

    /// What is left at the end of the text.
    func rest() throws(ConnectorError) -> Rest {
        if oversize != nil { return .part }
        guard pending.count > max(continued, framing?.continued ?? 0), try begins(isEnd: true)
        else { return .nothing }
        let isBlank = unsafe pending.withUnsafeBytes { unsafe $0.allSatisfy(JSONScan.isSpace) }
        if isBlank { return .nothing }
        if let json = framing as? JSONFraming { return json.isWhole ? .record : .part }
        if let csv = framing as? CSVFraming { return csv.isComment(pending[0]) ? .nothing : .part }
        guard continued == 0 else { return .part }
        let text = unsafe pending.withUnsafeBytes { unsafe Array($0) }
        var reader = JSONReader(text)
        return (try? reader.readDocument()) != nil ? .record : .part
    }

    /// Delivers what is left as the last record; its line break, or more of it, may follow yet.
    func takeRest(into batch: Batch) throws(ConnectorError) -> Bool {
        begin(batch)
        recordLimit = nil
        let isContinued = max(continued, framing?.continued ?? 0) > 0
        let start = place
        let length = pending.count
        let mayGoOn = oversize == nil && !isContinued && !(framing is JSONFraming)
        var kept = ByteBuffer()
        if mayGoOn { kept.append(copyOf: pending) }
        if framing == nil, mayGoOn { pending.append(0x0A) }
        guard try takeRecords(into: batch, isEnd: true) else { return false }
        let isAll = batch.entries.first.map {
            batch.entries.count == 1 && $0.position == start.offset
                && $0.originalLength + 1 >= UInt64(length)
        }
        if mayGoOn, pending.isEmpty, isAll ?? true {
            place = start
            pending = kept
            scanned = length
            setContinued(length)
        }
        return true
    }

    func setContinued(_ count: Int) {
        if let framing { framing.continued = count } else { continued = count }
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
