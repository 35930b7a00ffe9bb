public import Records

extension Record {
    /// A value of a Swift type as a record, its fields in the order in which they are encoded.
    ///
    /// Integers beyond 64 bits keep their digits, `nil` in an optional property leaves its field
    /// out, and types of Foundation are encoded as they encode themselves: a `Date` is a number of
    /// seconds since 2001, so give records a text of RFC 3339 or a number of your own instead.
    ///
    /// - Throws: `EncodingError` when the value is not encoded as an object, or holds a number that
    ///   JSON cannot say.
    public init(encoding value: some Encodable) throws {
        guard case .object(let fields) = try Value(encoding: value) else {
            throw EncodingError.invalidValue(
                value,
                EncodingError.Context(
                    codingPath: [], debugDescription: "a record is an object with fields"))
        }
        self.init(fields)
    }
}

extension Value {
    /// A value of a Swift type as a JSON value, like ``Record/init(encoding:)``.
    public init(encoding value: some Encodable) throws {
        let place = EncodingPlace(path: [])
        try place.encode(value)
        self = place.value ?? .object([])
    }
}

/// Where one value is encoded to: a value, or a list or an object that is being filled.
final class EncodingPlace: Encoder {
    private enum Content {
        case value(Value)
        case list([EncodingPlace])
        case object([(name: String, place: EncodingPlace)])
    }

    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any] = [:]
    private var content: Content?

    init(path: [any CodingKey]) { codingPath = path }

    /// What was encoded; nil when nothing was.
    var value: Value? {
        switch content {
        case nil: nil
        case .value(let value): value
        case .list(let places): .array(places.map { $0.value ?? .object([]) })
        case .object(let places):
            .object(places.map { Field($0.name, $0.place.value ?? .object([])) })
        }
    }

    /// A place for a field; encoding it again replaces it.
    func field(_ key: any CodingKey) -> EncodingPlace {
        let place = EncodingPlace(path: codingPath + [key])
        var fields: [(name: String, place: EncodingPlace)] = []
        if case .object(let known) = content { fields = known }
        // The list must not be copied for each field.
        content = nil
        if let index = fields.firstIndex(where: { $0.name == key.stringValue }) {
            fields[index].place = place
        } else {
            fields.append((key.stringValue, place))
        }
        content = .object(fields)
        return place
    }

    /// A place for the next item of a list.
    func item() -> EncodingPlace {
        var items: [EncodingPlace] = []
        if case .list(let known) = content { items = known }
        content = nil
        let place = EncodingPlace(path: codingPath + [IndexKey(items.count)])
        items.append(place)
        content = .list(items)
        return place
    }

    var itemCount: Int { if case .list(let items) = content { items.count } else { 0 } }

    func beginObject() { if case .object = content {} else { content = .object([]) } }
    func beginList() { if case .list = content {} else { content = .list([]) } }

    func set(_ value: Value) { content = .value(value) }

    func encode(_ value: some Encodable) throws {
        if let json = value as? Value { return set(json) }
        if let record = value as? Record { return set(.object(record.fields)) }
        try value.encode(to: self)
    }

    func set(_ number: Double, from value: some Encodable) throws {
        guard number.isFinite else {
            throw EncodingError.invalidValue(
                value,
                EncodingError.Context(
                    codingPath: codingPath, debugDescription: "JSON has no such number"))
        }
        set(.number(number))
    }

    func set(_ integer: some BinaryInteger) {
        set(Int64(exactly: integer).map { .integer($0) } ?? .decimal("\(integer)"))
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        beginObject()
        return KeyedEncodingContainer(FieldEncoding<Key>(place: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        beginList()
        return ItemEncoding(place: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { ValueEncoding(place: self) }
}

/// The place of an item in a list.
struct IndexKey: CodingKey {
    let index: Int
    init(_ index: Int) { self.index = index }
    init?(intValue: Int) { index = intValue }
    init?(stringValue: String) { return nil }
    var intValue: Int? { index }
    var stringValue: String { "Index \(index)" }
}
