/// A JSON value.
///
/// Equal means the same JSON value: `1` and `1.0` are equal, the order of an object's fields does
/// not matter, and of a repeated name the last counts.
public enum Value: Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case boolean(Bool)
    /// A number without point and exponent that fits 64 bits.
    case integer(Int64)
    /// A number with a point or an exponent, or `-0`.
    case number(Double)
    /// The text of a number that neither of the two can hold without changing it.
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

    /// The nearest floating point number; nil for anything that is no number.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .decimal(let text): Double(text)
        default: nil
        }
    }
}

extension Value: Hashable {
    /// Compares JSON values.
    public static func == (left: Value, right: Value) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.boolean(let left), .boolean(let right)): left == right
        case (.integer(let left), .integer(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.integer(let integer), .number(let number)),
            (.number(let number), .integer(let integer)):
            Int64(exactly: number) == integer
        case (.decimal(let left), .decimal(let right)): isSameDecimal(left, right)
        case (.decimal(let decimal), .integer), (.decimal(let decimal), .number):
            isSameDecimal(decimal, right.text)
        case (.integer, .decimal(let decimal)), (.number, .decimal(let decimal)):
            isSameDecimal(decimal, left.text)
        case (.string(let left), .string(let right)): isSameText(left, right)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): isSameObject(left, right)
        default: false
        }
    }

    /// Hashes so that equal JSON values have equal hashes.
    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .boolean(let value): hasher.combine(value)
        case .integer, .number, .decimal: hasher.combine(double)
        case .string(let text): hasher.combine(text)
        case .array(let items): hasher.combine(items)
        case .object(let fields):
            var sum = 0
            for index in Self.lastIndices(fields).values { sum ^= fields[index].hashValue }
            hasher.combine(sum)
        }
    }

    private static func isSameDecimal(_ left: String, _ right: String) -> Bool {
        if isSameText(left, right) { return true }
        guard let left = Numeral(left.utf8), let right = Numeral(right.utf8) else { return false }
        return left == right
    }

    private static func isSameObject(_ left: [Field], _ right: [Field]) -> Bool {
        let leftIndices = lastIndices(left)
        let rightIndices = lastIndices(right)
        return leftIndices.count == rightIndices.count
            && leftIndices.allSatisfy { name, index in
                rightIndices[name].map { right[$0].value == left[index].value } ?? false
            }
    }

    /// Where each name, by its bytes, stands last.
    private static func lastIndices(_ fields: [Field]) -> [[UInt8]: Int] {
        Dictionary(
            fields.enumerated().map { (Array($1.name.utf8), $0) }, uniquingKeysWith: { $1 })
    }
}

extension Value: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
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
    /// An object with its fields in the order written.
    public init(dictionaryLiteral elements: (String, Value)...) {
        self = .object(elements.map { Field($0.0, $0.1) })
    }
}
