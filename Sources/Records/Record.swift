/// A JSON object as Swift sees it: fields in their order. Rules work on the bytes instead.
public struct Record: Sendable, Hashable, CustomStringConvertible {
    /// The fields in their order; a name may stand there twice, as in the source.
    public var fields: [Field]

    /// Creates a record from fields.
    public init(_ fields: [Field] = []) { self.fields = fields }

    /// Reads a JSON object.
    public init(json: some Sequence<UInt8>) throws(JSONError) {
        var reader = JSONReader(Array(json))
        guard case .object(let fields) = try reader.readDocument() else {
            throw JSONError(message: "not a JSON object", offset: 0)
        }
        self.fields = fields
    }

    /// Reads a JSON object.
    public init(json: String) throws(JSONError) { try self.init(json: Array(json.utf8)) }

    /// The value of a field, the last one if the name is repeated; nil deletes it.
    public subscript(name: String) -> Value? {
        get { fields.last { $0.name == name }?.value }
        set {
            guard let newValue else {
                fields.removeAll { $0.name == name }
                return
            }
            if let index = fields.lastIndex(where: { $0.name == name }) {
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

extension Record: ExpressibleByDictionaryLiteral {
    /// Fields in the order written.
    public init(dictionaryLiteral elements: (String, Value)...) {
        self.init(elements.map { Field($0.0, $0.1) })
    }
}
