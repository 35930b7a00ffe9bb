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
    private let name: String
    private let path: String
    private let format: TextFormat
    private let context: RunContext
    let reader: ByteReader
    /// Finds records that are not simply lines; nil when they are.
    private let framing: (any RecordFraming)?
    /// Bytes that do not make a whole record yet.
    private var pending = ByteBuffer()
    /// So many of them are known to hold no end of a record.
    private var scanned = 0
    /// The record being passed over, of which nothing is pending.
    private var oversize: OversizeRecord?
    /// How many records the batch that is being filled can take.
    private var recordLimit: Int?
    /// Where `pending` begins.
    private var place = TextPlace()
    /// The text is known to be UTF-8, and its mark is passed over.
    private var isBegun = false
    /// So many bytes at the start of `pending` were delivered, before their line was whole.
    private var continued = 0
    /// The last bytes of a packed text, from a batch before `place` on.
    private var history = TextHistory()
    private var head = FilePosition.Fingerprint()

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

    private func setContinued(_ count: Int) {
        if let framing { framing.continued = count } else { continued = count }
    }

    // MARK: Places

    /// Where the next record begins that is not done: `next` when it was read already.
    func position(before next: RecordPlace?, _ known: FilePosition) -> FilePosition {
        var position = known
        position.isOld = false
        let delivered = next == nil ? UInt64(max(continued, framing?.continued ?? 0)) : 0
        position.offset = next?.position ?? place.offset + delivered
        position.line = next?.line ?? place.line
        position.delivered = delivered
        position.identity = reader.opened.identity
        position.isInList = (framing as? JSONFraming)?.isInList(at: position.offset) ?? false
        guard reader.opened.isRegular else { return position }
        position.head = fingerprintOfHead(position.offset)
        position.tail = FilePosition.Fingerprint(
            reader.isPacked
                ? history.bytes(before: position.offset) : reader.bytes(before: position.offset))
        return position
    }

    private func fingerprintOfHead(_ read: UInt64) -> FilePosition.Fingerprint {
        let wanted = min(read, UInt64(ByteReader.probeLength))
        if head.length != wanted {
            head = FilePosition.Fingerprint(
                reader.isPacked
                    ? Array(history.head.prefix(Int(wanted)))
                    : reader.bytes(from: 0, count: Int(wanted)))
        }
        return head
    }

    /// Goes on at a place that was reached before, also in another run. False when what stands
    /// before it is not what was read; then the cursor cannot be used.
    func resume(at position: FilePosition) throws(ConnectorError) -> Bool {
        let start = position.offset - position.delivered
        if reader.isPacked {
            guard try unpack(to: position) else { return false }
        } else {
            guard reader.opened.size >= position.offset, hasStart(position),
                position.tail.length == 0
                    || FilePosition.Fingerprint(reader.bytes(before: position.offset))
                        == position.tail
            else { return false }
            reader.seek(to: start)
        }
        if start > 0 { try prepareFraming() }
        place = TextPlace(offset: start, line: position.line)
        isBegun = start > 0
        setContinued(Int(position.delivered))
        (framing as? JSONFraming)?.resume(isInList: position.isInList)
        return true
    }

    /// What an earlier stream under this name gave must not get its names again.
    func nameBehind(_ position: FilePosition) {
        place = TextPlace(offset: position.offset, line: position.line)
    }

    /// Learns what the start of the file says about rows that come later.
    private func prepareFraming() throws(ConnectorError) {
        guard let framing, !framing.isPrepared else { return }
        let start = try FileCursor(
            path: path, shown: shown, name: name, format: format, framing: framing,
            context: context)
        let batch = Batch()
        framing.isRepeated = true
        defer { framing.isRepeated = false }
        while !framing.isPrepared {
            batch.removeAll()
            let outcome = try start.read(
                into: batch, limit: ReadLimit(bytes: 64 << 10), milliseconds: 0)
            guard case .bytes = outcome else { break }
        }
        framing.restart()
    }

    private func hasStart(_ position: FilePosition) -> Bool {
        position.head.length == 0
            || FilePosition.Fingerprint(reader.bytes(from: 0, count: Int(position.head.length)))
                == position.head
    }

    /// All that the file holds is the start of what was read of another, as far as that is known.
    func isStart(of position: FilePosition) throws(ConnectorError) -> Bool {
        if reader.isPacked {
            _ = try unpack(to: position)
            return false
        }
        guard reader.opened.size < position.offset else { return false }
        return reader.opened.size < position.head.length || hasStart(position)
    }

    private func unpack(to position: FilePosition) throws(ConnectorError) -> Bool {
        if position.isOld, !hasStart(position) { return false }
        let start = position.offset - position.delivered
        var text = ByteBuffer()
        while history.end < position.offset {
            text.removeAll()
            let step = Int(min(position.offset - history.end, 256 << 10))
            let outcome = try reader.read(into: &text, limit: step, milliseconds: 1000)
            guard case .bytes = outcome else {
                // Somebody may be about to write it once more.
                if reader.endsEarly || history.end == 0 {
                    throw ConnectorError("\(shown): the packed data ends too early")
                }
                return false
            }
            history.forget(before: min(history.end, start))
            history.append(copyOf: text, 0..<text.count)
        }
        guard position.isOld || (
            FilePosition.Fingerprint(Array(history.head.prefix(Int(position.head.length))))
                == position.head
                && FilePosition.Fingerprint(history.bytes(before: position.offset))
                    == position.tail)
        else { return false }
        pending.append(contentsOf: history.bytes(from: start, to: position.offset))
        return true
    }

    /// Goes behind all that the file holds now but a line that has no end yet.
    func passOver() throws(ConnectorError) {
        let batch = Batch()
        if framing == nil, !reader.isPacked, reader.opened.isRegular {
            passLines()
            return
        }
        while true {
            batch.removeAll()
            let outcome = try read(
                into: batch, limit: ReadLimit(bytes: 256 << 10), milliseconds: 0)
            guard case .bytes = outcome else { return }
        }
    }

    private func passLines() {
        var end = reader.opened.size
        while end > 0 {
            let start = end - min(end, 64 << 10)
            let bytes = reader.bytes(from: start, count: Int(end - start))
            if let last = bytes.lastIndex(of: 0x0A) {
                place.offset = start + UInt64(last) + 1
                isBegun = true
                reader.seek(to: place.offset)
                return
            }
            end = start
        }
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
