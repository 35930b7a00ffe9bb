/// What is known about an expression that was read.
struct LuaExpression {
    /// What it says, when it is nothing but a text in quotes.
    var literal: String?
    /// Whether it may be any number of values.
    var isOpen = false
    /// Whether it is a call and nothing else.
    var isCall = false
    /// Whether it is one word.
    var isSimple = false
    /// Whether something can be assigned to it.
    var isAssignable = false
    /// A name alone, when it is one.
    var name: LuaToken?
    /// The use of a record's field that it ends with, as an index of `fields`.
    var field: Int?
    /// The global function that a call calls, as an index of `calls`.
    var call: Int?
    /// Whether it sets or reads a record's field whose name is only known at run time.
    var isDynamicField = false
}

extension LuaParser {
    private static let engineNames = Set(RuleAPI.entries.map(\.name))
    private static let unary: Set<String> = ["-", "#", "~"]
    private static let binary: Set<String> = [
        "+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "&", "|", "~",
        "<<", ">>",
    ]

    mutating func expressions() throws(SyntaxError) -> [LuaExpression] {
        var list = [try expression()]
        while take(",") { list.append(try expression()) }
        return list
    }

    mutating func expression() throws(SyntaxError) -> LuaExpression {
        var result = LuaExpression()
        try nest { (parser) throws(SyntaxError) in result = try parser.operands() }
        return result
    }

    /// Operands and operators from left to right; who binds whom does not matter here.
    private mutating func operands() throws(SyntaxError) -> LuaExpression {
        var isFirst = true
        var result = LuaExpression()
        while true {
            var isNegated = false
            while Self.unary.contains(current.text) && current.kind == .symbol
                || current.isKeyword("not")
            {
                advance()
                isNegated = true
            }
            let operand = try simple()
            if let token = operand.name { note(token, isAssigned: false) }
            result = isFirst && !isNegated ? operand : LuaExpression()
            let isOperator =
                current.kind == .symbol && Self.binary.contains(current.text)
                || current.isKeyword("and") || current.isKeyword("or")
            if !isOperator { return isFirst ? result : LuaExpression() }
            advance()
            isFirst = false
        }
    }

    private mutating func simple() throws(SyntaxError) -> LuaExpression {
        let token = current
        switch token.kind {
        case .number:
            advance()
            return LuaExpression(isSimple: true)
        case .string:
            advance()
            facts.texts.insert(token.text)
            return LuaExpression(literal: token.text, isSimple: true)
        case .invalid: throw fail(token.problem)
        case .keyword:
            if ["nil", "true", "false"].contains(token.text) {
                advance()
                return LuaExpression(isSimple: true)
            }
            guard takeWord("function") else { throw fail("an expression is missing") }
            try functionBody(isProcess: false, hasSelf: false)
            return LuaExpression()
        case .symbol where token.text == "...":
            advance()
            return LuaExpression(isOpen: true)
        case .symbol where token.text == "{": return try table()
        default: return try suffixed()
        }
    }

    private mutating func table() throws(SyntaxError) -> LuaExpression {
        try expect("{")
        while !current.isSymbol("}") {
            if take("[") {
                _ = try expression()
                try expect("]")
                try expect("=")
            } else if current.kind == .name, following.isSymbol("=") {
                advance()
                advance()
            }
            _ = try expression()
            if !take(","), !take(";") { break }
        }
        try expect("}")
        return LuaExpression()
    }

    // MARK: Names, indices and calls

    /// What stands before the next suffix.
    private struct Chain {
        /// `string.rep`, while it begins with a global name.
        var global: String?
        var place: LuaPlace
        var parts = 1
        /// The names from the record on, while it begins with the record.
        var record: [String]?
        var result = LuaExpression()
    }

    private mutating func suffixed() throws(SyntaxError) -> LuaExpression {
        var chain = Chain(place: place(of: current))
        if take("(") {
            _ = try expression()
            try expect(")")
        } else {
            let token = try name()
            chain.result.name = token
            chain.result.isAssignable = true
            if let index = variable(token.text) {
                if variables[index].isRecord { chain.record = [] }
            } else {
                chain.global = token.text
            }
        }
        while try suffix(&chain) {}
        return chain.result
    }

    /// A name is read as soon as something follows it; alone it may still be assigned.
    private mutating func read(_ chain: inout Chain) {
        if let token = chain.result.name { note(token, isAssigned: false) }
        chain.result = LuaExpression()
    }

    private mutating func suffix(_ chain: inout Chain) throws(SyntaxError) -> Bool {
        let token = current
        switch token.text {
        case "." where token.kind == .symbol:
            read(&chain)
            advance()
            let name = try name()
            index(&chain, by: name.text, at: place(of: name), isQuoted: false)
            return true
        case "[" where token.kind == .symbol:
            read(&chain)
            advance()
            let start = place(of: current)
            let key = try expression()
            try expect("]")
            index(&chain, by: key.literal, at: start, isQuoted: true)
            return true
        case ":" where token.kind == .symbol:
            read(&chain)
            advance()
            let name = try name()
            if let global = chain.global, chain.parts == 1 {
                chain.global = global + ":" + name.text
                chain.place = place(of: name)
            } else {
                chain.global = nil
            }
            try call(&chain)
            return true
        case "(" where token.kind == .symbol, "{" where token.kind == .symbol:
            read(&chain)
            try call(&chain)
            return true
        default:
            guard token.kind == .string else { return false }
            read(&chain)
            try call(&chain)
            return true
        }
    }

    private mutating func index(
        _ chain: inout Chain, by name: String?, at place: LuaPlace, isQuoted: Bool
    ) {
        chain.result.isAssignable = true
        if let global = chain.global {
            chain.global = nil
            if let name, chain.parts == 1 {
                chain.global = "\(global).\(name)"
                chain.parts = 2
                chain.place = place
                facts.members.append(LuaFacts.Member(name: "\(global).\(name)", place: place))
            }
        }
        guard let path = chain.record else { return }
        guard let name, path.count < LuaFacts.longestPath else {
            chain.record = nil
            chain.result.isDynamicField = path.isEmpty
            return
        }
        chain.record = path + [name]
        facts.fields.append(
            LuaFacts.FieldUse(path: path + [name], place: place, isAssigned: false))
        chain.result.field = facts.fields.count - 1
    }

    private mutating func call(_ chain: inout Chain) throws(SyntaxError) {
        var arguments: [LuaFacts.Argument] = []
        if take("(") {
            while !current.isSymbol(")") {
                let start = place(of: current)
                let value = try expression()
                noteRecord(value, givenTo: chain.global)
                arguments.append(
                    LuaFacts.Argument(place: start, literal: value.literal, isOpen: value.isOpen))
                if !take(",") { break }
            }
            try expect(")")
        } else if current.kind == .string {
            facts.texts.insert(current.text)
            arguments.append(
                LuaFacts.Argument(place: place(of: current), literal: current.text, isOpen: false))
            advance()
        } else {
            let start = place(of: current)
            _ = try table()
            arguments.append(LuaFacts.Argument(place: start, literal: nil, isOpen: false))
        }
        chain.result = LuaExpression(isOpen: true, isCall: true)
        if let global = chain.global {
            facts.calls.append(
                LuaFacts.Call(
                    name: global, place: chain.place, arguments: arguments, isStatement: false))
            chain.result.call = facts.calls.count - 1
        }
        chain.global = nil
        chain.record = nil
    }

    /// A function that is not the engine's may give the record other fields.
    private mutating func noteRecord(_ value: LuaExpression, givenTo function: String?) {
        guard let name = value.name, let index = variable(name.text), variables[index].isRecord
        else { return }
        let base = function?.prefix { $0 != "." && $0 != ":" }
        if base.map({ !Self.engineNames.contains(String($0)) }) ?? true {
            facts.makesOtherRecords = true
        }
    }

    // MARK: Statements that begin with an expression

    mutating func expressionStatement() throws(SyntaxError) {
        let start = current
        let first = try suffixed()
        if current.isSymbol("=") || current.isSymbol(",") {
            var targets = [first]
            while take(",") { targets.append(try suffixed()) }
            guard targets.allSatisfy(\.isAssignable) else { throw fail("nothing to assign to") }
            try expect("=")
            let values = try expressions()
            for target in targets { assign(target) }
            _ = values
            return
        }
        guard first.isCall else {
            if at(start) { throw fail("unexpected symbol") }
            throw fail("a statement is missing")
        }
        if let index = first.call { facts.calls[index].isStatement = true }
    }

    private func at(_ token: LuaToken) -> Bool { token.range == current.range }

    private mutating func assign(_ target: LuaExpression) {
        if let token = target.name { note(token, isAssigned: true) }
        if let field = target.field { facts.fields[field].isAssigned = true }
        if target.isDynamicField { facts.makesOtherRecords = true }
    }
}
