internal import Records

/// How rows are written as CSV.
struct CSVWritingOptions: Sendable, Hashable {
    var delimiter: UInt8 = 0x2C
    /// The columns in their order; nil: the fields of the first row.
    var columns: [String]?
    /// The column that holds what has no column of its own, as a JSON object.
    var rest: String?
    /// What stands for null, and for a field that a row does not have.
    var nullText = ""
}

/// Turns rows, which are JSON objects, into CSV (RFC 4180, lines end with LF).
///
/// A text is quoted where it has to be, and where it would read as null without quotes. Numbers
/// keep their digits, nested values are cells of JSON.
final class CSVRowWriter {
    let options: CSVWritingOptions
    private let nullBytes: [UInt8]
    /// The columns, the one for the rest included; nil until the first row.
    private(set) var columns: [String]?
    private var names: [[UInt8]] = []
    private var places: [[UInt8]: Int] = [:]
    private var restPlace: Int?
    private var fields = RowFields()
    /// Which member of the row stands in each column.
    private var cells: [Int] = []
    private var others: [Int] = []

    /// - Parameter columns: those that earlier runs have begun with.
    init(_ options: CSVWritingOptions, columns: [String]?) {
        self.options = options
        nullBytes = Array(options.nullText.utf8)
        if let columns = columns ?? options.allColumns { begin(columns) }
    }

    /// The columns are known from here on.
    func begin(_ columns: [String]) {
        self.columns = columns
        names = columns.map { Array($0.utf8) }
        restPlace = options.rest.flatMap { columns.lastIndex(of: $0) }
        for (index, name) in names.enumerated() where index != restPlace { places[name] = index }
    }

    /// The first line; nil while the columns are not known.
    var header: [UInt8]? {
        guard let columns else { return nil }
        var line: [UInt8] = []
        for (index, column) in columns.enumerated() {
            if index > 0 { line.append(options.delimiter) }
            appendText(Array(column.utf8), to: &line)
        }
        return line + [0x0A]
    }

    /// Adds one row, given without its line break; returns why it is refused, or nil.
    func append(_ row: Span<UInt8>, to output: inout [UInt8]) -> String? {
        guard fields.read(row) else { return "the row is no JSON object" }
        if columns == nil {
            guard !fields.members.isEmpty else { return "a row without fields has no columns" }
            begin(firstColumns(row))
        }
        if let reason = assign(row) { return reason }
        for index in cells.indices {
            if index > 0 { output.append(options.delimiter) }
            if index == restPlace {
                appendRest(row, to: &output)
            } else if cells[index] >= 0 {
                append(fields.members[cells[index]].value, of: row, to: &output)
            } else {
                appendNull(to: &output)
            }
        }
        output.append(0x0A)
        return nil
    }

    private func firstColumns(_ row: Span<UInt8>) -> [String] {
        var columns: [String] = []
        for member in fields.members {
            let name = String(decoding: self.name(of: member, row), as: UTF8.self)
            if !columns.contains(name), name != options.rest { columns.append(name) }
        }
        return columns + (options.rest.map { [$0] } ?? [])
    }

    private func name(of member: RowFields.Member, _ row: Span<UInt8>) -> [UInt8] {
        RowFields.text(of: row, member.name, isEscaped: member.isNameEscaped)
    }

    /// Finds the column of each member; the last of a repeated name counts.
    private func assign(_ row: Span<UInt8>) -> String? {
        cells = Array(repeating: -1, count: names.count)
        others.removeAll(keepingCapacity: true)
        for (index, member) in fields.members.enumerated() {
            if let place = place(of: member, row, guess: index) {
                cells[place] = index
            } else if restPlace != nil {
                others.append(index)
            } else {
                let name = String(decoding: self.name(of: member, row), as: UTF8.self)
                let known = (columns ?? []).prefix(8).joined(separator: ", ")
                return "there is no column for the field \"\(name)\" (columns: \(known)"
                    + ((columns?.count ?? 0) > 8 ? ", …" : "")
                    + "); add it to `columns`, or collect such fields with `rest`"
            }
        }
        return nil
    }

    /// Mostly rows have the same fields in the same order.
    private func place(
        of member: RowFields.Member, _ row: Span<UInt8>, guess: Int
    ) -> Int? {
        if !member.isNameEscaped, guess < names.count, guess != restPlace,
            names[guess].count == member.name.count,
            member.name.indices.allSatisfy({ row[$0] == names[guess][$0 - member.name.lowerBound] })
        {
            return guess
        }
        return places[name(of: member, row)]
    }

    // MARK: Cells

    private func append(_ value: Range<Int>, of row: Span<UInt8>, to output: inout [UInt8]) {
        switch row[value.lowerBound] {
        case 0x22:
            let range = (value.lowerBound + 1)..<(value.upperBound - 1)
            let isEscaped = range.contains { row[$0] == 0x5C }
            let text = RowFields.text(of: row, range, isEscaped: isEscaped)
            appendText(text, to: &output)
        case 0x7B, 0x5B:
            appendQuoted(RowFields.text(of: row, value, isEscaped: false), to: &output)
        case 0x6E: appendNull(to: &output)
        default: for index in value { output.append(row[index]) }
        }
    }

    private func appendNull(to output: inout [UInt8]) {
        // A line with nothing in it would be no row.
        if nullBytes.isEmpty, names.count == 1 { return appendQuoted([], to: &output) }
        if needsQuotes(nullBytes) { return appendQuoted(nullBytes, to: &output) }
        output += nullBytes
    }

    /// The last of a repeated name counts here as well, since readers of JSON take it.
    private func appendRest(_ row: Span<UInt8>, to output: inout [UInt8]) {
        guard !others.isEmpty else { return appendNull(to: &output) }
        var object: [UInt8] = [0x7B]
        for index in others {
            let member = fields.members[index]
            if object.count > 1 { object.append(0x2C) }
            object.append(0x22)
            for index in member.name { object.append(row[index]) }
            object += [0x22, 0x3A]
            for index in member.value { object.append(row[index]) }
        }
        object.append(0x7D)
        appendQuoted(object, to: &output)
    }

    private func appendText(_ text: [UInt8], to output: inout [UInt8]) {
        if text.isEmpty || text == nullBytes || needsQuotes(text) {
            appendQuoted(text, to: &output)
        } else {
            output += text
        }
    }

    private func needsQuotes(_ text: [UInt8]) -> Bool {
        text.contains { $0 == options.delimiter || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }
            || text.first == 0x20 || text.last == 0x20 || text.starts(with: [0xEF, 0xBB, 0xBF])
    }

    private func appendQuoted(_ text: [UInt8], to output: inout [UInt8]) {
        output.append(0x22)
        for byte in text {
            if byte == 0x22 { output.append(0x22) }
            output.append(byte)
        }
        output.append(0x22)
    }
}

extension CSVWritingOptions {
    /// The columns that are declared, with the one for the rest at the end unless it stands among
    /// them.
    var allColumns: [String]? {
        guard let columns else { return nil }
        guard let rest, !columns.contains(rest) else { return columns }
        return columns + [rest]
    }
}
