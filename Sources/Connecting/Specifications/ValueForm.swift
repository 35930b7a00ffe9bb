/// Which values a key takes.
public indirect enum ValueForm: Sendable {
    /// A text that is not empty, also a plain number or truth value; the words say what of, such
    /// as `a file`.
    case text(String)
    /// Letters, digits, `_`, `-` and perhaps dots.
    case name(NameForm)
    /// A text of one ASCII character other than a quote and a line break.
    case character
    /// Any text, number or truth value, also an empty text.
    case scalar
    /// `true` or `false`.
    case flag
    /// `true`.
    case onlyTrue
    /// A whole number.
    case integer(ClosedRange<Int>)
    /// A number.
    case number(ClosedRange<Double>)
    /// A percentage from 0% to 100%.
    case percentage
    /// A duration with its unit.
    case duration(DurationForm)
    /// A size with its unit, in bytes.
    case size(ClosedRange<Int>)
    /// One of several words.
    case choice([String])
    /// A text that a regular expression finds something in; the words say what it is.
    case pattern(String, String)
    /// A text, or a list of at least one; the words say what of, in the singular.
    case texts(String)
    /// A list.
    case list(ValueForm, isEmptyAllowed: Bool)
    /// A mapping whose names are free.
    case map(MapForm)
    /// A mapping of declared keys; made when it is asked for, since sections refer to each other.
    case section(@Sendable () -> SectionSpecification)
    /// One of several forms.
    case oneOf([ValueForm])
    /// Any value.
    case anything

    /// A mapping of declared keys.
    public static func nested(
        _ section: @autoclosure @escaping @Sendable () -> SectionSpecification
    ) -> ValueForm { .section(section) }

    /// The form itself and, of several, each.
    public var choices: [ValueForm] {
        if case .oneOf(let forms) = self { return forms.flatMap(\.choices) }
        return [self]
    }
}

/// Which names are taken.
public struct NameForm: Sendable, Hashable {
    /// Dots may stand in it.
    public var allowsDots: Bool
    /// Names that are the engine's own.
    public var reserved: [String]

    /// A form of names.
    public init(allowsDots: Bool = false, reserved: [String] = []) {
        self.allowsDots = allowsDots
        self.reserved = reserved
    }
}

/// A mapping whose names are free.
public struct MapForm: Sendable {
    /// What each name stands for.
    public var value: ValueForm
    /// Which names are taken; nil for any.
    public var names: NameForm?
    /// True when there may be no entry.
    public var isEmptyAllowed: Bool
    /// True when the key may stand without a value, which is no entry.
    public var isNullAllowed: Bool

    /// A form of mappings.
    public init(
        _ value: ValueForm, names: NameForm? = NameForm(), isEmptyAllowed: Bool = true,
        isNullAllowed: Bool = false
    ) {
        self.value = value
        self.names = names
        self.isEmptyAllowed = isEmptyAllowed
        self.isNullAllowed = isNullAllowed
    }
}

/// Which durations are taken; bounds are nanoseconds.
public struct DurationForm: Sendable, Hashable {
    /// The shortest one.
    public var minimum: Int64
    /// The longest one.
    public var maximum: Int64
    /// True when parts of a millisecond are refused, as event time has none.
    public var isWholeMilliseconds: Bool
    /// True when it may begin with a minus.
    public var isSigned: Bool

    /// A form of durations; above zero unless a minimum is given.
    public init(
        minimum: Int64 = 1, maximum: Int64 = .max, isWholeMilliseconds: Bool = false,
        isSigned: Bool = false
    ) {
        self.minimum = minimum
        self.maximum = maximum
        self.isWholeMilliseconds = isWholeMilliseconds
        self.isSigned = isSigned
    }

    /// Whole milliseconds above zero.
    public static let milliseconds = DurationForm(isWholeMilliseconds: true)
    /// Whole milliseconds, also none.
    public static let millisecondsOrZero = DurationForm(minimum: 0, isWholeMilliseconds: true)
}

extension ValueForm {
    /// What it is in words, such as `a duration above zero`.
    public var words: String {
        switch self {
        case .text(let words), .pattern(_, let words): words
        case .texts(let words): "\(words), or a list of them"
        case .name: "a name"
        case .character: "one character"
        case .scalar: "a text, a number, true or false"
        case .flag: "true or false"
        case .onlyTrue: "true"
        case .integer(let range): "a whole number \(bounds(of: range))"
        case .number(let range):
            range.lowerBound.isFinite
                ? "a number from \(Int(range.lowerBound)) to \(Int(range.upperBound))" : "a number"
        case .percentage: "a percentage from 0% to 100%"
        case .duration(let form): form.words
        case .size(let range): Self.words(ofSize: range)
        case .choice(let words):
            words.count == 1 ? words[0] : "one of \(words.joined(separator: ", "))"
        case .list(let form, _): "a list, each item \(form.words)"
        case .map(let form): "names, each with \(form.value.words)"
        case .section(let section): "a mapping (see \(section().name))"
        case .oneOf(let forms): forms.map(\.words).joined(separator: "; or ")
        case .anything: "any value"
        }
    }

    private func bounds(of range: ClosedRange<Int>) -> String {
        "from \(range.lowerBound)" + (range.upperBound == .max ? "" : " to \(range.upperBound)")
    }

    private static func words(ofSize range: ClosedRange<Int>) -> String {
        if range.lowerBound > 1 {
            return "a size from \(byteSizeText(range.lowerBound)) "
                + "to \(byteSizeText(range.upperBound))"
        }
        let most = range.upperBound == .max ? "" : ", \(byteSizeText(range.upperBound)) at most"
        return "a size above zero\(most)"
    }
}

extension DurationForm {
    /// What it is in words.
    var words: String {
        var words = "a duration"
        if minimum == 1 { words += " above zero" }
        if minimum > 1 { words += " of at least \(durationText(minimum))" }
        if isSigned { words += ", also with a minus" }
        if maximum < .max { words += ", \(durationText(maximum)) at most" }
        return words
    }
}
