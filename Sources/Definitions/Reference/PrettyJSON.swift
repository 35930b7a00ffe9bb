internal import Records

/// JSON for people: a field a line, but what is short on one.
enum PrettyJSON {
    private static let width = 80

    /// The text with a line break at its end.
    static func bytes(of value: Value) -> [UInt8] {
        var bytes: [UInt8] = []
        append(value, depth: 0, to: &bytes)
        return bytes + [0x0A]
    }

    private static func append(_ value: Value, depth: Int, to bytes: inout [UInt8]) {
        let flat = spaced(value)
        if flat.count + 2 * depth <= width {
            bytes += flat
            return
        }
        switch value {
        case .array(let items):
            lines("[", "]", items.count, depth, &bytes) { index, bytes in
                append(items[index], depth: depth + 1, to: &bytes)
            }
        case .object(let fields):
            lines("{", "}", fields.count, depth, &bytes) { index, bytes in
                bytes.appendJSONString(fields[index].name)
                bytes += ": ".utf8
                append(fields[index].value, depth: depth + 1, to: &bytes)
            }
        default: bytes += flat
        }
    }

    private static func lines(
        _ open: String, _ close: String, _ count: Int, _ depth: Int, _ bytes: inout [UInt8],
        _ item: (Int, inout [UInt8]) -> Void
    ) {
        bytes += open.utf8
        for index in 0..<count {
            bytes += "\(index == 0 ? "" : ",")\n".utf8
            bytes += repeatElement(0x20, count: 2 * (depth + 1))
            item(index, &bytes)
        }
        bytes += "\n".utf8
        bytes += repeatElement(0x20, count: 2 * depth)
        bytes += close.utf8
    }

    /// On one line, with spaces between.
    private static func spaced(_ value: Value) -> [UInt8] {
        var bytes: [UInt8] = []
        switch value {
        case .array(let items):
            bytes += "[".utf8
            for (index, item) in items.enumerated() {
                bytes += (index == 0 ? "" : ", ").utf8
                bytes += spaced(item)
            }
            bytes += "]".utf8
        case .object(let fields):
            bytes += "{".utf8
            for (index, field) in fields.enumerated() {
                bytes += (index == 0 ? "" : ", ").utf8
                bytes.appendJSONString(field.name)
                bytes += ": ".utf8
                bytes += spaced(field.value)
            }
            bytes += "}".utf8
        default: bytes += value.json
        }
        return bytes
    }
}
