/// A place in a script, counted from 1; columns are characters.
public struct LuaPlace: Sendable, Hashable {
    /// The line.
    public var line: Int
    /// The column.
    public var column: Int
}

/// One word of a script.
struct LuaToken: Sendable {
    enum Kind: Sendable { case name, keyword, string, number, symbol, end, invalid }

    var kind: Kind
    /// The word as written; of a string what it says, as far as it has no escapes.
    var text: String
    /// Where it stands in the script's bytes.
    var range: Range<Int>
    var line: Int
    var column: Int
    /// Why it is no Lua, when `kind` is `invalid`.
    var problem = ""

    func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
    func isKeyword(_ word: String) -> Bool { kind == .keyword && text == word }
}

/// Takes a script apart. Any bytes give tokens; what is no Lua becomes an `invalid` one, the last.
struct LuaLexer {
    static let keywords: Set<String> = [
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if",
        "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
    ]
    private static let symbols = [
        "...", "<<", ">>", "//", "==", "~=", "<=", ">=", "::", "..",
    ].map { Array($0.utf8) }

    private let bytes: [UInt8]
    private var at = 0
    private var line = 1
    private var lineStart = 0
    /// The column of the token in progress, and up to where it was counted.
    private var column = 1
    private var counted = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        if bytes.first == 0x23 { while at < bytes.count, bytes[at] != 0x0A { at += 1 } }
    }

    /// All tokens, closed by `end` or by an `invalid` one.
    static func tokens(of bytes: [UInt8]) -> [LuaToken] {
        var lexer = LuaLexer(bytes)
        var tokens: [LuaToken] = []
        while true {
            let token = lexer.next()
            tokens.append(token)
            if token.kind == .end || token.kind == .invalid { return tokens }
        }
    }

    private func peek(_ offset: Int = 0) -> UInt8 {
        at + offset < bytes.count ? bytes[at + offset] : 0
    }

    private mutating func next() -> LuaToken {
        if let problem = skipSpace() { return problem }
        let start = at
        countColumn()
        guard at < bytes.count else { return token(.end, start, text: "<eof>") }
        let byte = bytes[at]
        if Self.isLetter(byte) {
            while at < bytes.count, Self.isLetter(bytes[at]) || Self.isDigit(bytes[at]) { at += 1 }
            let text = String(decoding: bytes[start..<at], as: UTF8.self)
            return token(Self.keywords.contains(text) ? .keyword : .name, start, text: text)
        }
        if Self.isDigit(byte) || (byte == 0x2E && Self.isDigit(peek(1))) { return number() }
        if byte == 0x22 || byte == 0x27 { return quoted() }
        if byte == 0x5B, let level = longLevel() { return long(level, start) }
        for symbol in Self.symbols where bytes[at...].starts(with: symbol) {
            at += symbol.count
            return token(.symbol, start, text: String(decoding: symbol, as: UTF8.self))
        }
        at += 1
        let known = Array("+-*/%^#&~|<>=(){}[];:,.".utf8)
        guard known.contains(byte) else {
            return token(.invalid, start, text: "", problem: "unexpected symbol")
        }
        return token(.symbol, start, text: String(decoding: [byte], as: UTF8.self))
    }

    private func token(
        _ kind: LuaToken.Kind, _ start: Int, text: String, line: Int? = nil, problem: String = ""
    ) -> LuaToken {
        LuaToken(
            kind: kind, text: text, range: start..<at, line: line ?? self.line, column: column,
            problem: problem)
    }

    private mutating func countColumn() {
        if lineStart > counted {
            counted = lineStart
            column = 1
        }
        column += bytes[counted..<at].count { $0 & 0xC0 != 0x80 }
        counted = at
    }

    private mutating func beginLine(at start: Int) {
        line += 1
        lineStart = start
    }

    static func isLetter(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte | 0x20) || byte == 0x5F
    }

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// Passes over white space and comments.
    private mutating func skipSpace() -> LuaToken? {
        while at < bytes.count {
            switch bytes[at] {
            case 0x0A:
                beginLine(at: at + 1)
                at += 1
            case 0x20, 0x09, 0x0B, 0x0C, 0x0D: at += 1
            case 0x2D where peek(1) == 0x2D:
                let start = at
                countColumn()
                at += 2
                if peek() == 0x5B, let level = longLevel() {
                    let comment = long(level, start)
                    if comment.kind == .invalid { return comment }
                } else {
                    while at < bytes.count, bytes[at] != 0x0A { at += 1 }
                }
            default: return nil
            }
        }
        return nil
    }

    /// How many `=` stand between the brackets of a long string that begins here.
    private func longLevel() -> Int? {
        var level = 0
        while peek(1 + level) == 0x3D { level += 1 }
        return peek(1 + level) == 0x5B ? level : nil
    }

    private mutating func long(_ level: Int, _ start: Int) -> LuaToken {
        let first = line
        at += level + 2
        let inside = at
        let close = [0x5D] + [UInt8](repeating: 0x3D, count: level) + [0x5D]
        while at < bytes.count {
            if bytes[at] == 0x5D, bytes[at...].starts(with: close) {
                let text = String(decoding: bytes[inside..<at], as: UTF8.self)
                at += close.count
                return token(.string, start, text: text, line: first)
            }
            if bytes[at] == 0x0A { beginLine(at: at + 1) }
            at += 1
        }
        return token(.invalid, start, text: "", problem: "unfinished long text")
    }

    private mutating func quoted() -> LuaToken {
        let start = at
        let first = line
        let quote = bytes[at]
        at += 1
        while at < bytes.count, bytes[at] != quote {
            if bytes[at] == 0x0A {
                return token(.invalid, start, text: "", problem: "unfinished string")
            }
            if bytes[at] == 0x5C {
                at += 1
                if peek() == 0x0A { beginLine(at: at + 1) }
                if peek() == 0x7A {
                    at += 1
                    while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) {
                        if bytes[at] == 0x0A { beginLine(at: at + 1) }
                        at += 1
                    }
                    continue
                }
            }
            at += 1
        }
        guard at < bytes.count else {
            at = bytes.count
            return token(.invalid, start, text: "", problem: "unfinished string")
        }
        at += 1
        let text = String(decoding: bytes[(start + 1)..<(at - 1)], as: UTF8.self)
        return token(.string, start, text: text, line: first)
    }

    private mutating func number() -> LuaToken {
        let start = at
        let isHexadecimal = peek() == 0x30 && peek(1) | 0x20 == 0x78
        while at < bytes.count {
            let byte = bytes[at]
            let isExponent = isHexadecimal ? byte | 0x20 == 0x70 : byte | 0x20 == 0x65
            if isExponent, peek(1) == 0x2B || peek(1) == 0x2D {
                at += 2
            } else if Self.isDigit(byte) || Self.isLetter(byte) || byte == 0x2E {
                at += 1
            } else {
                break
            }
        }
        return token(.number, start, text: String(decoding: bytes[start..<at], as: UTF8.self))
    }
}
