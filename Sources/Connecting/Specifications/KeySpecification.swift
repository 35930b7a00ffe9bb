/// One key of a configuration file, declared once.
///
/// Reading, findings, `tidewheel docs` and the JSON Schema for editors all go by it.
public struct KeySpecification: Sendable {
    /// The key as it is written.
    public var name: String
    /// Which values it takes.
    public var form: ValueForm
    /// True when its section does not do without it.
    public var isRequired: Bool
    /// What holds when the key is not there; nil when nothing does.
    public var usual: UsualValue?
    /// What it is for, in one sentence.
    public var summary: String
    /// A value in YAML that shows it.
    public var example: String

    /// A key that a section needs.
    ///
    /// - Parameters:
    ///   - summary: one sentence with its full stop.
    ///   - example: a value in YAML that the form accepts.
    public static func required(
        _ name: String, _ form: ValueForm, _ summary: String, example: String
    ) -> KeySpecification {
        KeySpecification(
            name: name, form: form, isRequired: true, usual: nil, summary: summary,
            example: example)
    }

    /// A key that may be left out.
    ///
    /// - Parameters:
    ///   - usual: what holds then; give it the very value that the code uses.
    ///   - summary: one sentence with its full stop.
    ///   - example: a value in YAML that the form accepts.
    public static func optional(
        _ name: String, _ form: ValueForm, usual: UsualValue? = nil, _ summary: String,
        example: String
    ) -> KeySpecification {
        KeySpecification(
            name: name, form: form, isRequired: false, usual: usual, summary: summary,
            example: example)
    }
}

/// What holds when a key is not there.
public enum UsualValue: Sendable, Hashable {
    /// `true` or `false`.
    case flag(Bool)
    /// A whole number.
    case integer(Int)
    /// A number.
    case number(Double)
    /// A share of 1, written as a percentage.
    case share(Double)
    /// A duration in nanoseconds.
    case nanoseconds(Int64)
    /// A duration in milliseconds.
    case milliseconds(Int64)
    /// A size in bytes.
    case bytes(Int)
    /// A text, as it would be written.
    case word(String)
    /// No single value: what happens instead, in words that go on a sentence.
    case described(String)

    /// As it would be written in YAML; nil when no value says the same.
    public var text: String? {
        switch self {
        case .flag(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): plain(value)
        case .share(let value): plain(value * 100) + "%"
        case .nanoseconds(let value): durationText(value)
        case .milliseconds(let value): durationText(value * 1_000_000)
        case .bytes(let value): byteSizeText(value)
        case .word(let value): value
        case .described: nil
        }
    }

    /// Whole numbers without a point.
    private func plain(_ number: Double) -> String {
        Int(exactly: number).map { "\($0)" } ?? "\(number)"
    }
}

/// What holds between the keys of a section.
public indirect enum KeyRule: Sendable {
    /// One of these keys must be there, and no other of them.
    case exactlyOne([String])
    /// One of these keys may be there; the text names what has them, such as `a route`.
    case atMostOne([String], of: String)
    /// At least one of these keys must be there.
    case atLeastOne([String])
    /// None of these keys may be there.
    case none([String])
    /// The first key says nothing without the second.
    case needs(String, String)
    /// The first key says nothing unless the second is `true`; the text says why.
    case needsTrue(String, String, why: String)
    /// The first key does not go with the others.
    case excludes(String, [String])
    /// All of the first rules hold, or all of the second.
    case either([KeyRule], [KeyRule])
}

/// The keys of one mapping of a configuration file, such as `commit` or `source.file`.
public struct SectionSpecification: Sendable {
    /// What findings and pages call it; names are unique.
    public var name: String
    /// What it is for, in a sentence or two.
    public var summary: String
    /// Its keys, in the order of the documentation.
    public var keys: [KeySpecification]
    /// What holds between them.
    public var rules: [KeyRule]

    /// Declares a section.
    public init(
        _ name: String, _ summary: String, keys: [KeySpecification], rules: [KeyRule] = []
    ) {
        self.name = name
        self.summary = summary
        self.keys = keys
        self.rules = rules
    }

    /// The place of a key among its keys; nil when it is not declared.
    func index(of name: String) -> Int? { keys.firstIndex { $0.name == name } }

    /// The keys of a rule that demands one of several; empty without such a rule.
    public var alternatives: [String] {
        for case .exactlyOne(let names) in rules { return names }
        return []
    }
}
