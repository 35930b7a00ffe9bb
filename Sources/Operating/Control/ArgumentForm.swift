internal import Connecting
internal import Queueing
package import Records

/// Which values an argument of a verb takes. Whoever connects may send anything, so every request
/// is held against these before a verb sees it.
package enum ArgumentForm: Sendable {
    /// `true` or `false`.
    case flag
    /// A text of at most so many bytes.
    case text(most: Int)
    /// A list of texts.
    case texts
    /// A whole number.
    case integer(ClosedRange<Int64>)
    /// A share of 1.
    case share
    /// A duration such as `30s`, of whole milliseconds; zero only where it means something.
    case duration(allowsZero: Bool)
    /// A time as RFC 3339 says.
    case time
    /// One of some words.
    case word([String])
    /// Names with texts.
    case headers

    /// A name, an id or a reason.
    package static let name = ArgumentForm.text(most: 64 << 10)
    /// What a script or a message is.
    package static let content = ArgumentForm.text(most: .max)
    /// How many of something are wanted.
    package static let count = ArgumentForm.integer(1...Int64.max)
    /// How many things one answer may hold.
    package static let amount = ArgumentForm.integer(1...1_000_000)
    /// Milliseconds that somebody waits, at most an hour.
    package static let pause = ArgumentForm.integer(10...3_600_000)

    /// Ten years; sums of times stay far from the end of what numbers can hold.
    private static let longest: Int64 = 3650 * 86_400_000_000_000

    /// True for a value that it takes.
    package func takes(_ value: Value) -> Bool {
        switch (self, value) {
        case (.flag, .boolean): true
        case (.text(let most), .string(let text)):
            text.utf8.count <= most && (most == .max || !text.utf8.contains(0))
        case (.texts, .array(let items)):
            items.allSatisfy { Self.name.takes($0) }
        case (.integer(let range), .integer(let number)): range.contains(number)
        case (.share, .integer(let number)): (0...1).contains(number)
        case (.share, .number(let number)): (0...1).contains(number)
        case (.duration(let allowsZero), .string(let text)):
            Self.isDuration(text, allowsZero: allowsZero)
        case (.time, .string(let text)): TimeText.microseconds(text) != nil
        case (.word(let words), .string(let text)): words.contains(text)
        case (.headers, .object(let fields)):
            fields.allSatisfy { Self.name.takes(.string($0.name)) && Self.name.takes($0.value) }
        default: false
        }
    }

    private static func isDuration(_ text: String, allowsZero: Bool) -> Bool {
        guard text.utf8.count <= 64, let duration = parseDuration(text) else { return false }
        return duration >= (allowsZero ? 0 : 1) && duration <= longest
            && duration % 1_000_000 == 0
    }

    /// What it takes, in words that follow on "must be".
    package var words: String {
        switch self {
        case .flag: "true or false"
        case .text(most: .max): "a text"
        case .text(let most): "a text of at most \(most) bytes without NUL"
        case .texts: "a list of texts"
        case .integer(let range) where range.upperBound == .max:
            "a whole number of at least \(range.lowerBound)"
        case .integer(let range):
            "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .share: "a number from 0 to 1"
        case .duration(true): "a duration such as 500ms, 2s or 10m, at most ten years"
        case .duration(false): "a duration above zero such as 500ms, 2s or 10m, at most ten years"
        case .time: "a time as RFC 3339 says, such as 2026-11-23T15:00:00Z"
        case .word(let words): "one of \(words.joined(separator: ", "))"
        case .headers: "an object of texts"
        }
    }
}
