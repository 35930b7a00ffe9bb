internal import Connecting
internal import Glibc
internal import Records

/// How CSV is read.
struct CSVOptions: Sendable, Hashable {
    var delimiter: UInt8 = 0x2C
    var header = CSVHeader.Rule.auto
    var infersTypes = false
    var nullValues: [String] = []
    /// Lines that begin with it are none.
    var comment: UInt8?
    /// Lines at the start of the file that are none.
    var skip = 0
}

/// Turns CSV rows (RFC 4180) into JSON objects: the first row names the fields, and every field is
/// a string unless types are inferred.
final class CSVFraming: RecordFraming {
    private let options: CSVOptions
    private let shown: String
    private let recordLimit: Int
    private let warn: (String) -> Void
    private let cells: CSVCells
    /// The field names as JSON texts with their colon, once the header was read.
    private var names: [[UInt8]]?
    /// What ends lines; nil before the first line end was seen.
    private var lineEnd: UInt8?
    private var linesToSkip: Int
    /// No quote stands before this byte of what is pending, within a cell that one has opened.
    private var quoteFree: Int?
    /// Where the quoted cell begins that what is pending has not closed; nil without one.
    private var openQuote: Int?
    var continued = 0
    var isRepeated = false

    init(
        _ options: CSVOptions, shown: String, recordLimit: Int, warn: @escaping (String) -> Void
    ) {
        self.options = options
        self.shown = shown
        self.recordLimit = recordLimit
        self.warn = warn
        cells = CSVCells(infersTypes: options.infersTypes, nullValues: options.nullValues)
        linesToSkip = options.skip
        if case .names(let names) = options.header { self.names = names.map(Self.field) }
    }

    private static func field(_ name: String) -> [UInt8] { Value.string(name).json + [0x3A] }

    var isPrepared: Bool { names != nil && lineEnd != nil && linesToSkip == 0 }

    func restart() {
        quoteFree = nil
        continued = 0
    }

    /// A line that begins with this byte is no row.
    func isComment(_ byte: UInt8) -> Bool { byte == options.comment }

    func take(
        from pending: inout ByteBuffer, into batch: Batch, at place: inout TextPlace, isEnd: Bool,
        records: Int?
    ) throws(ConnectorError) -> Bool {
        if let quoteFree, !isEnd, quoteFree <= pending.count {
            let isOpen = unsafe pending.withUnsafeBytes { bytes in
                unsafe !bytes[quoteFree...].contains(0x22)
            }
            if isOpen {
                self.quoteFree = pending.count
                return false
            }
        }
        quoteFree = nil
        let start = place
        let used = try unsafe pending.withUnsafeBytes { (bytes) throws(ConnectorError) in
            try unsafe takeRows(bytes, into: batch, from: start, &place, isEnd, records ?? .max)
        }
        pending.removeFirst(used)
        if openQuote != nil { quoteFree = pending.count }
        return !batch.entries.isEmpty
    }

    private func takeRows(
        _ bytes: UnsafeRawBufferPointer, into batch: Batch, from start: TextPlace,
        _ place: inout TextPlace, _ isEnd: Bool, _ records: Int
    ) throws(ConnectorError) -> Int {
        guard unsafe findLineEnd(bytes, isEnd), let lineEnd else { return 0 }
        var used = 0
        var scanner = CSVScanner(delimiter: options.delimiter, lineEnd: lineEnd)
        defer { openQuote = scanner.openQuote }
        while batch.entries.count < records {
            place.offset = start.offset + UInt64(used)
            if let passed = unsafe lineToPass(bytes, from: used, isEnd) {
                guard passed > 0 else { break }
                used += passed
                place.line += 1
                continue
            }
            guard unsafe scanner.nextRow(bytes, from: used, isEnd: isEnd) else { break }
            if scanner.isUnclosed || isTooLong(scanner) {
                used = unsafe giveUpLine(bytes, from: used, lineEnd, into: batch, at: &place)
                continue
            }
            if !scanner.isBlank { try unsafe takeRow(scanner, bytes, into: batch, at: place) }
            used = scanner.next
            place.line += UInt64(scanner.lineBreaks)
        }
        place.offset = start.offset + UInt64(used)
        return used
    }

    private func findLineEnd(_ bytes: UnsafeRawBufferPointer, _ isEnd: Bool) -> Bool {
        if lineEnd != nil { return true }
        guard let first = unsafe bytes.first else { return false }
        let isText = linesToSkip == 0 && first != options.comment
        lineEnd = unsafe csvLineEnd(bytes, quotesCount: isText, isEnd: isEnd)
        if lineEnd == nil, bytes.count > recordLimit { lineEnd = 0x0A }
        return lineEnd != nil
    }

    /// The length of a line that is no row; 0 when its end has not come yet, nil for a row.
    private func lineToPass(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ isEnd: Bool
    ) -> Int? {
        guard start < bytes.count else { return nil }
        // A stray LF behind a CR belongs to the line before.
        if lineEnd == 0x0D, unsafe bytes[start] == 0x0A { return 1 }
        let isComment = unsafe bytes[start] == options.comment
        guard linesToSkip > 0 || isComment else { return nil }
        guard let end = unsafe bytes[start...].firstIndex(of: lineEnd ?? 0x0A) else {
            if isEnd { linesToSkip = 0 }
            return isEnd ? bytes.count - start : 0
        }
        linesToSkip = max(0, linesToSkip - 1)
        return end + 1 - start
    }

    private func isTooLong(_ scanner: CSVScanner) -> Bool {
        guard scanner.row.count > recordLimit else { return false }
        return scanner.cells.contains { $0.isQuoted && $0.range.count > recordLimit }
    }

    /// A quote has no end: the line in which it stands is a dead letter. Returns the next line.
    private func giveUpLine(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ lineEnd: UInt8, into batch: Batch,
        at place: inout TextPlace
    ) -> Int {
        let found = unsafe bytes[start...].firstIndex(of: lineEnd)
        var end = found ?? bytes.count
        if lineEnd == 0x0A, end > start, unsafe bytes[end - 1] == 0x0D { end -= 1 }
        unsafe batch.add(
            problem: "unbalanced quote: a cell that begins with one is never closed",
            of: UnsafeRawBufferPointer(rebasing: bytes[start..<end]), at: place)
        place.line += 1
        continued = 0
        return found.map { $0 + 1 } ?? bytes.count
    }

    func giveUp(
        _ pending: inout ByteBuffer, into batch: Batch, at place: inout TextPlace
    ) throws(ConnectorError) -> Oversize {
        guard names != nil else {
            throw ConnectorError(
                "\(shown):1: the header is longer than the record limit of \(recordLimit) bytes")
        }
        continued = 0
        guard let open = openQuote, let lineEnd else {
            return .skipped(delimiter: options.delimiter)
        }
        guard pending.count - open > recordLimit else { return .waits }
        var isFound = false
        let start = place
        let used = unsafe pending.withUnsafeBytes { bytes in
            isFound = unsafe bytes.contains(lineEnd)
            guard isFound else { return 0 }
            return unsafe giveUpLine(bytes, from: 0, lineEnd, into: batch, at: &place)
        }
        guard isFound else { return .skipped(delimiter: nil) }
        quoteFree = nil
        pending.removeFirst(used)
        place.offset = start.offset + UInt64(used)
        return .given
    }

    private func takeRow(
        _ scanner: CSVScanner, _ bytes: UnsafeRawBufferPointer, into batch: Batch,
        at place: TextPlace
    ) throws(ConnectorError) {
        guard let names else { return try unsafe readHeader(scanner, bytes) }
        let row = unsafe UnsafeRawBufferPointer(rebasing: bytes[scanner.row])
        if continued > 0 {
            defer { continued = 0 }
            if row.count > continued {
                unsafe batch.addContinued(row, delivered: continued, at: place)
            }
            return
        }
        var problem = ""
        if scanner.cells.count != names.count {
            problem = "row has \(scanner.cells.count) cells, the header has \(names.count)"
        } else if unsafe String(validating: row, as: UTF8.self) == nil {
            problem = "not valid UTF-8"
        }
        guard problem.isEmpty else { return unsafe batch.add(problem: problem, of: row, at: place) }
        let original = batch.originals.count
        unsafe batch.originals.append(row)
        let start = batch.bytes.count
        unsafe cells.write(scanner.cells, names, bytes, to: &batch.bytes)
        batch.entries.append(
            Batch.Entry(
                text: start..<batch.bytes.count, original: original..<batch.originals.count,
                problem: 0..<0, position: place.offset, line: place.line,
                originalLength: UInt64(row.count)))
    }

    private func readHeader(
        _ scanner: CSVScanner, _ bytes: UnsafeRawBufferPointer
    ) throws(ConnectorError) {
        var texts: [String] = []
        for cell in scanner.cells {
            guard let name = unsafe String(validating: scanner.text(of: cell, bytes), as: UTF8.self)
            else { throw ConnectorError("\(shown):1: the header is not valid UTF-8") }
            texts.append(name)
        }
        let header: CSVHeader
        do throws(ConnectorError) { header = try CSVHeader(texts, options.header) } catch {
            throw ConnectorError("\(shown):1: \(error.description)")
        }
        if !header.changes.isEmpty, !isRepeated {
            warn("\(shown):1: \(header.changes.prefix(5).joined(separator: "; "))")
        }
        names = header.names.map(Self.field)
    }
}
