internal import CScripting

/// Something in a rule file that is wrong or probably not meant.
public struct RuleFinding: Sendable, Hashable {
    /// The line, counted from 1.
    public var line: Int
    /// The column in characters, counted from 1.
    public var column: Int
    /// Which kind of mistake it is: `TW0203`.
    public var code: String
    /// What it is.
    public var message: String
    /// False for a warning.
    public var isError: Bool
}

/// Checks a rule file without running it.
public struct RuleLint {
    /// Finds the near name that a wrong one meant: `; did you mean "x"?`, or nothing.
    public typealias Suggest = (String, [String]) -> String

    private let file: String
    private let text: [UInt8]
    let facts: LuaFacts
    var found: [RuleFinding] = []

    /// Names that the engine calls or reads in a rule file.
    private static let hooks = ["process", "generate", "migrate", "state_version", "on_timer"]

    private static let parameters = [
        "process": "(r, meta)", "retry": "(message, attempt, error)", "match": "(message)",
    ]

    /// Begins with a file's text.
    public init(file: String, text: [UInt8]) {
        self.file = file
        self.text = text
        facts = LuaParser.facts(of: text)
    }

    /// All findings in the order of the file.
    public mutating func check(
        in surroundings: RuleSurroundings, suggest: Suggest
    ) -> [RuleFinding] {
        found = []
        if let problem = syntaxError() { return [problem] }
        checkGlobals(suggest)
        checkCalls(in: surroundings, suggest: suggest)
        checkFields(in: surroundings.shape, suggest: suggest)
        for local in facts.unusedLocals {
            warn("TW0213", local.place, "the local \"\(local.name)\" is never read")
        }
        for word in facts.wrongReturns {
            add(
                "TW0214", word.place,
                "process cannot return \(word.name): it returns nothing, the record, a list of "
                    + "records, or what drop, route or reject give")
        }
        let isDefined = facts.globals.contains {
            $0.name == surroundings.needs && $0.isAssigned && $0.isAtTop
        }
        if let function = surroundings.needs, !isDefined {
            add(
                "TW0202", LuaPlace(line: 1, column: 1),
                "the file defines no function \(function)"
                    + (Self.parameters[function] ?? "(i)"))
        }
        return found.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    /// Notes an error, each mistake once.
    mutating func add(_ code: String, _ place: LuaPlace, _ message: String, isError: Bool = true) {
        let isKnown = found.contains { $0.message == message }
        guard !isKnown else { return }
        found.append(
            RuleFinding(
                line: place.line, column: place.column, code: code, message: message,
                isError: isError))
    }

    /// Notes a warning.
    mutating func warn(_ code: String, _ place: LuaPlace, _ message: String) {
        add(code, place, message, isError: false)
    }

    // MARK: Syntax

    /// Lua names the line itself: `rules/x.lua:3: '=' expected near 'x'`.
    private func syntaxError() -> RuleFinding? {
        let status = unsafe withCharacters(text) { start, count in
            unsafe tw_lua_lines(file, start, count, { _, _, _, _ in }, nil)
        }
        guard status.code != 0 else { return nil }
        let message = RuleError(status).description
        let rest = message.hasPrefix(file + ":") ? message.dropFirst(file.count + 1) : message[...]
        let digits = rest.prefix { $0.isNumber }
        let line = max(1, Int(digits) ?? 1)
        var words = rest.dropFirst(digits.count)
        if words.hasPrefix(": ") { words = words.dropFirst(2) }
        return RuleFinding(
            line: line, column: column(of: words, line: line), code: "TW0201",
            message: "Lua: \(words)", isError: true)
    }

    /// Where the word stands that Lua names; where reading stopped, when that is on the line.
    private func column(of message: Substring, line: Int) -> Int {
        if let problem = facts.problem, problem.place.line == line { return problem.place.column }
        let parser = LuaParser(text)
        if let near = message.firstRange(of: "near '") {
            let word = message[near.upperBound...].prefix { $0 != "'" }
            if let token = parser.token(word, line: line) { return parser.place(of: token).column }
        }
        return parser.first(onLine: line).map { parser.place(of: $0).column } ?? 1
    }

    // MARK: Globals

    private mutating func checkGlobals(_ suggest: Suggest) {
        let allowed = Set(RuleAPI.entries.map(\.name).filter { !$0.contains(".") })
        let declared = Set(facts.globals.filter { $0.isAssigned && $0.isAtTop }.map(\.name))
        // A name that is assigned without being declared is one mistake, wherever it is read.
        let assigned = Set(facts.globals.filter(\.isAssigned).map(\.name))
        let candidates = allowed.union(declared).sorted()
        for use in facts.globals {
            if use.isAssigned, allowed.contains(use.name) {
                add(
                    "TW0205", use.place,
                    "\"\(use.name)\" belongs to the engine and cannot be assigned")
            } else if use.isAssigned, !use.isAtTop, !declared.contains(use.name) {
                add(
                    "TW0204", use.place,
                    "assignment to the undeclared global \"\(use.name)\"; write local")
            } else if !use.isAssigned, !allowed.contains(use.name), !assigned.contains(use.name),
                !Self.hooks.contains(use.name), use.name != "_ENV"
            {
                add("TW0203", use.place, undefined(use.name, suggest(use.name, candidates)))
            }
        }
    }

    private func undefined(_ name: String, _ hint: String) -> String {
        let reasons = [
            "print": "write log(…)", "io": "rules cannot read or write files",
            "os": "time is now() and time.format(…)", "load": "rules cannot compile text",
            "debug": "the values at each line are in the dead letter",
            "coroutine": "a rule is called once per record", "package": "use require \"name\"",
            "rawget": "use a plain index", "collectgarbage": "the engine collects",
        ]
        if let reason = reasons[name] { return "\"\(name)\" is not available here: \(reason)" }
        return "undefined global \"\(name)\"\(hint)"
    }
}

extension LuaParser {
    /// The first word on a line that is written so.
    func token(_ text: some StringProtocol, line: Int) -> LuaToken? {
        allTokens.first { $0.line == line && words(of: $0) == text }
    }

    /// The first word on a line.
    func first(onLine line: Int) -> LuaToken? { allTokens.first { $0.line == line } }
}
