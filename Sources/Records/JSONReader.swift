/// Why a text is no JSON.
public struct JSONError: Error, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// The byte at which it is.
    public var offset: Int

    /// `message at byte offset`.
    public var description: String { "malformed JSON: \(message) at byte \(offset)" }
}

/// Reads JSON (RFC 8259) into values; strict, and bounded in depth.
public struct JSONReader {
    private let text: [UInt8]
    private let depthLimit: Int
    private var at = 0

    /// Begins at the start of a text.
    public init(_ text: [UInt8], depthLimit: Int = 500) {
        self.text = text
        self.depthLimit = depthLimit
    }

    /// The one value of the whole text.
    public mutating func readDocument() throws(JSONError) -> Value {
        guard String(validating: text, as: UTF8.self) != nil else { throw fail("not valid UTF-8") }
        let value = try readValue(depth: 0)
        skipSpace()
        guard at == text.count else { throw fail("text behind the end of the value") }
        return value
    }

    private func fail(_ message: String) -> JSONError { JSONError(message: message, offset: at) }

    private mutating func skipSpace() {
        while at < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[at]) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < text.count, text[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func readValue(depth: Int) throws(JSONError) -> Value {
        guard depth < depthLimit else { throw fail("nested too deeply") }
        skipSpace()
        guard at < text.count else { throw fail("a value is missing") }
        switch text[at] {
        case 0x22: return .string(try readString())
        case 0x7B: return .object(try readFields(depth: depth))
        case 0x5B: return .array(try readItems(depth: depth))
        case 0x74: return try readWord("true", .boolean(true))
        case 0x66: return try readWord("false", .boolean(false))
        case 0x6E: return try readWord("null", .null)
        default: return try readNumber()
        }
    }

    private mutating func readWord(_ word: String, _ value: Value) throws(JSONError) -> Value {
        guard text[at...].starts(with: word.utf8) else { throw fail("not a JSON value") }
        at += word.utf8.count
        return value
    }

    private mutating func readFields(depth: Int) throws(JSONError) -> [Field] {
        at += 1
        var fields: [Field] = []
        skipSpace()
        if take(0x7D) { return fields }
        repeat {
            skipSpace()
            guard at < text.count, text[at] == 0x22 else {
                throw fail("a field name in quotes is missing")
            }
            let name = try readString()
            skipSpace()
            guard take(0x3A) else { throw fail("\":\" is missing") }
            fields.append(Field(name, try readValue(depth: depth + 1)))
            skipSpace()
        } while take(0x2C)
        guard take(0x7D) else { throw fail("\",\" or \"}\" is missing") }
        return fields
    }

    private mutating func readItems(depth: Int) throws(JSONError) -> [Value] {
        at += 1
        var items: [Value] = []
        skipSpace()
        if take(0x5D) { return items }
        repeat {
            items.append(try readValue(depth: depth + 1))
            skipSpace()
        } while take(0x2C)
        guard take(0x5D) else { throw fail("\",\" or \"]\" is missing") }
        return items
    }

    private mutating func readDigits() -> Int {
        let start = at
        while at < text.count, text[at] >= 0x30, text[at] <= 0x39 { at += 1 }
        return at - start
    }

    private mutating func readNumber() throws(JSONError) -> Value {
        let start = at
        var isInteger = true
        _ = take(0x2D)
        if take(0x30) {
        } else if readDigits() == 0 {
            throw fail("not a JSON value")
        }
        if take(0x2E) {
            isInteger = false
            guard readDigits() > 0 else { throw fail("digits are missing in a number") }
        }
        if take(0x65) || take(0x45) {
            isInteger = false
            _ = take(0x2B) || take(0x2D)
            guard readDigits() > 0 else { throw fail("digits are missing in a number") }
        }
        let literal = String(decoding: text[start..<at], as: UTF8.self)
        if isInteger { return Int64(literal).map(Value.integer) ?? .decimal(literal) }
        guard let number = Double(literal), number.isFinite else { return .decimal(literal) }
        return .number(number)
    }

    private mutating func readString() throws(JSONError) -> String {
        at += 1
        var bytes: [UInt8] = []
        while at < text.count {
            let byte = text[at]
            at += 1
            switch byte {
            case 0x22: return String(decoding: bytes, as: UTF8.self)
            case 0x5C: try readEscape(into: &bytes)
            case 0..<0x20: throw fail("a control character inside a string")
            default: bytes.append(byte)
            }
        }
        throw fail("a string that never ends")
    }

    private mutating func readEscape(into bytes: inout [UInt8]) throws(JSONError) {
        guard at < text.count else { throw fail("a string that never ends") }
        let byte = text[at]
        at += 1
        switch byte {
        case 0x22, 0x5C, 0x2F: bytes.append(byte)
        case 0x6E: bytes.append(0x0A)
        case 0x74: bytes.append(0x09)
        case 0x72: bytes.append(0x0D)
        case 0x62: bytes.append(0x08)
        case 0x66: bytes.append(0x0C)
        case 0x75:
            var code = try readHex()
            if code & 0xFC00 == 0xD800, text[at...].starts(with: [0x5C, 0x75]) {
                at += 2
                let low = try readHex()
                if low & 0xFC00 == 0xDC00 {
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                } else {
                    at -= 6
                }
            }
            let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
            bytes += String(Character(scalar)).utf8
        default: throw fail("an escape that JSON does not know")
        }
    }

    private mutating func readHex() throws(JSONError) -> UInt32 {
        guard at + 4 <= text.count,
            let code = UInt32(String(decoding: text[at..<(at + 4)], as: UTF8.self), radix: 16),
            !text[at..<(at + 4)].contains(0x2B)
        else { throw fail("an escape that JSON does not know") }
        at += 4
        return code
    }
}
