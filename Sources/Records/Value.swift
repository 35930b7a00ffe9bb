/// A JSON value.
public enum Value: Sendable, Hashable {
    /// `null`.
    case null
    /// `true` or `false`.
    case boolean(Bool)
    /// A number without point and exponent that fits 64 bits.
    case integer(Int64)
    /// A number with a point or an exponent.
    case number(Double)
    /// The text of a number that neither of the two can hold.
    case decimal(String)
    /// A text.
    case string(String)
    /// A list.
    case array([Value])
    /// Fields in their order.
    case object([Field])

    /// The value's JSON text.
    public var json: [UInt8] {
        var writer = JSONWriter()
        writer.write(self)
        return writer.bytes
    }

    /// A string as it is; any other value as its JSON text.
    public var text: String {
        if case .string(let text) = self { return text }
        return String(decoding: json, as: UTF8.self)
    }
}

/// A name and its value.
public struct Field: Sendable, Hashable {
    /// The name.
    public var name: String
    /// The value.
    public var value: Value

    /// Creates a field.
    public init(_ name: String, _ value: Value) {
        self.name = name
        self.value = value
    }
}

extension Value: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral,
    ExpressibleByArrayLiteral
{
    /// A text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A number.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// A truth value.
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    /// `null`.
    public init(nilLiteral: ()) { self = .null }
    /// A list.
    public init(arrayLiteral elements: Value...) { self = .array(elements) }
}
