package import Connecting
package import Records

extension Setting {
    /// The JSON value that a setting stands for: what JSON knows is taken for itself, every other
    /// plain word for a text.
    package var value: Value {
        switch content {
        case .null: return .null
        case .scalar(let text, quoted: true): return .string(text)
        case .scalar(let text, quoted: false): return Self.plain(text)
        case .sequence(let items): return .array(items.map(\.value))
        case .mapping(let entries): return .object(entries.map { Field($0.key, $0.value.value) })
        }
    }

    private static func plain(_ text: String) -> Value {
        if text == "true" { return .boolean(true) }
        if text == "false" { return .boolean(false) }
        guard let first = text.utf8.first, first == 0x2D || (0x30...0x39).contains(first) else {
            return .string(text)
        }
        var reader = JSONReader(Array(text.utf8))
        guard let value = try? reader.readDocument(), value.double != nil else {
            return .string(text)
        }
        return value
    }
}
