import TestKit

/// Random calls of the library functions that are our own, as Lua expressions.
struct CallGenerator {
    var random: SeededRandom

    mutating func call() -> String {
        switch Int.random(in: 0..<14, using: &random) {
        case 0, 1: "show(pcall(string.find, \(subject()), \(pattern())\(start(plain: true))))"
        case 2, 3: "show(pcall(string.match, \(subject()), \(pattern())\(start(plain: false))))"
        case 4: "each(\(subject()), \(pattern())\(start(plain: false)))"
        case 5, 6:
            "show(pcall(string.gsub, \(subject()), \(pattern()), \(replacement())\(limit())))"
        case 7: "show(pcall(string.rep, \(value()), \(small())\(separator())))"
        case 8: "changed(table.insert, \(list()), \(arguments(position: true)))"
        case 9: "changed(table.remove, \(list())\(limit()))"
        case 10: "show(pcall(table.concat, \(list())\(separator())\(limit())\(limit())))"
        case 11: "show(pcall(table.unpack, \(list())\(range())))"
        case 12: move()
        default: sort()
        }
    }

    private mutating func one(of choices: [String]) -> String {
        choices.randomElement(using: &random) ?? ""
    }

    private mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    private mutating func joined(_ count: ClosedRange<Int>, of choices: [String]) -> String {
        let count = Int.random(in: count, using: &random)
        return (0..<count).map { _ in one(of: choices) }.joined()
    }

    private mutating func subject() -> String {
        if chance(4) { return value() }
        let letters = [
            "a", "b", "c", "A", "1", "2", " ", "(", ")", "%%", "[", "]", "-", "^", "$", ".", "\\n",
            "\\0", "\\200", "\\255", "_", "ab", "aaa",
        ]
        return "'" + joined(0...18, of: letters) + "'"
    }

    private mutating func pattern() -> String {
        if chance(4) { return value() }
        if chance(5) { return "'" + joined(0...6, of: ["a", "b", "1", " ", "ab", "\\0"]) + "'" }
        let items = [
            "a", "b", "c", ".", "%a", "%d", "%s", "%w", "%p", "%c", "%g", "%l", "%u", "%x", "%A",
            "%D", "%S", "%W", "%P", "%C", "%G", "%L", "%U", "%X", "%z", "%%", "%.", "%(", "[abc]",
            "[^a]", "[a-c]", "[%d_]", "[^%w%s]", "[]]", "[^]a]", "[a-]", "[-a]", "[%a-z]", "[a-%d]",
            "\\0", "\\255", "[\\128-\\255]", "(", ")", "()", "(a)", "(.-)", "(%w*)", "%1", "%2",
            "%0", "%b()", "%bab", "%b", "%f[%w]", "%f[^a]", "%f", "%f[", "[", "[^", "[%", "[a", "]",
            "%", "$", "^", "-", "*", "+", "?",
        ]
        let suffixes = ["", "", "", "*", "+", "-", "?"]
        var text = chance(15) ? "^" : ""
        for _ in 0..<Int.random(in: 0...5, using: &random) {
            text += one(of: items) + one(of: suffixes)
        }
        return "'\(text)\(chance(15) ? "$" : "")'"
    }

    private mutating func start(plain: Bool) -> String {
        guard chance(30) else { return "" }
        return ", " + number()
            + (plain && chance(50) ? ", " + one(of: ["true", "false", "nil"]) : "")
    }

    private mutating func replacement() -> String {
        one(of: [
            "'x'", "''", "'%0'", "'%1'", "'%2%1'", "'<%0>'", "'%%'", "'%'", "'%x'", "'%9'", "12",
            "1.5",
            "{a = 'b', b = 1, [1] = 'one', c = false, ab = {}}", "{}", "nil", "true",
            "function(...) return select('#', ...) end", "function(a) return a end",
            "function(a, b) return b end", "function() return false end",
            "function() return {} end", "function() error('x') end", "string.upper",
        ])
    }

    private mutating func limit() -> String { chance(40) ? ", " + number() : "" }

    private mutating func number() -> String {
        one(of: [
            "0", "1", "2", "3", "5", "10", "30", "-1", "-2", "-5", "-100", "1.0", "2.5", "'2'",
            "'x'",
            "nil", "math.maxinteger", "math.mininteger", "{}", "0/0", "1e100",
        ])
    }

    private mutating func small() -> String {
        one(of: ["0", "1", "2", "3", "7", "100", "-1", "2.0", "2.5", "'3'", "nil", "true"])
    }

    private mutating func separator() -> String {
        guard chance(60) else { return ", nil" }
        return ", " + one(of: ["','", "''", "', '", "'\\0'", "1", "1.5", "nil", "{}", "true"])
    }

    private mutating func value() -> String {
        one(of: [
            "1", "-1", "1.5", "1e100", "'x'", "'ab'", "''", "nil", "true", "{}", "12",
            "print or log",
        ])
    }

    private mutating func list() -> String {
        if chance(3) { return one(of: ["nil", "1", "true", "print or log"]) }
        let elements = ["1", "2", "3.5", "'a'", "'b'", "''", "-1", "10"]
        let odd = [
            "nil", "{}", "false", "[0] = 'zero'", "[-1] = 'minus'", "x = 1", "[3] = 'three'",
        ]
        let count = Int.random(in: 0...7, using: &random)
        let parts = (0..<count).map { _ in chance(12) ? one(of: odd) : one(of: elements) }
        return "{" + parts.joined(separator: ", ") + "}"
    }

    private mutating func arguments(position: Bool) -> String {
        if chance(50) { return value() }
        return one(of: ["0", "1", "2", "3", "4", "5", "8", "-1", "1.0", "'2'", "'x'", "nil"]) + ", "
            + value() + (chance(5) ? ", 1" : "")
    }

    private mutating func range() -> String {
        guard chance(60) else { return "" }
        let ends = ["0", "1", "2", "5", "-3", "2.0", "nil", "'3'", "'x'"]
        if chance(10) {
            return ", "
                + one(of: [
                    "math.mininteger, 1", "1, math.maxinteger", "1, 1e8",
                    "math.maxinteger, math.maxinteger", "math.mininteger, math.mininteger",
                    "math.maxinteger, math.mininteger", "math.mininteger, math.maxinteger",
                ])
        }
        return ", " + one(of: ends) + (chance(60) ? ", " + one(of: ends) : "")
    }

    private mutating func move() -> String {
        let ends = ["0", "1", "2", "3", "5", "8", "-2", "2.0", "'3'", "nil"]
        var places = (0..<3).map { _ in one(of: ends) }.joined(separator: ", ")
        if chance(8) {
            places = one(of: [
                "math.mininteger, 1, 1", "0, math.maxinteger, 1", "1, 2, math.maxinteger",
                "-1, math.maxinteger, 2", "math.maxinteger, math.maxinteger, 1",
                "math.mininteger, math.mininteger, 2",
            ])
        }
        let target = chance(40) ? ", " + list() : ""
        return "changed(table.move, \(list()), \(places)\(target))"
    }

    private mutating func sort() -> String {
        let kinds = [["1", "2", "3", "-5", "2.5", "1e10"], ["'a'", "'b'", "'ab'", "''", "'Z'"]]
        var elements = kinds.randomElement(using: &random) ?? []
        if chance(10) { elements += ["'x'", "{}", "true"] }
        let count = Int.random(in: 0...40, using: &random)
        let list = (0..<count).map { _ in one(of: elements) }.joined(separator: ", ")
        let orders = [
            "", "", ", nil", ", function(a, b) return a > b end", ", 1",
            ", function(a, b) return tostring(a) < tostring(b) end", ", function() error('x') end",
        ]
        return "changed(table.sort, {\(list)}\(one(of: orders)))"
    }
}
