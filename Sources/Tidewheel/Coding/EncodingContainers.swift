internal import Records

/// Writes the fields of an object.
struct FieldEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let place: EncodingPlace
    var codingPath: [any CodingKey] { place.codingPath }

    func encodeNil(forKey key: Key) { place.field(key).set(.null) }
    func encode(_ value: some Encodable, forKey key: Key) throws {
        try place.field(key).encode(value)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { place.field(key).container(keyedBy: keyType) }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        place.field(key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { place.field(SuperKey()) }
    func superEncoder(forKey key: Key) -> any Encoder { place.field(key) }
}

/// The field in which a class puts what it has of its superclass.
struct SuperKey: CodingKey {
    init() {}
    init?(intValue: Int) { return nil }
    init?(stringValue: String) { return nil }
    var intValue: Int? { nil }
    var stringValue: String { "super" }
}

/// Writes the items of a list.
struct ItemEncoding: UnkeyedEncodingContainer {
    let place: EncodingPlace
    var codingPath: [any CodingKey] { place.codingPath }
    var count: Int { place.itemCount }

    func encodeNil() { place.item().set(.null) }
    func encode(_ value: some Encodable) throws { try place.item().encode(value) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type
    ) -> KeyedEncodingContainer<Nested> { place.item().container(keyedBy: keyType) }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        place.item().unkeyedContainer()
    }

    func superEncoder() -> any Encoder { place.item() }
}

/// Writes one value.
struct ValueEncoding: SingleValueEncodingContainer {
    let place: EncodingPlace
    var codingPath: [any CodingKey] { place.codingPath }

    func encodeNil() { place.set(.null) }
    func encode(_ value: Bool) { place.set(.boolean(value)) }
    func encode(_ value: String) { place.set(.string(value)) }
    func encode(_ value: Double) throws { try place.set(value, from: value) }
    func encode(_ value: Float) throws {
        // The shortest text of the smaller type, not its exact value.
        try place.set(Double("\(value)") ?? Double(value), from: value)
    }
    func encode(_ value: Int) { place.set(value) }
    func encode(_ value: Int8) { place.set(value) }
    func encode(_ value: Int16) { place.set(value) }
    func encode(_ value: Int32) { place.set(value) }
    func encode(_ value: Int64) { place.set(value) }
    func encode(_ value: Int128) { place.set(value) }
    func encode(_ value: UInt) { place.set(value) }
    func encode(_ value: UInt8) { place.set(value) }
    func encode(_ value: UInt16) { place.set(value) }
    func encode(_ value: UInt32) { place.set(value) }
    func encode(_ value: UInt64) { place.set(value) }
    func encode(_ value: UInt128) { place.set(value) }
    func encode(_ value: some Encodable) throws { try place.encode(value) }
}
