/// The fields that a record is known to have.
public struct RecordShape: Sendable, Hashable {
    /// The fields, with what is known about the values in them.
    public var fields: [String: RecordShape]
    /// Whether there may be others.
    public var isOpen: Bool

    /// Creates a shape.
    public init(fields: [String: RecordShape] = [:], isOpen: Bool = false) {
        self.fields = fields
        self.isOpen = isOpen
    }

    /// Nothing is known.
    public static let open = RecordShape(isOpen: true)

    /// The fields of both; what only one of them knows is known.
    public func union(_ other: RecordShape) -> RecordShape {
        RecordShape(
            fields: fields.merging(other.fields) { $0.union($1) }, isOpen: isOpen && other.isOpen)
    }

    /// The first name of a path that is not known, and the names that it could have been.
    func unknown(in path: [String]) -> (index: Int, candidates: [String])? {
        var shape = self
        for (index, name) in path.enumerated() {
            if let inner = shape.fields[name] {
                shape = inner
            } else {
                return shape.isOpen ? nil : (index, shape.fields.keys.sorted())
            }
        }
        return nil
    }
}

/// What a rule file may count on.
public struct RuleSurroundings: Sendable {
    /// The function that must be there.
    public var needs: String?
    /// The columns of each lookup table; nil where they are not known.
    public var lookups: [String: [String]?] = [:]
    /// The names that `require` knows.
    public var modules: [String] = []
    /// The fields of the records that come in.
    public var shape = RecordShape.open

    /// Creates empty surroundings.
    public init(needs: String? = nil) { self.needs = needs }
}
