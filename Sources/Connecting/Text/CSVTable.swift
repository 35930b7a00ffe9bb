/// The rows of a CSV text that is there as a whole; empty lines are none.
package struct CSVTable {
    /// One row.
    package struct Row {
        /// The cells without their quotes.
        package var cells: [[UInt8]]
        /// Where its bytes stand in the text.
        package var bytes: Range<Int>
        /// The line in which it begins, counted from 1.
        package var line: Int
        /// The text ended within a quote.
        package var isUnclosed: Bool
    }

    private let text: [UInt8]
    private var scanner: CSVScanner
    private var at = 0
    private var line = 1

    /// Begins at the start of a text; what ends its first line ends the others, too.
    package init(_ text: [UInt8], delimiter: UInt8) {
        self.text = text
        let lineEnd = unsafe text.withUnsafeBytes { unsafe csvLineEnd($0, isEnd: true) }
        scanner = CSVScanner(delimiter: delimiter, lineEnd: lineEnd ?? 0x0A)
    }

    /// The next row; nil at the end.
    package mutating func next() -> Row? {
        unsafe text.withUnsafeBytes { bytes in
            while unsafe scanner.nextRow(bytes, from: at, isEnd: true) {
                let first = line
                at = scanner.next
                line += scanner.lineBreaks
                if scanner.isBlank { continue }
                return Row(
                    cells: scanner.cells.map { unsafe scanner.text(of: $0, bytes) },
                    bytes: scanner.row, line: first, isUnclosed: scanner.isUnclosed)
            }
            return nil
        }
    }
}
