/// Reads a script and notes facts about it; the grammar is that of Lua 5.4.
///
/// Lua itself decides what is a syntax error; here it only tells where reading has to stop.
struct LuaParser {
    struct SyntaxError: Error {}

    /// A local variable while it can be seen.
    struct Variable {
        var name: String
        var place: LuaPlace
        var isRead = false
        /// Whether it is told when nobody reads it.
        var isChecked: Bool
        /// Whether it is the record that `process` was given.
        var isRecord = false
    }

    private let bytes: [UInt8]
    private var tokens: [LuaToken]
    private var at = 0
    private var depth = 0
    var facts = LuaFacts()
    /// The variables of all open blocks, and where each block begins.
    var variables: [Variable] = []
    private var blocks: [Int] = []
    /// How many functions are open, and how many were when `process` began.
    var functionDepth = 0
    var processDepth: Int?

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        tokens = LuaLexer.tokens(of: bytes)
    }

    /// Everything that can be said about a script.
    static func facts(of bytes: [UInt8]) -> LuaFacts {
        var parser = LuaParser(bytes)
        do throws(SyntaxError) {
            parser.openBlock()
            try parser.block()
            guard parser.current.kind == .end else { throw parser.fail("unexpected word") }
            parser.closeBlock()
        } catch {}
        return parser.facts
    }

    // MARK: Tokens

    /// All words, in order.
    var allTokens: [LuaToken] { tokens }

    /// A word as it is written.
    func words(of token: LuaToken) -> String {
        String(decoding: bytes[token.range], as: UTF8.self)
    }

    var current: LuaToken { tokens[at] }
    var following: LuaToken { tokens[min(at + 1, tokens.count - 1)] }

    mutating func advance() { if at + 1 < tokens.count { at += 1 } }

    mutating func take(_ symbol: String) -> Bool {
        guard current.isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func takeWord(_ word: String) -> Bool {
        guard current.isKeyword(word) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: String) throws(SyntaxError) {
        guard take(symbol) else { throw fail("\"\(symbol)\" is missing") }
    }

    mutating func expectWord(_ word: String) throws(SyntaxError) {
        guard takeWord(word) else { throw fail("\"\(word)\" is missing") }
    }

    mutating func name() throws(SyntaxError) -> LuaToken {
        guard current.kind == .name else { throw fail("a name is missing") }
        defer { advance() }
        return current
    }

    mutating func fail(_ message: String) -> SyntaxError {
        if facts.problem == nil {
            facts.problem = (place(of: current), message, words(of: current))
        }
        return SyntaxError()
    }

    func place(of token: LuaToken) -> LuaPlace {
        LuaPlace(line: token.line, column: token.column)
    }

    /// Counts nesting, since a script may be nested deeper than the stack is.
    mutating func nest(
        _ body: (inout LuaParser) throws(SyntaxError) -> Void
    ) throws(SyntaxError) {
        guard depth < 180 else { throw fail("nested too deeply") }
        depth += 1
        defer { depth -= 1 }
        try body(&self)
    }

    // MARK: Scopes

    mutating func openBlock() { blocks.append(variables.count) }

    mutating func closeBlock() {
        let start = blocks.removeLast()
        for variable in variables[start...] where variable.isChecked && !variable.isRead {
            facts.unusedLocals.append(LuaFacts.Local(name: variable.name, place: variable.place))
        }
        variables.removeSubrange(start...)
    }

    mutating func declare(_ token: LuaToken, isChecked: Bool, isRecord: Bool = false) {
        variables.append(
            Variable(
                name: token.text, place: place(of: token),
                isChecked: isChecked && !token.text.hasPrefix("_"), isRecord: isRecord))
    }

    func variable(_ name: String) -> Int? { variables.lastIndex { $0.name == name } }

    // MARK: Statements

    mutating func block() throws(SyntaxError) {
        while true {
            if current.kind == .end { return }
            if current.kind == .invalid { throw fail(current.problem) }
            if current.kind == .keyword,
                ["end", "else", "elseif", "until"].contains(current.text)
            {
                return
            }
            if takeWord("return") { return try returnStatement() }
            try nest { (parser) throws(SyntaxError) in try parser.statement() }
        }
    }

    private mutating func returnStatement() throws(SyntaxError) {
        let first = current
        let isOutcome = processDepth == functionDepth
        if isOutcome, first.isSymbol("{") { facts.makesOtherRecords = true }
        let isEnd =
            first.kind == .end || first.isSymbol(";")
            || (first.kind == .keyword
                && ["end", "else", "elseif", "until"].contains(first.text))
        if !isEnd {
            let isWord =
                [.string, .number].contains(first.kind)
                || ["true", "false"].contains(first.text) && first.kind == .keyword
            let list = try expressions()
            if isOutcome, list.count == 1, isWord, list[0].isSimple {
                facts.wrongReturns.append(
                    LuaFacts.Local(
                        name: String(decoding: bytes[first.range], as: UTF8.self),
                        place: place(of: first)))
            }
        }
        _ = take(";")
    }

    private mutating func inner(until word: String?) throws(SyntaxError) {
        openBlock()
        try block()
        closeBlock()
        if let word { try expectWord(word) }
    }

    private mutating func statement() throws(SyntaxError) {
        if take(";") { return }
        if take("::") {
            _ = try name()
            return try expect("::")
        }
        guard current.kind == .keyword else { return try expressionStatement() }
        let word = current.text
        switch word {
        case "if": try ifStatement()
        case "while":
            advance()
            _ = try expression()
            try expectWord("do")
            try inner(until: "end")
        case "do":
            advance()
            try inner(until: "end")
        case "for": try forStatement()
        case "repeat":
            advance()
            openBlock()
            try block()
            try expectWord("until")
            _ = try expression()
            closeBlock()
        case "function": try functionStatement()
        case "local": try localStatement()
        case "break": advance()
        case "goto":
            advance()
            _ = try name()
        default: try expressionStatement()
        }
    }

    private mutating func ifStatement() throws(SyntaxError) {
        repeat {
            advance()
            _ = try expression()
            try expectWord("then")
            try inner(until: nil)
        } while current.isKeyword("elseif")
        if takeWord("else") { try inner(until: nil) }
        try expectWord("end")
    }

    private mutating func forStatement() throws(SyntaxError) {
        advance()
        var names = [try name()]
        while take(",") { names.append(try name()) }
        if take("=") {
            _ = try expressions()
        } else {
            try expectWord("in")
            _ = try expressions()
        }
        try expectWord("do")
        openBlock()
        for token in names { declare(token, isChecked: false) }
        try block()
        closeBlock()
        try expectWord("end")
    }

    private mutating func localStatement() throws(SyntaxError) {
        advance()
        if takeWord("function") {
            let token = try name()
            declare(token, isChecked: true)
            return try functionBody(isProcess: false, hasSelf: false)
        }
        var names: [LuaToken] = []
        repeat {
            names.append(try name())
            if take("<") {
                _ = try name()
                try expect(">")
            }
        } while take(",")
        if take("=") { _ = try expressions() }
        // The new names are only seen by what follows.
        for token in names { declare(token, isChecked: true) }
    }

    private mutating func functionStatement() throws(SyntaxError) {
        advance()
        let token = try name()
        let isPlain = !current.isSymbol(".") && !current.isSymbol(":")
        note(token, isAssigned: isPlain)
        var hasSelf = false
        while current.isSymbol(".") || current.isSymbol(":") {
            hasSelf = current.isSymbol(":")
            advance()
            _ = try name()
        }
        let isProcess = isPlain && token.text == "process" && functionDepth == 0
        try functionBody(isProcess: isProcess, hasSelf: hasSelf)
    }

    /// Notes that a name is read or assigned, wherever it is declared.
    mutating func note(_ token: LuaToken, isAssigned: Bool) {
        if let index = variable(token.text) {
            if !isAssigned { variables[index].isRead = true }
            return
        }
        facts.globals.append(
            LuaFacts.Global(
                name: token.text, place: place(of: token), isAssigned: isAssigned,
                isAtTop: functionDepth == 0))
    }

    mutating func functionBody(isProcess: Bool, hasSelf: Bool) throws(SyntaxError) {
        let outer = processDepth
        functionDepth += 1
        if isProcess { processDepth = functionDepth }
        openBlock()
        try expect("(")
        if hasSelf {
            var token = current
            token.text = "self"
            declare(token, isChecked: false)
        }
        var isFirst = true
        while !current.isSymbol(")") {
            if take("...") { break }
            declare(try name(), isChecked: false, isRecord: isProcess && isFirst)
            isFirst = false
            if !take(",") { break }
        }
        try expect(")")
        try block()
        closeBlock()
        functionDepth -= 1
        processDepth = outer
        try expectWord("end")
    }
}
