/// Finds where one JSON text ends, byte by byte; remembers where it stands between calls.
///
/// It checks the structure (brackets, names, colons, commas), so that a text that lacks its end is
/// noticed where the next one begins. Words and numbers are checked where the record is run.
struct JSONScan {
    private enum Expected {
        /// A value; the end of a list, too, right behind its start.
        case value(orEnd: Bool)
        /// A name; the end of an object, too, right behind its start.
        case name(orEnd: Bool)
        case colon
        case commaOrEnd
        case text(isName: Bool)
        case escaped(isName: Bool)
        case word
    }

    /// What the bytes so far are.
    enum Outcome {
        case unfinished
        /// The text ends before this byte.
        case whole(Int)
        /// This byte cannot stand there.
        case wrong(Int)
    }

    private var expected = Expected.value(orEnd: false)
    /// For each open bracket: is it an object?
    private var open: [Bool] = []
    /// So many bytes were looked at.
    private(set) var count = 0
    /// The text is a word or number that goes to the end of the bytes.
    var isWord: Bool {
        if case .word = expected { open.isEmpty } else { false }
    }

    /// Looks at the bytes that came since the last call; `bytes` begin where the text does.
    mutating func scan(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        var at = count
        defer { count = at }
        while at < bytes.count {
            let byte = unsafe bytes[at]
            switch expected {
            case .text(let isName):
                if byte == 0x22 {
                    endValue(isName: isName)
                    if open.isEmpty {
                        at += 1
                        return .whole(at)
                    }
                } else if byte == 0x5C {
                    expected = .escaped(isName: isName)
                } else if byte < 0x20 {
                    return .wrong(at)
                }
            case .escaped(let isName): expected = .text(isName: isName)
            case .word:
                if Self.endsWord(byte) {
                    endValue(isName: false)
                    if open.isEmpty { return .whole(at) }
                    continue
                }
            default:
                if !Self.isSpace(byte) {
                    guard take(byte) else { return .wrong(at) }
                    if open.isEmpty, case .commaOrEnd = expected {
                        at += 1
                        return .whole(at)
                    }
                }
            }
            at += 1
        }
        return .unfinished
    }

    /// The bytes that were looked at are gone; the next ones follow them.
    mutating func forgetBytes() { count = 0 }

    private mutating func endValue(isName: Bool) { expected = isName ? .colon : .commaOrEnd }

    /// A byte between words and texts; false when it cannot stand there.
    private mutating func take(_ byte: UInt8) -> Bool {
        switch (expected, byte) {
        case (.value, 0x7B):
            open.append(true)
            expected = .name(orEnd: true)
        case (.value, 0x5B):
            open.append(false)
            expected = .value(orEnd: true)
        case (.value, 0x22): expected = .text(isName: false)
        case (.name, 0x22): expected = .text(isName: true)
        case (.colon, 0x3A): expected = .value(orEnd: false)
        case (.commaOrEnd, 0x2C):
            expected = open.last == true ? .name(orEnd: false) : .value(orEnd: false)
        case (.commaOrEnd, 0x7D), (.name(orEnd: true), 0x7D):
            guard open.popLast() == true else { return false }
            expected = .commaOrEnd
        case (.commaOrEnd, 0x5D), (.value(orEnd: true), 0x5D):
            guard open.popLast() == false else { return false }
            expected = .commaOrEnd
        case (.value, _):
            guard !Self.endsWord(byte), byte > 0x20 else { return false }
            expected = .word
        default: return false
        }
        return true
    }

    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// White space, a bracket, a comma, a colon or a quote.
    private static func endsWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20, 0x0A, 0x0D, 0x09, 0x2C, 0x3A, 0x5B, 0x5D, 0x7B, 0x7D, 0x22: true
        default: false
        }
    }
}
