/// Reads JSON (RFC 8259) into values: strict, bounded in depth, and without recursion.
///
/// Repeated names are kept. The escape of a lone surrogate reads as U+FFFD.
public struct JSONReader {
    /// A list or an object whose end was not seen yet.
    private struct Container {
        var isObject: Bool
        var name = ""
        var items: [Value] = []
        var fields: [Field] = []

        var value: Value { isObject ? .object(fields) : .array(items) }

        mutating func add(_ value: Value) {
            if isObject { fields.append(Field(name, value)) } else { items.append(value) }
        }
    }

    private let text: [UInt8]
    private let depthLimit: Int
    private var at = 0
    private var open: [Container] = []

    /// Begins at the start of a text; at most `depthLimit` lists and objects may be nested.
    public init(_ text: [UInt8], depthLimit: Int = 1000) {
        self.text = text
        self.depthLimit = depthLimit
    }

    /// Begins at the start of a text, which is copied.
    public init(_ text: UnsafeRawBufferPointer, depthLimit: Int = 1000) {
        unsafe self.init(Array(text), depthLimit: depthLimit)
    }

    /// The one value of the whole text; to be called once.
    public mutating func readDocument() throws(JSONError) -> Value {
        try checkEncoding()
        while true {
            skipSpace()
            guard var value = try readStart() else { continue }
            while let isObject = open.last?.isObject {
                open[open.count - 1].add(value)
                skipSpace()
                if take(0x2C) {
                    if isObject { try readName() }
                    break
                }
                guard take(isObject ? 0x7D : 0x5D) else {
                    throw fail("\",\" or \"\(isObject ? "}" : "]")\" is missing")
                }
                value = open.removeLast().value
            }
            guard open.isEmpty else { continue }
            skipSpace()
            guard at == text.count else { throw fail("text behind the end of the value") }
            return value
        }
    }

    private func checkEncoding() throws(JSONError) {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: text.span)
        } catch {
            throw JSONError("not valid UTF-8", at: error.byteOffsets.lowerBound, of: text)
        }
    }

    /// Reads a whole value, or only the start of a list or object that is not empty: then nil.
    private mutating func readStart() throws(JSONError) -> Value? {
        guard at < text.count else { throw fail("a value is missing") }
        switch text[at] {
        case 0x22: return .string(try readString())
        case 0x7B, 0x5B: return try readOpening()
        case 0x74: return try readWord("true", .boolean(true))
        case 0x66: return try readWord("false", .boolean(false))
        case 0x6E: return try readWord("null", .null)
        default: return try readNumber()
        }
    }

    private mutating func readOpening() throws(JSONError) -> Value? {
        guard open.count < depthLimit else { throw fail("nested too deeply") }
        let container = Container(isObject: text[at] == 0x7B)
        at += 1
        skipSpace()
        if take(container.isObject ? 0x7D : 0x5D) { return container.value }
        open.append(container)
        if container.isObject { try readName() }
        return nil
    }

    private mutating func readName() throws(JSONError) {
        skipSpace()
        guard at < text.count, text[at] == 0x22 else {
            throw fail("a field name in quotes is missing")
        }
        open[open.count - 1].name = try readString()
        skipSpace()
        guard take(0x3A) else { throw fail("\":\" is missing") }
    }

    private mutating func readWord(_ word: String, _ value: Value) throws(JSONError) -> Value {
        guard text[at...].starts(with: word.utf8) else { throw fail("not a JSON value") }
        at += word.utf8.count
        return value
    }
}

extension JSONReader {
    private func fail(_ message: String) -> JSONError { JSONError(message, at: at, of: text) }

    private mutating func skipSpace() {
        while at < text.count {
            switch text[at] {
            case 0x20, 0x09, 0x0A, 0x0D: at += 1
            default: return
            }
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < text.count, text[at] == byte else { return false }
        at += 1
        return true
    }
}

// Numbers.
extension JSONReader {
    private mutating func readDigits() -> Int {
        let start = at
        while at < text.count, text[at] >= 0x30, text[at] <= 0x39 { at += 1 }
        return at - start
    }

    private mutating func readNumber() throws(JSONError) -> Value {
        let start = at
        var isInteger = true
        _ = take(0x2D)
        if !take(0x30), readDigits() == 0 {
            at = start
            throw fail("not a JSON value")
        }
        if take(0x2E) {
            isInteger = false
            guard readDigits() > 0 else { throw fail("digits are missing in a number") }
        }
        if take(0x65) || take(0x45) {
            isInteger = false
            if !take(0x2B) { _ = take(0x2D) }
            guard readDigits() > 0 else { throw fail("digits are missing in a number") }
        }
        return Self.number(text[start..<at], isInteger: isInteger)
    }

    private static func number(_ literal: ArraySlice<UInt8>, isInteger: Bool) -> Value {
        let text = String(decoding: literal, as: UTF8.self)
        if isInteger {
            guard let integer = Int64(text) else { return .decimal(text) }
            return integer == 0 && literal.first == 0x2D ? .number(-0.0) : .integer(integer)
        }
        guard let number = Double(text), number.isFinite, let exact = Numeral(literal) else {
            return .decimal(text)
        }
        // Up to 17 digits are what programs write for a double; more are kept if they say more.
        let isDouble =
            number.isNormal && exact.digits.count <= 17 || exact == Numeral("\(number)".utf8)
        return isDouble ? .number(number) : .decimal(text)
    }
}

// Strings.
extension JSONReader {
    private mutating func readString() throws(JSONError) -> String {
        at += 1
        var bytes: [UInt8] = []
        var start = at
        while at < text.count {
            switch text[at] {
            case 0x22:
                defer { at += 1 }
                if bytes.isEmpty { return String(decoding: text[start..<at], as: UTF8.self) }
                bytes += text[start..<at]
                return String(decoding: bytes, as: UTF8.self)
            case 0x5C:
                bytes += text[start..<at]
                bytes += String(try readEscape()).utf8
                start = at
            case 0..<0x20: throw fail("a control character inside a string")
            default: at += 1
            }
        }
        throw fail("a string that never ends")
    }

    private mutating func readEscape() throws(JSONError) -> Unicode.Scalar {
        guard at + 1 < text.count else {
            at = text.count
            throw fail("a string that never ends")
        }
        let letter = text[at + 1]
        guard letter != 0x75 else { return try readUnicodeEscape() }
        let scalar: Unicode.Scalar
        switch letter {
        case 0x22, 0x5C, 0x2F: scalar = Unicode.Scalar(letter)
        case 0x6E: scalar = "\n"
        case 0x74: scalar = "\t"
        case 0x72: scalar = "\r"
        case 0x62: scalar = "\u{08}"
        case 0x66: scalar = "\u{0C}"
        default: throw fail("an escape that JSON does not know")
        }
        at += 2
        return scalar
    }

    private mutating func readUnicodeEscape() throws(JSONError) -> Unicode.Scalar {
        guard let high = hexadecimal(at: at) else {
            throw fail("an escape that JSON does not know")
        }
        at += 6
        guard high & 0xFC00 == 0xD800, let low = hexadecimal(at: at), low & 0xFC00 == 0xDC00 else {
            return Unicode.Scalar(high) ?? "\u{FFFD}"
        }
        at += 6
        return Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)) ?? "\u{FFFD}"
    }

    /// The number in `\uXXXX` at a place; nil when something else stands there.
    private func hexadecimal(at place: Int) -> UInt32? {
        guard place + 6 <= text.count, text[place] == 0x5C, text[place + 1] == 0x75 else {
            return nil
        }
        var code: UInt32 = 0
        for byte in text[(place + 2)..<(place + 6)] {
            guard byte < 0x80, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                return nil
            }
            code = code << 4 | UInt32(digit)
        }
        return code
    }
}
