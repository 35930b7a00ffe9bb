/// A text in which some keys begin with a marker, so that a parser takes equal keys for different
/// ones; it knows where everything stood before.
struct MarkedText {
    private var lines: [[Unicode.Scalar]] = []
    private let marker: Unicode.Scalar

    init(_ text: String) {
        var scalars = text.unicodeScalars[...]
        if scalars.first == "\u{FEFF}" { scalars = scalars.dropFirst() }
        let used = Set(scalars.lazy.map(\.value))
        let free = (0xE000...0xF8FF).lazy.map(UInt32.init).first { !used.contains($0) }
        marker = free.flatMap(Unicode.Scalar.init) ?? "\u{E000}"
        var line: [Unicode.Scalar] = []
        var last: Unicode.Scalar = " "
        for scalar in scalars {
            let isBreak = ["\r", "\n", "\u{85}", "\u{2028}", "\u{2029}"].contains(last)
            if isBreak, !(last == "\r" && scalar == "\n") {
                lines.append(line)
                line = []
            }
            line.append(scalar)
            last = scalar
        }
        lines.append(line)
    }

    /// The whole text, markers included.
    var joined: String { String(String.UnicodeScalarView(lines.joined())) }

    /// A line counted from 1, without markers; empty when there is none.
    func line(_ number: Int) -> String {
        guard lines.indices.contains(number - 1) else { return "" }
        return String(String.UnicodeScalarView(lines[number - 1].filter { $0 != marker }))
    }

    /// Puts a marker before the key that stands there; false when that would change its kind.
    mutating func markKey(line: Int, column: Int) -> Bool {
        guard lines.indices.contains(line - 1), column >= 1, column <= lines[line - 1].count
        else { return false }
        let first = lines[line - 1][column - 1]
        if ["&", "*", "!", "[", "{", "|", ">"].contains(first) { return false }
        let isQuote = first == "\"" || first == "'"
        lines[line - 1].insert(marker, at: isQuote ? column : column - 1)
        return true
    }

    /// The column that a place of the marked text had at first.
    func originalColumn(line: Int, column: Int) -> Int {
        guard lines.indices.contains(line - 1) else { return column }
        return column - lines[line - 1].prefix(column - 1).count { $0 == marker }
    }

    /// A text as it was before it was marked.
    func withoutMarkers(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0 != marker }))
    }
}
