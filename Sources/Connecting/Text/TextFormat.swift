/// How the records of a file are written and packed, as its name and its settings say.
package struct TextFormat: Hashable, Sendable {
    /// How records follow each other.
    package enum Records: String, Sendable {
        /// One JSON text on each line.
        case lines = "jsonl"
        /// JSON texts with any white space, or the elements of a list.
        case json
        /// Rows of cells, of which the first names the columns.
        case csv
    }

    /// What the text is packed by.
    package enum Packing: Sendable {
        case none
        case gzip
        case zstd
    }

    package var records = Records.lines
    package var packing = Packing.none
    /// What stands between the cells of CSV.
    package var delimiter: UInt8 = 0x2C

    /// Settings go before what the name says. Extensions count in any case, also when a rotation
    /// has put a number behind them.
    package init(name: String, format: String? = nil, delimiter: UInt8? = nil) {
        var name = name.split(separator: "/").last?.lowercased() ?? ""
        packing = Self.takePacking(&name)
        while true {
            let isKnown = note(name)
            if isKnown || !takeNumber(&name) { break }
        }
        if let format, let records = Records(rawValue: format) { self.records = records }
        if let delimiter { self.delimiter = delimiter }
    }

    private mutating func note(_ name: String) -> Bool {
        if name.hasSuffix(".csv") {
            records = .csv
        } else if name.hasSuffix(".tsv") {
            records = .csv
            delimiter = 0x09
        } else if name.hasSuffix(".json") {
            records = .json
        } else {
            return name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson")
        }
        return true
    }

    fileprivate static func takePacking(_ name: inout String) -> Packing {
        for (ending, packing) in [(".gz", Packing.gzip), (".zst", .zstd)]
        where name.hasSuffix(ending) {
            name.removeLast(ending.count)
            return packing
        }
        return .none
    }
}

/// Drops a number that a rotation has put behind a name, such as `.1` or `-20261130`.
private func takeNumber(_ name: inout String) -> Bool {
    let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }.count
    guard digits > 0, name.count > digits + 1 else { return false }
    let rest = name.dropLast(digits)
    guard let mark = rest.last, mark == "." || mark == "-" else { return false }
    name = String(rest.dropLast())
    return true
}

/// What all names have in common that rotation and packing give to one file, such as `app.log` of
/// `app.log.1`, `app.log-20261130` and `app.log.2.gz`.
package func rotationStem(_ name: String) -> String {
    var stem = String(name.split(separator: "/").last ?? "")
    var lower = stem.lowercased()
    _ = TextFormat.takePacking(&lower)
    while takeNumber(&lower) {}
    stem = String(stem.prefix(lower.count))
    return stem
}
