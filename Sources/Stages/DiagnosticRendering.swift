/// Shows findings as a compiler does: message, place, the line, and a caret under the place.
///
/// - Parameter line: gives a line of a file, counted from 1, or nil.
/// - Returns: at most 40 lines of text.
public func render(_ diagnostics: [Diagnostic], line: (String, Int) -> String?) -> String {
    let limit = 34
    var lines: [String] = []
    var shown = 0
    for diagnostic in diagnostics.sorted(by: isBefore) {
        let location = diagnostic.location
        var block = ["\(diagnostic.severity.rawValue): \(diagnostic.message)", " --> \(location)"]
        if let text = line(location.file, location.line) {
            let number = String(location.line)
            let margin = String(repeating: " ", count: number.count)
            let indent = String(repeating: " ", count: max(0, min(location.column, 160) - 1))
            block.append("\(number) | \(text.prefix(160))")
            block.append("\(margin) | \(indent)^")
        }
        if !lines.isEmpty, lines.count + block.count > limit { break }
        lines += block
        shown += 1
    }
    if shown < diagnostics.count { lines.append("… and \(diagnostics.count - shown) more") }
    return lines.joined(separator: "\n")
}

private func isBefore(_ left: Diagnostic, _ right: Diagnostic) -> Bool {
    (left.location.file, left.location.line, left.location.column)
        < (right.location.file, right.location.line, right.location.column)
}
