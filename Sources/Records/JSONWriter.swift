/// Writes values as JSON text without spaces.
public struct JSONWriter {
    /// What was written.
    public private(set) var bytes: [UInt8] = []

    /// Creates an empty writer.
    public init() {}

    /// Appends a value.
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
    public mutating func write(_ text: String) {
        bytes.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C: bytes += [0x5C, byte]
            case 0x0A: bytes += "\\n".utf8
            case 0x0D: bytes += "\\r".utf8
            case 0x09: bytes += "\\t".utf8
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes += "\\u00".utf8
                bytes += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        bytes.append(0x22)
    }

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
