public import Records

extension Record {
    /// The record as a value of a Swift type.
    ///
    /// A field that is missing or `null` is `nil` in an optional property. A number is taken for
    /// every type that can hold it exactly, so `3.0` is an `Int`; a decimal that no `Double` holds
    /// is the nearest one.
    ///
    /// - Throws: `DecodingError` with the path of the field that does not fit.
    public func decode<Decoded: Decodable>(_ type: Decoded.Type = Decoded.self) throws -> Decoded {
        try Value.object(fields).decode(type)
    }
}

extension Value {
    /// The JSON value as a value of a Swift type, like ``Record/decode(_:)``.
    public func decode<Decoded: Decodable>(_ type: Decoded.Type = Decoded.self) throws -> Decoded {
        try DecodingPlace(self, path: []).decode(type)
    }
}

/// A value that is being decoded, and where it stands.
struct DecodingPlace: Decoder {
    let value: Value
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ value: Value, path: [any CodingKey]) {
        self.value = value
        codingPath = path
    }

    func decode<Decoded: Decodable>(_ type: Decoded.Type) throws -> Decoded {
        if type == Value.self, let json = value as? Decoded { return json }
        if type == Record.self, case .object(let fields) = value,
            let record = Record(fields) as? Decoded
        {
            return record
        }
        return try type.init(from: self)
    }

    /// Why the value does not fit.
    func mismatch(_ type: Any.Type, _ expected: String) -> DecodingError {
        let found =
            switch value {
            case .null: "null"
            case .boolean: "a truth value"
            case .integer, .number, .decimal: "the number \(value.text)"
            case .string: "a text"
            case .array: "a list"
            case .object: "an object"
            }
        let context = DecodingError.Context(
            codingPath: codingPath, debugDescription: "\(expected) is expected, and it is \(found)")
        if case .null = value { return .valueNotFound(type, context) }
        return .typeMismatch(type, context)
    }

    func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
        let number: Number? =
            switch value {
            case .integer(let integer): Number(exactly: integer)
            case .number(let number): Number(exactly: number)
            case .decimal(let text): Number(text)
            default: nil
            }
        guard let number else { throw mismatch(type, "a number that fits \(type)") }
        return number
    }

    func double() throws -> Double {
        guard let number = value.double else { throw mismatch(Double.self, "a number") }
        return number
    }

    func container<Key: CodingKey>(
        keyedBy type: Key.Type
    ) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let fields) = value else {
            throw mismatch([String: Value].self, "an object")
        }
        return KeyedDecodingContainer(FieldDecoding<Key>(fields, place: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let items) = value else { throw mismatch([Value].self, "a list") }
        return ItemDecoding(items, place: self)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { ValueDecoding(place: self) }
}
