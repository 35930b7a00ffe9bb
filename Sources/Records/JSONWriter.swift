/// Writes values as JSON text without spaces; doubles shortest, so that they read back the same.
public struct JSONWriter {
    /// What was written.
    public private(set) var bytes: [UInt8] = []

    /// Creates an empty writer.
    public init() {}

    /// Appends a value; what JSON cannot say (infinity, not a number) becomes `null`.
    public mutating func write(_ value: Value) {
        switch value {
        case .null: bytes += "null".utf8
        case .boolean(let value): bytes += (value ? "true" : "false").utf8
        case .integer(let value): bytes += String(value).utf8
        case .number(let value): bytes += (value.isFinite ? "\(value)" : "null").utf8
        case .decimal(let text): bytes += text.utf8
        case .string(let text): write(text)
        case .array(let items): writeList("[", "]", items) { $0.write($1) }
        case .object(let fields):
            writeList("{", "}", fields) { writer, field in
                writer.write(field.name)
                writer.bytes.append(0x3A)
                writer.write(field.value)
            }
        }
    }

    /// Appends a text in quotes.
    public mutating func write(_ text: String) { bytes.appendJSONString(text) }

    private mutating func writeList<Element>(
        _ open: String, _ close: String, _ items: [Element],
        _ write: (inout JSONWriter, Element) -> Void
    ) {
        bytes += open.utf8
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(0x2C) }
            write(&self, item)
        }
        bytes += close.utf8
    }
}

extension Array<UInt8> {
    /// Appends a text as a JSON string: in quotes, with escapes only where JSON demands them.
    package mutating func appendJSONString(_ text: String) {
        append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C: self += [0x5C, byte]
            case 0x0A: self += "\\n".utf8
            case 0x0D: self += "\\r".utf8
            case 0x09: self += "\\t".utf8
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                self += "\\u00".utf8
                self += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: append(byte)
            }
        }
        append(0x22)
    }
}

extension ByteBuffer {
    /// Appends a value's JSON text.
    public mutating func appendJSON(_ value: Value) {
        unsafe value.json.withUnsafeBytes { unsafe append($0) }
    }

    /// Appends a text as a JSON string, in quotes.
    public mutating func appendJSONString(_ text: String) { appendJSON(.string(text)) }
}
