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

    /// Equal when the names have the same bytes and the values are equal.
    public static func == (left: Field, right: Field) -> Bool {
        isSameText(left.name, right.name) && left.value == right.value
    }
}

/// Compares bytes: Swift's `==` takes "é" and "e" with an accent for the same, JSON does not.
func isSameText(_ left: String, _ right: String) -> Bool {
    left.utf8.elementsEqual(right.utf8)
}
