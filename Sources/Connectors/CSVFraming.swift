internal import Connecting
internal import Records

/// Turns CSV rows (RFC 4180) into JSON objects: the first row names the fields, and every field is
/// a string unless types are inferred.
final class CSVFraming {
    let delimiter: UInt8
    private let infersTypes: Bool
    private let shown: String
    /// The field names as JSON texts with their colon, once the header was read.
    private var names: [[UInt8]]?
    private var isStarted = false
    /// True once the names are known.
    var hasHeader: Bool { names != nil }

    init(delimiter: UInt8, infersTypes: Bool, shown: String) {
        self.delimiter = delimiter
        self.infersTypes = infersTypes
        self.shown = shown
    }

    /// Takes whole rows from `pending`; returns false when there is no whole row yet.
    func take(
        from pending: inout ByteBuffer, into batch: Batch, position: inout UInt64,
        line: inout UInt64, isEnd: Bool, records: Int? = nil
    ) throws(ConnectorError) -> Bool {
        var scanner = CSVScanner(delimiter: delimiter)
        if !isStarted {
            guard pending.count >= 3 || isEnd else { return false }
            isStarted = true
            if pending.count >= 3, pending[0] == 0xEF, pending[1] == 0xBB, pending[2] == 0xBF {
                pending.removeFirst(3)
                position += 3
            }
        }
        var used = 0
        var failure: ConnectorError?
        unsafe pending.withUnsafeBytes { bytes in
            while failure == nil, batch.entries.count < records ?? .max,
                unsafe scanner.nextRow(bytes, from: used, isEnd: isEnd)
            {
                if !scanner.isBlank {
                    do throws(ConnectorError) {
                        try unsafe add(scanner, bytes, to: batch, at: position + UInt64(used), line)
                    } catch {
                        failure = error
                    }
                }
                used = scanner.next
                line += UInt64(scanner.lineBreaks)
            }
        }
        if let failure { throw failure }
        pending.removeFirst(used)
        position += UInt64(used)
        return !batch.entries.isEmpty
    }

    private func add(
        _ scanner: CSVScanner, _ bytes: UnsafeRawBufferPointer, to batch: Batch,
        at position: UInt64, _ line: UInt64
    ) throws(ConnectorError) {
        guard let names else {
            try unsafe readHeader(scanner, bytes)
            return
        }
        let original = batch.originals.count
        unsafe batch.originals.append(UnsafeRawBufferPointer(rebasing: bytes[scanner.row]))
        let originalEnd = batch.originals.count
        var problem = ""
        if scanner.isUnclosed {
            problem = "a quote that is never closed"
        } else if scanner.cells.count != names.count {
            problem = "row has \(scanner.cells.count) cells, the header has \(names.count)"
        } else if unsafe String(validating: bytes[scanner.row], as: UTF8.self) == nil {
            problem = "not valid UTF-8"
        }
        let start = batch.bytes.count
        if problem.isEmpty {
            batch.bytes.append(0x7B)
            for (index, cell) in scanner.cells.enumerated() {
                if index > 0 { batch.bytes.append(0x2C) }
                batch.bytes.append(contentsOf: names[index])
                unsafe append(cell, bytes, to: &batch.bytes)
            }
            batch.bytes.append(0x7D)
        }
        let end = batch.bytes.count
        batch.originals.append(contentsOf: problem.utf8)
        batch.entries.append(
            Batch.Entry(
                text: start..<end, original: original..<originalEnd,
                problem: problem.isEmpty ? 0..<0 : originalEnd..<batch.originals.count,
                position: position, line: line, originalLength: UInt64(originalEnd - original)))
    }

    /// Learns the names from the start of a file whose rows were read before.
    func readHeader(_ reader: ByteReader, recordLimit: Int) throws(ConnectorError) {
        var pending = ByteBuffer()
        let rows = Batch()
        var position: UInt64 = 0
        var line: UInt64 = 1
        while !hasHeader, pending.count <= recordLimit {
            let outcome = try reader.read(into: &pending, limit: 64 << 10, milliseconds: 0)
            let isEnd = if case .end = outcome { true } else { false }
            _ = try take(
                from: &pending, into: rows, position: &position, line: &line, isEnd: isEnd)
            if isEnd { return }
        }
    }

    private func readHeader(
        _ scanner: CSVScanner, _ bytes: UnsafeRawBufferPointer
    ) throws(ConnectorError) {
        var seen: Set<String> = []
        var names: [[UInt8]] = []
        for cell in scanner.cells {
            guard let name = unsafe String(validating: scanner.text(of: cell, bytes), as: UTF8.self)
            else { throw ConnectorError("\(shown):1: the header is not valid UTF-8") }
            guard !name.isEmpty, seen.insert(name).inserted else {
                let what =
                    name.isEmpty ? "a column without a name" : "two columns named \"\(name)\""
                throw ConnectorError("\(shown):1: the header has \(what)")
            }
            names.append(Value.string(name).json + [0x3A])
        }
        self.names = names
    }

    /// Writes a cell as a JSON value.
    private func append(
        _ cell: CSVScanner.Cell, _ bytes: UnsafeRawBufferPointer, to out: inout ByteBuffer
    ) {
        if infersTypes, !cell.isQuoted, let literal = unsafe inferred(bytes[cell.range]) {
            out.append(contentsOf: literal)
            return
        }
        out.reserve(cell.range.count * 6 + 2)
        out.append(0x22)
        var index = cell.range.lowerBound
        while index < cell.range.upperBound {
            let byte = unsafe bytes[index]
            index += 1
            if byte == 0x22 {
                out.append(0x5C)
                out.append(0x22)
                if cell.isQuoted && index < cell.quoteEnd { index += 1 }
            } else if byte == 0x5C {
                out.append(0x5C)
                out.append(0x5C)
            } else if byte < 0x20 {
                appendEscape(byte, to: &out)
            } else {
                out.append(byte)
            }
            if cell.isQuoted && index == cell.quoteEnd { index += 1 }
        }
        out.append(0x22)
    }

    private func appendEscape(_ byte: UInt8, to out: inout ByteBuffer) {
        let digits = Array("0123456789abcdef".utf8)
        switch byte {
        case 0x0A: out.append(contentsOf: "\\n".utf8)
        case 0x0D: out.append(contentsOf: "\\r".utf8)
        case 0x09: out.append(contentsOf: "\\t".utf8)
        default:
            out.append(contentsOf: "\\u00".utf8)
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
    }

    /// A cell that is a JSON number, `true` or `false` by itself.
    private func inferred(_ cell: Slice<UnsafeRawBufferPointer>) -> [UInt8]? {
        let text = unsafe Array(cell)
        guard let first = text.first,
            first == 0x2D || (first >= 0x30 && first <= 0x39)
                || first == 0x74 || first == 0x66
        else { return nil }
        var reader = JSONReader(text)
        guard (try? reader.readDocument()) != nil, !text.contains(0x20) else { return nil }
        return text
    }
}
