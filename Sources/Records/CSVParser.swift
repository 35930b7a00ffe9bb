/// Splits CSV (RFC 4180) into rows of cells: quotes, doubled quotes, line breaks inside quotes,
/// CRLF or LF; a byte order mark at the start is skipped.
public struct CSVParser {
    /// One row.
    public struct Row {
        /// The cells, unquoted.
        public var cells: [[UInt8]]
        /// The bytes of the row, without its line ending.
        public var bytes: Range<Int>
        /// The line it begins in, counted from 1.
        public var line: Int
    }

    private let text: [UInt8]
    private let delimiter: UInt8
    private var at = 0
    /// The line that comes next, counted from 1.
    public private(set) var line = 1
    /// True when the text ended inside quotes.
    public private(set) var isUnfinished = false

    /// Begins at the start of a text.
    public init(_ text: [UInt8], delimiter: UInt8 = 0x2C) {
        self.text = text
        self.delimiter = delimiter
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
    }

    /// The next row, or nil at the end; empty lines are skipped.
    public mutating func next() -> Row? {
        while at < text.count, text[at] == 0x0A || text[at] == 0x0D {
            if text[at] == 0x0A { line += 1 }
            at += 1
        }
        guard at < text.count else { return nil }
        let start = at
        let firstLine = line
        var cells: [[UInt8]] = []
        var cell: [UInt8] = []
        while true {
            if at < text.count, text[at] == 0x22, cell.isEmpty { readQuoted(into: &cell) }
            while at < text.count, text[at] != delimiter, text[at] != 0x0A, text[at] != 0x0D {
                cell.append(text[at])
                at += 1
            }
            if at < text.count, text[at] == 0x0D, at + 1 < text.count, text[at + 1] != 0x0A {
                cell.append(text[at])
                at += 1
                continue
            }
            cells.append(cell)
            cell = []
            guard at < text.count, text[at] == delimiter else { break }
            at += 1
        }
        let end = at
        if at < text.count, text[at] == 0x0D { at += 1 }
        if at < text.count, text[at] == 0x0A {
            at += 1
            line += 1
        }
        return Row(cells: cells, bytes: start..<end, line: firstLine)
    }

    private mutating func readQuoted(into cell: inout [UInt8]) {
        at += 1
        while at < text.count {
            if text[at] == 0x22 {
                guard at + 1 < text.count, text[at + 1] == 0x22 else {
                    at += 1
                    return
                }
                at += 1
            }
            if text[at] == 0x0A { line += 1 }
            cell.append(text[at])
            at += 1
        }
        isUnfinished = true
    }
}
