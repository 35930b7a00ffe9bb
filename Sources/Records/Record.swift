/// A JSON object as Swift sees it: fields in their order. Rules work on the bytes instead.
///
/// Records are equal when they are the same JSON value, whatever the order of their fields.
public struct Record: Sendable, CustomStringConvertible {
    /// The fields in their order; a name may stand there twice, as in the source.
    public var fields: [Field]

    /// Creates a record from fields.
    public init(_ fields: [Field] = []) { self.fields = fields }

    /// Reads a JSON object.
    public init(json: some Sequence<UInt8>) throws(JSONError) {
        let text = Array(json)
        var reader = JSONReader(text)
        guard case .object(let fields) = try reader.readDocument() else {
            throw JSONError("not a JSON object", at: 0, of: text)
        }
        self.fields = fields
    }

    /// Reads a JSON object.
    public init(json: String) throws(JSONError) { try self.init(json: json.utf8) }

    /// The value of a field, the last one if the name is repeated.
    ///
    /// Setting changes that one or adds a field at the end; nil deletes all of that name.
    public subscript(name: String) -> Value? {
        get { fields.last { isSameText($0.name, name) }?.value }
        set {
            guard let newValue else {
                fields.removeAll { isSameText($0.name, name) }
                return
            }
            if let index = fields.lastIndex(where: { isSameText($0.name, name) }) {
                fields[index].value = newValue
            } else {
                fields.append(Field(name, newValue))
            }
        }
    }

    /// The JSON text.
    public var json: [UInt8] { Value.object(fields).json }

    /// The JSON text.
    public var description: String { String(decoding: json, as: UTF8.self) }
}

extension Record: Hashable {
    /// Compares JSON values.
    public static func == (left: Record, right: Record) -> Bool {
        Value.object(left.fields) == Value.object(right.fields)
    }

    /// Hashes so that equal records have equal hashes.
    public func hash(into hasher: inout Hasher) { hasher.combine(Value.object(fields)) }
}

extension Record: ExpressibleByDictionaryLiteral {
    /// Fields in the order written.
    public init(dictionaryLiteral elements: (String, Value)...) {
        self.init(elements.map { Field($0.0, $0.1) })
    }
}
