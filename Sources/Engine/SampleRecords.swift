internal import Definitions
internal import Records
internal import Scripting

/// Records to try an aggregate on: fields of the pipeline's schemas, and for every other field that
/// the script mentions a value of some type. The same in every run.
///
/// Nobody says of which type such a field is, so each set of records takes types by chance; a set
/// that the script cannot use tells nothing.
struct SampleRecords {
    /// What a field may hold when no schema says so.
    private enum Guess: CaseIterable { case number, integer, literal, text, time, list, object }

    private var properties: [Field] = []
    private var mentioned: [String]
    private let literals: [String]
    private var times: Set<String>
    private var guesses: [String: Guess] = [:]
    private var state: UInt64 = 0x5EED

    init(plan: Plan, script: [UInt8]) {
        for path in plan.schemas.keys.sorted() {
            var reader = JSONReader(plan.ruleSet.bytes(of: path) ?? [])
            guard case .object(let schema)? = try? reader.readDocument(),
                case .object(let known)? = Record(schema)["properties"]
            else { continue }
            properties += known
        }
        let known = Set(properties.map(\.name))
        mentioned = Self.names(in: script).filter { !known.contains($0) }
        literals = Self.texts(in: script)
        times = Self.times(in: script)
        if let time = plan.definition.time, time.format == .rfc3339 { times.insert(time.field) }
    }

    /// Names behind a dot, as in `r.price`, but not those of libraries, as in `math.max`.
    private static func names(in script: [UInt8]) -> [String] {
        var names: [String] = []
        let parts = script.split(separator: 0x2E, omittingEmptySubsequences: false)
        for (before, part) in zip(parts, parts.dropFirst()) {
            let owner = String(
                decoding: before.reversed().prefix(while: isNamePart).reversed(), as: UTF8.self)
            let name = part.prefix(while: isNamePart)
            let text = String(decoding: name, as: UTF8.self)
            guard let first = name.first, first > 0x39, !libraries.contains(owner) else { continue }
            if !names.contains(text) { names.append(text) }
        }
        return Array(names.prefix(64))
    }

    private static let libraries = [
        "math", "string", "table", "time", "json", "hash", "utf8", "state", "_ENV",
    ]

    /// The last names of what is given to `time.parse`: these fields hold times.
    private static func times(in script: [UInt8]) -> Set<String> {
        var names: Set<String> = []
        var rest = script[...]
        while let at = rest.firstRange(of: Array("time.parse(".utf8)) {
            rest = rest[at.upperBound...]
            let path = rest.prefix { isNamePart($0) || $0 == 0x2E }
            if let last = path.split(separator: 0x2E).last {
                names.insert(String(decoding: last, as: UTF8.self))
            }
        }
        return names
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return byte == 0x5F || (lower >= 0x61 && lower <= 0x7A) || (byte >= 0x30 && byte <= 0x39)
    }

    /// Short texts between quotes: what a script compares with.
    private static func texts(in script: [UInt8]) -> [String] {
        var texts: [String] = []
        for quote: UInt8 in [0x22, 0x27] {
            let parts = script.split(separator: quote, omittingEmptySubsequences: false)
            for (index, part) in parts.enumerated()
            where index % 2 == 1 && part.count < 40 && !part.contains(0x0A) {
                texts.append(String(decoding: part, as: UTF8.self))
            }
        }
        return Array(texts.prefix(32))
    }

    /// The next set of records, as JSON texts.
    mutating func next(_ count: Int) -> [[UInt8]] {
        for name in mentioned {
            // Most fields that are added up are numbers.
            let cases: [Guess] = [.number, .number, .number] + Guess.allCases
            let guess = cases[Int(random() % UInt64(cases.count))]
            guesses[name] = times.contains(name) ? .time : guess
        }
        return (0..<count).map { _ in record() }
    }

    private mutating func record() -> [UInt8] {
        var fields: [Field] = []
        for property in properties {
            guard case .object(let schema) = property.value else { continue }
            fields.append(Field(property.name, value(for: Record(schema))))
        }
        for name in mentioned { fields.append(Field(name, value(as: guesses[name] ?? .number))) }
        return Value.object(fields).json
    }

    private mutating func value(as guess: Guess) -> Value {
        switch guess {
        case .number: return .number(Double(random() % 100_000) / 1000)
        case .integer: return .integer(Int64(random() % 100))
        case .text: return .string("s\(random() % 4)")
        case .literal:
            if literals.isEmpty { return .string("s\(random() % 4)") }
            return .string(literals[Int(random() % UInt64(literals.count))])
        case .time: return .string("2025-01-01T00:00:0\(random() % 10).000Z")
        case .list:
            let items = (0..<(random() % 4)).map { _ in inner() }
            return .array(items)
        case .object: return inner()
        }
    }

    /// An object that has every field as a number or a text.
    private mutating func inner() -> Value {
        var fields: [Field] = []
        for name in mentioned {
            let isText = guesses[name] == .text || guesses[name] == .literal
            fields.append(Field(name, value(as: isText ? .text : .number)))
        }
        return .object(fields)
    }

    private mutating func value(for schema: Record) -> Value {
        if case .array(let choices)? = schema["enum"], !choices.isEmpty {
            return choices[Int(random() % UInt64(choices.count))]
        }
        var type = schema["type"]?.text ?? "number"
        if case .array(let types)? = schema["type"] { type = types.first?.text ?? "number" }
        // Bounds may be anything; what is too large for an Int must not be converted.
        let least = max(-1e9, min(schema["minimum"]?.double ?? 0, 1e9))
        let most = max(least, min(schema["maximum"]?.double ?? least + 100, least + 100))
        switch type {
        case "string":
            if schema["format"]?.text == "date-time" { return value(as: .time) }
            return value(as: .text)
        case "boolean": return .boolean(random() % 2 == 0)
        case "integer":
            return .integer(Int64(least) + Int64(random() % UInt64(most - least + 1)))
        case "array": return .array([])
        case "object": return .object([])
        default: return .number(least + (most - least) * Double(random() % 1000) / 1000)
        }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    private mutating func random() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
