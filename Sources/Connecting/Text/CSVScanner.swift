/// Finds the cells of one CSV row (RFC 4180) in a buffer.
package struct CSVScanner {
    /// A cell: its bytes without the outer quotes, doubled quotes still doubled.
    package struct Cell {
        package var range: Range<Int>
        package var isQuoted: Bool
        /// Where the closing quote stands; text may follow it.
        package var quoteEnd: Int
    }

    private let delimiter: UInt8
    /// What ends a line: LF, also behind CR, or CR alone.
    private let lineEnd: UInt8
    package private(set) var cells: [Cell] = []
    /// The row's bytes without its line ending.
    package private(set) var row = 0..<0
    /// Where the next row begins.
    package private(set) var next = 0
    /// Line breaks in the row, the one at its end included.
    package private(set) var lineBreaks = 0
    /// True when the text ended inside quotes.
    package private(set) var isUnclosed = false
    /// Where the quoted cell begins that the text has not closed yet; nil when there is none.
    package private(set) var openQuote: Int?
    /// True for an empty line.
    package var isBlank: Bool { row.isEmpty }

    package init(delimiter: UInt8, lineEnd: UInt8 = 0x0A) {
        self.delimiter = delimiter
        self.lineEnd = lineEnd
    }

    /// Reads the row at `start`; false when it is not whole yet, or there is none.
    package mutating func nextRow(
        _ bytes: UnsafeRawBufferPointer, from start: Int, isEnd: Bool
    ) -> Bool {
        cells.removeAll(keepingCapacity: true)
        lineBreaks = 0
        isUnclosed = false
        openQuote = nil
        guard start < bytes.count else { return false }
        var at = start
        while true {
            guard let cell = unsafe readCell(bytes, at: &at, isEnd: isEnd) else { return false }
            cells.append(cell)
            if at < bytes.count, unsafe bytes[at] == delimiter {
                at += 1
                continue
            }
            break
        }
        if at == bytes.count && !isEnd { return false }
        var end = at
        if at < bytes.count {
            lineBreaks += 1
            at += 1
        }
        if lineEnd == 0x0D {
            // A lone CR was the line's end already.
        } else if end > start, unsafe bytes[end - 1] == 0x0D,
            cells[cells.count - 1].range.upperBound == end
        {
            end -= 1
            let last = cells[cells.count - 1]
            if last.range.upperBound > last.range.lowerBound, !last.isQuoted {
                cells[cells.count - 1].range = last.range.lowerBound..<(last.range.upperBound - 1)
            }
        } else if end > start, unsafe bytes[end - 1] == 0x0D {
            end -= 1
        }
        row = start..<end
        next = at
        return true
    }

    private mutating func readCell(
        _ bytes: UnsafeRawBufferPointer, at: inout Int, isEnd: Bool
    ) -> Cell? {
        if at < bytes.count, unsafe bytes[at] == 0x22 {
            return unsafe readQuoted(bytes, at: &at, isEnd: isEnd)
        }
        let start = at
        while at < bytes.count, unsafe bytes[at] != delimiter, unsafe bytes[at] != lineEnd {
            at += 1
        }
        if at == bytes.count && !isEnd { return nil }
        return Cell(range: start..<at, isQuoted: false, quoteEnd: at)
    }

    private mutating func readQuoted(
        _ bytes: UnsafeRawBufferPointer, at: inout Int, isEnd: Bool
    ) -> Cell? {
        at += 1
        let start = at
        while true {
            guard at < bytes.count else {
                openQuote = start
                guard isEnd else { return nil }
                isUnclosed = true
                return Cell(range: start..<at, isQuoted: true, quoteEnd: at)
            }
            let byte = unsafe bytes[at]
            if byte == lineEnd { lineBreaks += 1 }
            if byte == 0x22 {
                if at + 1 == bytes.count && !isEnd { return nil }
                if at + 1 < bytes.count, unsafe bytes[at + 1] == 0x22 {
                    at += 2
                    continue
                }
                break
            }
            at += 1
        }
        let quoteEnd = at
        at += 1
        // Text behind the closing quote belongs to the cell, as spreadsheets read it.
        while at < bytes.count, unsafe bytes[at] != delimiter, unsafe bytes[at] != lineEnd {
            at += 1
        }
        if at == bytes.count && !isEnd { return nil }
        var end = at
        if lineEnd != 0x0D, end > quoteEnd + 1, unsafe bytes[end - 1] == 0x0D { end -= 1 }
        return Cell(
            range: start..<(end == quoteEnd + 1 ? quoteEnd : end), isQuoted: true,
            quoteEnd: quoteEnd)
    }

    /// The cell's text with quotes undone.
    package func text(of cell: Cell, _ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var text: [UInt8] = []
        var index = cell.range.lowerBound
        while index < cell.range.upperBound {
            let byte = unsafe bytes[index]
            index += 1
            if cell.isQuoted && index - 1 == cell.quoteEnd { continue }
            text.append(byte)
            if cell.isQuoted, byte == 0x22, index < cell.quoteEnd { index += 1 }
        }
        return text
    }
}
