/// The names of CSV columns, made from the first row.
package struct CSVHeader: Sendable, Hashable {
    /// What is done with columns that have no name, or the name of another.
    package enum Rule: Sendable, Hashable {
        /// They get names of their own.
        case auto
        /// The file is refused.
        case strict
        /// There is no header row; these are the names.
        case names([String])
    }

    /// The names, each once.
    package var names: [String] = []
    /// What was made of unusable names, in words; empty when there were none.
    package var changes: [String] = []

    /// Takes the cells of the first row; throws why they cannot be names.
    package init(_ cells: [String], _ rule: Rule) throws(ConnectorError) {
        var taken = Set(cells)
        var seen: Set<String> = []
        for (index, cell) in cells.enumerated() {
            if !cell.isEmpty, seen.insert(cell).inserted {
                names.append(cell)
                continue
            }
            let isEmpty = cell.isEmpty
            if rule == .strict {
                let what = isEmpty ? "a column without a name" : "two columns named \"\(cell)\""
                throw ConnectorError("the header has \(what); `header: auto` gives it one")
            }
            let base = isEmpty ? "column_\(index + 1)" : cell
            var name = base
            var number = 1
            while taken.contains(name) {
                number += 1
                name = "\(base)_\(number)"
            }
            taken.insert(name)
            names.append(name)
            changes.append(
                isEmpty
                    ? "column \(index + 1) has no name and is called \(name)"
                    : "column \(index + 1) is a second \"\(cell)\" and is called \(name)")
        }
    }
}

/// What ends the lines of a CSV text: CR when its first line ends with a lone one, else LF; nil
/// when that cannot be told yet.
package func csvLineEnd(
    _ bytes: UnsafeRawBufferPointer, quotesCount: Bool = true, isEnd: Bool
) -> UInt8? {
    var isQuoted = false
    for index in bytes.indices {
        let byte = unsafe bytes[index]
        if byte == 0x22, quotesCount { isQuoted.toggle() }
        guard !isQuoted else { continue }
        if byte == 0x0A { return 0x0A }
        if byte == 0x0D {
            if index + 1 < bytes.count { return unsafe bytes[index + 1] == 0x0A ? 0x0A : 0x0D }
            return isEnd ? 0x0D : nil
        }
    }
    return isEnd ? 0x0A : nil
}
