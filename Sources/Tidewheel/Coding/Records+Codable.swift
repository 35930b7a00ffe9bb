public import Queueing
public import Records

extension Record: Codable {
    /// Reads an object of any coder.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: NameKey.self)
        self.init(
            try container.allKeys.map {
                Field($0.stringValue, try container.decode(Value.self, forKey: $0))
            })
    }

    /// Writes an object to any coder; of a repeated name only the last counts there.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: NameKey.self)
        for field in fields {
            try container.encode(field.value, forKey: NameKey(stringValue: field.name))
        }
    }
}

extension Value: Codable {
    /// Reads a JSON value of any coder.
    public init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: NameKey.self) {
            self = .object(
                try container.allKeys.map {
                    Field($0.stringValue, try container.decode(Value.self, forKey: $0))
                })
            return
        }
        if var container = try? decoder.unkeyedContainer() {
            var items: [Value] = []
            while !container.isAtEnd { items.append(try container.decode(Value.self)) }
            self = .array(items)
            return
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else {
            self = .string(try container.decode(String.self))
        }
    }

    /// Writes a JSON value to any coder; a decimal that no `Double` holds is the nearest one there.
    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .object(let fields): try Record(fields).encode(to: encoder)
        case .array(let items):
            var container = encoder.unkeyedContainer()
            for item in items { try container.encode(item) }
        default:
            var container = encoder.singleValueContainer()
            switch self {
            case .boolean(let value): try container.encode(value)
            case .integer(let value): try container.encode(value)
            case .string(let text): try container.encode(text)
            case .null: try container.encodeNil()
            default: try container.encode(double ?? 0)
            }
        }
    }
}

/// Any name of a field.
private struct NameKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
}

extension NewMessage {
    /// A message whose payload is a value of a Swift type as JSON.
    ///
    /// - Throws: `EncodingError` when the value holds a number that JSON cannot say.
    public init(encoding value: some Encodable) throws {
        self.init(try Value(encoding: value).json)
    }
}

extension Message {
    /// The payload, which is JSON, as a value of a Swift type.
    ///
    /// - Throws: ``JSONError`` when the payload is no JSON, `DecodingError` when it does not fit.
    public func decode<Decoded: Decodable>(_ type: Decoded.Type = Decoded.self) throws -> Decoded {
        var reader = JSONReader(payload)
        return try reader.readDocument().decode(type)
    }
}
