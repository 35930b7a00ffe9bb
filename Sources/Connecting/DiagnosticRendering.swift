/// Shows findings as a compiler does: message, place, the line, and a caret under the place.
///
/// - Parameter line: gives a line of a file, counted from 1, or nil.
/// - Returns: at most 40 lines of text.
public func render(_ diagnostics: [Diagnostic], line: (String, Int) -> String?) -> String {
    let limit = 34
    var lines: [String] = []
    var shown = 0
    for diagnostic in diagnostics.sorted(by: Diagnostic.isBefore) {
        let location = diagnostic.location
        let code = diagnostic.code.map { "[\($0)]" } ?? ""
        var block = [
            "\(diagnostic.severity.rawValue)\(code): \(diagnostic.message)", " --> \(location)",
        ]
        if let text = line(location.file, location.line) {
            let number = String(location.line)
            let margin = String(repeating: " ", count: number.count)
            let (excerpt, indent) = excerpt(of: text, column: location.column)
            block.append("\(number) | \(excerpt)")
            block.append("\(margin) | \(indent)^")
        }
        if !lines.isEmpty, lines.count + block.count > limit { break }
        lines += block
        shown += 1
    }
    if shown < diagnostics.count { lines.append("… and \(diagnostics.count - shown) more") }
    return lines.joined(separator: "\n")
}

/// The part of a line that holds the column, fit for a terminal, and what goes before the caret.
private func excerpt(of text: String, column: Int) -> (text: String, indent: String) {
    let width = 160
    let scalars = Array(text.unicodeScalars)
    let at = max(0, min(column - 1, scalars.count))
    let start = at < width ? 0 : at - width / 2
    let prefix = start > 0 ? "…" : ""
    var shown = String.UnicodeScalarView()
    var indent = prefix.isEmpty ? "" : " "
    for index in start..<min(scalars.count, start + width) {
        // Other control characters would let a file write to the terminal as it likes.
        let isControl = scalars[index].properties.generalCategory == .control
        let isTab = scalars[index] == "\t"
        if index < at { indent += isTab ? "\t" : " " }
        if scalars[index] == "\r", index == scalars.count - 1 { continue }
        shown.append(isControl && !isTab ? "\u{FFFD}" : scalars[index])
    }
    return (prefix + String(shown), indent)
}

extension Diagnostic {
    /// The order in which findings are shown: by file, line and column.
    public static func isBefore(_ left: Diagnostic, _ right: Diagnostic) -> Bool {
        (left.location.file, left.location.line, left.location.column)
            < (right.location.file, right.location.line, right.location.column)
    }

    /// One JSON object on one line: `file`, `line`, `column`, `severity`, `message`, and `code` if
    /// there is one.
    public var json: String {
        "{\"file\":\(quoted(location.file)),\"line\":\(location.line),"
            + "\"column\":\(location.column),\"severity\":\(quoted(severity.rawValue)),"
            + "\"message\":\(quoted(message))\(code.map { ",\"code\":\(quoted($0))" } ?? "")}"
    }
}

/// A JSON string; everything below a space is escaped.
private func quoted(_ text: String) -> String {
    var result = String.UnicodeScalarView("\"".unicodeScalars)
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += ["\\", scalar]
        case "\n": result += "\\n".unicodeScalars
        case "\r": result += "\\r".unicodeScalars
        case "\t": result += "\\t".unicodeScalars
        case "\0"..<" ":
            let digits = String(scalar.value, radix: 16)
            let zeros = String(repeating: "0", count: 4 - digits.count)
            result += "\\u\(zeros)\(digits)".unicodeScalars
        default: result.append(scalar)
        }
    }
    result.append("\"")
    return String(result)
}
