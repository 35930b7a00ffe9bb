internal import Connecting
internal import Definitions
internal import Engine
internal import Records

/// Replaces values in the text of a YAML file and leaves everything else as it is.
struct YAMLEdits {
    private var scalars: [Unicode.Scalar]
    /// Where each line begins in `scalars`.
    private var starts: [Int] = [0]
    private var edits: [(range: Range<Int>, text: String)] = []

    init(_ text: String) {
        scalars = Array(text.unicodeScalars)
        if scalars.first == "\u{FEFF}" { starts = [1] }
        for (index, scalar) in scalars.enumerated() where scalar == "\n" {
            starts.append(index + 1)
        }
    }

    var isEmpty: Bool { edits.isEmpty }

    /// The text with everything replaced.
    var text: String {
        var result = scalars
        for edit in edits.sorted(by: { $0.range.lowerBound > $1.range.lowerBound }) {
            result.replaceSubrange(edit.range, with: Array(edit.text.unicodeScalars))
        }
        return String(String.UnicodeScalarView(result))
    }

    /// Puts a value in the place of another, in the style of that one.
    mutating func replace(_ setting: Setting, by value: Value, inFlow: Bool) {
        let start = offset(setting.location)
        guard let end = end(of: setting, inFlow: inFlow) else { return }
        let isBlock = isBlock(setting)
        edits.append((start..<end, isBlock ? block(value, setting.location.column) : flow(value)))
    }

    /// Puts other keys in the place of one key and its value.
    mutating func replace(_ entry: Setting.Entry, by fields: [Field], inFlow: Bool) {
        let start = offset(entry.location)
        guard let end = end(of: entry.value, inFlow: inFlow) else { return }
        let indent = String(repeating: " ", count: entry.location.column - 1)
        let separator = inFlow ? ", " : "\n" + indent
        let text = fields.map { "\(name($0.name)): \(flow($0.value))" }
        edits.append((start..<end, text.joined(separator: separator)))
    }

    /// The text with one more item at the end of a list; nil when it is none.
    func appending(_ fields: [Field], to list: Setting) -> String? {
        guard case .sequence(let items) = list.content, let end = end(of: list, inFlow: false)
        else { return nil }
        if isBlock(list) {
            let item = "\n" + item(fields, indent: list.location.column - 1)
            return text(inserting: item, at: end)
        }
        let comma = items.isEmpty ? "" : ", "
        return text(inserting: comma + flow(.object(fields)), at: end - 1)
    }

    private func text(inserting words: String, at place: Int) -> String {
        let all = scalars[..<place] + Array(words.unicodeScalars) + scalars[place...]
        let text = String(String.UnicodeScalarView(all))
        return text.hasSuffix("\n") ? text : text + "\n"
    }

    private func offset(_ location: Location) -> Int {
        let line = min(max(location.line, 1), starts.count) - 1
        return min(starts[line] + location.column - 1, scalars.count)
    }

    private func isBlock(_ setting: Setting) -> Bool {
        let first = scalars[min(offset(setting.location), scalars.count - 1)]
        switch setting.content {
        case .mapping: return first != "{"
        case .sequence: return first != "["
        default: return false
        }
    }
}

// Where values end.
extension YAMLEdits {
    private func end(of setting: Setting, inFlow: Bool) -> Int? {
        let start = offset(setting.location)
        guard start < scalars.count else { return nil }
        switch scalars[start] {
        case "{", "[": return endOfBrackets(start)
        case "\"", "'": return endOfQuotes(start)
        case "|", ">": return nil
        default: return isBlock(setting) ? endOfBlock(setting) : endOfPlain(start, inFlow)
        }
    }

    private func endOfQuotes(_ start: Int) -> Int? {
        let quote = scalars[start]
        var at = start + 1
        while at < scalars.count {
            if quote == "\"", scalars[at] == "\\" {
                at += 2
            } else if scalars[at] == quote {
                guard quote == "'", at + 1 < scalars.count, scalars[at + 1] == "'" else {
                    return at + 1
                }
                at += 2
            } else {
                at += 1
            }
        }
        return nil
    }

    private func endOfBrackets(_ start: Int) -> Int? {
        var depth = 0
        var at = start
        // A quote inside a word, as in don't, begins no text.
        var beginsValue = true
        while at < scalars.count {
            let scalar = scalars[at]
            if beginsValue, scalar == "\"" || scalar == "'" {
                guard let end = endOfQuotes(at) else { return nil }
                at = end
                beginsValue = false
                continue
            }
            if scalar == "#", at > 0, [" ", "\n", "\t"].contains(scalars[at - 1]) {
                while at < scalars.count, scalars[at] != "\n" { at += 1 }
                continue
            }
            if scalar == "{" || scalar == "[" { depth += 1 }
            if scalar == "}" || scalar == "]" { depth -= 1 }
            if depth == 0 { return at + 1 }
            if ![" ", "\n", "\t", "\r"].contains(scalar) {
                beginsValue = ["{", "[", ",", ":"].contains(scalar)
            }
            at += 1
        }
        return nil
    }

    private func endOfPlain(_ start: Int, _ inFlow: Bool) -> Int {
        var at = start
        while at < scalars.count, scalars[at] != "\n" {
            if inFlow, [",", "}", "]"].contains(scalars[at]) { break }
            if scalars[at] == "#", at > start, scalars[at - 1] == " " { break }
            at += 1
        }
        while at > start, [" ", "\t", "\r"].contains(scalars[at - 1]) { at -= 1 }
        return at
    }

    /// The end of the last line that is indented as deep as the value begins.
    private func endOfBlock(_ setting: Setting) -> Int {
        let indent = setting.location.column - 1
        var end = lineEnd(setting.location.line - 1)
        var isList = false
        if case .sequence = setting.content { isList = true }
        for line in setting.location.line..<max(starts.count, setting.location.line) {
            let text = scalars[starts[line]..<lineEnd(line)]
            let depth = text.prefix { $0 == " " }.count
            guard depth < text.count else { continue }
            if depth < indent { break }
            if isList, depth == indent, text[text.startIndex + depth] != "-" { break }
            end = lineEnd(line)
        }
        return end
    }

    /// Where a line, counted from 0, ends without its break.
    private func lineEnd(_ line: Int) -> Int {
        var end = line + 1 < starts.count ? starts[line + 1] - 1 : scalars.count
        if end > starts[line], scalars[end - 1] == "\r" { end -= 1 }
        return end
    }
}

// How values are written.
extension YAMLEdits {
    private func block(_ value: Value, _ column: Int) -> String {
        let indent = "\n" + String(repeating: " ", count: column - 1)
        switch value {
        case .object(let fields) where !fields.isEmpty:
            return fields.map { "\(name($0.name)): \(flow($0.value))" }.joined(separator: indent)
        case .array(let items) where !items.isEmpty:
            return items.map { "- \(flow($0))" }.joined(separator: indent)
        default: return flow(value)
        }
    }

    /// A value on one line.
    func flow(_ value: Value) -> String {
        switch value {
        case .string(let text): return name(text)
        case .array(let items): return "[" + items.map { flow($0) }.joined(separator: ", ") + "]"
        case .object(let fields):
            let parts = fields.map { "\(name($0.name)): \(flow($0.value))" }
            return "{" + parts.joined(separator: ", ") + "}"
        default: return value.text
        }
    }

    /// A text without quotes where it can do without.
    private func name(_ text: String) -> String {
        let isPlain =
            isName(text, others: [0x20, 0x2D, 0x2E, 0x2F]) && !text.hasSuffix(" ")
            && !["true", "false", "null"].contains(text)
        return isPlain ? text : String(decoding: Value.string(text).json, as: UTF8.self)
    }
}
