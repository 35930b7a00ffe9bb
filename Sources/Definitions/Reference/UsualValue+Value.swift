internal import Connecting
internal import Records

extension UsualValue {
    /// The value as JSON; nil when no value says the same.
    var value: Value? {
        switch self {
        case .flag(let value): .boolean(value)
        case .integer(let value): .integer(Int64(value))
        case .number(let value):
            Int64(exactly: value).map { .integer($0) } ?? .number(value)
        case .described: nil
        default: text.map { .string($0) }
        }
    }
}

/// The JSON value of YAML in a specification.
func yaml(_ text: String) -> Value {
    var reader = YAMLReader(file: "example")
    guard let setting = reader.read(text), reader.findings.isEmpty else {
        preconditionFailure("the example cannot be read: \(text)")
    }
    return setting.value
}
