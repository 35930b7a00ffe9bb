/// How many arguments a function of the engine takes, read from its documentation.
struct LuaSignature: Sendable {
    /// `state:set(key, value [, {ttl = …}])`.
    var text: String
    /// At least so many.
    var least = 0
    /// At most so many; nil: any number.
    var most: Int?

    /// The signatures of everything that can be called, by the name under which a rule calls it.
    static let all: [String: LuaSignature] = Dictionary(
        RuleAPI.entries.compactMap { entry -> (String, LuaSignature)? in
            guard let signature = LuaSignature(entry) else { return nil }
            // Methods of the store are written with a colon.
            let name =
                entry.name.hasPrefix("state.") ? "state:\(entry.name.dropFirst(6))" : entry.name
            return (name, signature)
        }, uniquingKeysWith: { first, _ in first })

    private init?(_ entry: RuleAPIEntry) {
        var text = entry.signature
        if text.hasPrefix("return ") { text = String(text.dropFirst(7)) }
        guard !text.contains("  "), let open = text.firstIndex(of: "("), text.hasSuffix(")") else {
            return nil
        }
        self.text = text
        most = 0
        var brackets = 0
        var braces = 0
        var isInName = false
        for character in text[text.index(after: open)...].dropLast() {
            switch character {
            case "[": brackets += 1
            case "]": brackets -= 1
            case "{":
                if braces == 0 { count(isOptional: brackets > 0) }
                braces += 1
            case "}": braces -= 1
            case "…" where braces == 0: most = nil
            case _ where braces > 0: break
            case _ where character.isLetter || character.isNumber || character == "_":
                if !isInName { count(isOptional: brackets > 0) }
                isInName = true
                continue
            default: break
            }
            isInName = false
        }
        // Both may be called without a word, though nobody should.
        if ["drop", "reject"].contains(entry.name) { least = 0 }
    }

    private mutating func count(isOptional: Bool) {
        if !isOptional { least += 1 }
        most = most.map { $0 + 1 }
    }

    /// What is wrong with so many arguments; nil when nothing is.
    func problem(count: Int, isOpen: Bool) -> String? {
        let known = isOpen ? count - 1 : count
        if !isOpen, known < least {
            return "\(text) needs \(Self.arguments(least)), got \(known)"
        }
        if let most, known > most { return "\(text) takes \(Self.arguments(most)), got \(known)" }
        return nil
    }

    private static func arguments(_ count: Int) -> String {
        count == 0 ? "no arguments" : count == 1 ? "1 argument" : "\(count) arguments"
    }
}
