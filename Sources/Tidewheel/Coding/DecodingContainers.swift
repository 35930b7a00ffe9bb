internal import Records

/// Reads the fields of an object; of a repeated name the last counts.
struct FieldDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let fields: [String: Value]
    private let place: DecodingPlace
    let allKeys: [Key]
    var codingPath: [any CodingKey] { place.codingPath }

    init(_ fields: [Field], place: DecodingPlace) {
        self.fields = Dictionary(
            fields.map { ($0.name, $0.value) }, uniquingKeysWith: { _, last in last })
        self.place = place
        var seen: Set<String> = []
        allKeys = fields.compactMap {
            seen.insert($0.name).inserted ? Key(stringValue: $0.name) : nil
        }
    }

    func contains(_ key: Key) -> Bool { fields[key.stringValue] != nil }

    func decodeNil(forKey key: Key) throws -> Bool {
        if case .null = try self.place(key).value { true } else { false }
    }

    func decode<Decoded: Decodable>(_ type: Decoded.Type, forKey key: Key) throws -> Decoded {
        try self.place(key).decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try self.place(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try self.place(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        DecodingPlace(fields["super"] ?? .null, path: codingPath + [SuperKey()])
    }

    func superDecoder(forKey key: Key) throws -> any Decoder { try self.place(key) }

    private func place(_ key: Key) throws -> DecodingPlace {
        guard let value = fields[key.stringValue] else {
            throw DecodingError.keyNotFound(
                key,
                DecodingError.Context(
                    codingPath: codingPath,
                    debugDescription: "there is no field \"\(key.stringValue)\""))
        }
        return DecodingPlace(value, path: codingPath + [key])
    }
}

/// Reads the items of a list.
struct ItemDecoding: UnkeyedDecodingContainer {
    private let items: [Value]
    private let place: DecodingPlace
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { place.codingPath }
    var count: Int? { items.count }
    var isAtEnd: Bool { currentIndex >= items.count }

    init(_ items: [Value], place: DecodingPlace) {
        self.items = items
        self.place = place
    }

    mutating func decodeNil() throws -> Bool {
        guard case .null = try next(Value?.self).value else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Decoded: Decodable>(_ type: Decoded.Type) throws -> Decoded {
        let decoded = try next(type).decode(type)
        currentIndex += 1
        return decoded
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        let container = try next([String: Value].self).container(keyedBy: type)
        currentIndex += 1
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try next([Value].self).unkeyedContainer()
        currentIndex += 1
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let decoder = try next(Value.self)
        currentIndex += 1
        return decoder
    }

    private func next(_ type: Any.Type) throws -> DecodingPlace {
        let path = codingPath + [IndexKey(currentIndex)]
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                type,
                DecodingError.Context(
                    codingPath: path, debugDescription: "the list has \(items.count) items only"))
        }
        return DecodingPlace(items[currentIndex], path: path)
    }
}

/// Reads one value.
struct ValueDecoding: SingleValueDecodingContainer {
    let place: DecodingPlace
    var codingPath: [any CodingKey] { place.codingPath }

    func decodeNil() -> Bool { if case .null = place.value { true } else { false } }

    func decode(_ type: Bool.Type) throws -> Bool {
        guard case .boolean(let value) = place.value else {
            throw place.mismatch(type, "true or false")
        }
        return value
    }

    func decode(_ type: String.Type) throws -> String {
        guard case .string(let text) = place.value else { throw place.mismatch(type, "a text") }
        return text
    }

    func decode(_ type: Double.Type) throws -> Double { try place.double() }
    func decode(_ type: Float.Type) throws -> Float { Float(try place.double()) }
    func decode(_ type: Int.Type) throws -> Int { try place.integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try place.integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try place.integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try place.integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try place.integer(type) }
    func decode(_ type: Int128.Type) throws -> Int128 { try place.integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try place.integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try place.integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try place.integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try place.integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try place.integer(type) }
    func decode(_ type: UInt128.Type) throws -> UInt128 { try place.integer(type) }
    func decode<Decoded: Decodable>(_ type: Decoded.Type) throws -> Decoded {
        try place.decode(type)
    }
}
