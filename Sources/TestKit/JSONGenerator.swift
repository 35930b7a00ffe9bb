/// Random JSON texts with everything that is allowed and odd: spaces, escapes, repeated keys,
/// huge numbers, deep nesting.
public struct JSONGenerator {
    /// Where the randomness comes from.
    public var random: SeededRandom

    /// Creates a generator.
    public init(_ random: SeededRandom) { self.random = random }

    private mutating func pick(_ choices: [String]) -> String {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    private mutating func space() -> String { pick(["", "", "", "", " ", "  ", "\t"]) }

    /// A JSON string with its quotes.
    public mutating func string() -> String {
        let pieces = [
            "a", "b", "key", "x1", "é", "日本", "🙂", "\\n", "\\\"", "\\\\", "\\u00e9",
            "\\ud83d\\ude42",
            " ", "{", "]", ",", ":", "\\/",
        ]
        return "\""
            + (0..<Int.random(in: 0..<6, using: &random)).map { _ in pick(pieces) }.joined() + "\""
    }

    /// Any JSON value.
    public mutating func value(depth: Int) -> String {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &random) {
        case 0: return pick(["true", "false"])
        case 1: return "null"
        case 2, 3:
            return pick([
                "0", "-0", "1", "-17", "1.10", "2.5e3", "1E400", "12345678901234567890",
                "9007199254740993", "0.1", "-1e-7", "9223372036854775807", "1.0",
            ])
        case 4, 5: return string()
        case 6, 7: return object(depth: depth - 1)
        default:
            let items = (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                space() + value(depth: depth - 1) + space()
            }
            return "[" + items.joined(separator: ",") + "]"
        }
    }

    /// A JSON object.
    public mutating func object(depth: Int) -> String {
        let members = (0..<Int.random(in: 0..<7, using: &random)).map { _ in
            space() + pick(["\"a\"", "\"b\"", "\"c\"", "\"d\"", string()]) + space() + ":" + space()
                + value(depth: depth) + space()
        }
        return "{" + members.joined(separator: ",") + "}"
    }
}
