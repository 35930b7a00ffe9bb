internal import Connecting
internal import Windowing

/// The columns of a stage: each field once, as strict as its strictest use.
struct ColumnTable {
    private(set) var columns: [ColumnDefinition] = []

    mutating func index(
        of field: String, _ requirement: ColumnDefinition.Requirement = .any,
        needsText: Bool = false
    ) -> Int {
        if let index = columns.firstIndex(where: { $0.field == field }) {
            columns[index].requirement = max(columns[index].requirement, requirement)
            columns[index].needsText = columns[index].needsText || needsText
            return index
        }
        columns.append(ColumnDefinition(field, requirement: requirement, needsText: needsText))
        return columns.count - 1
    }
}

/// Reads the text of a computed field, such as `sum(price) where status == 'paid'`.
struct ComputeParser {
    /// What was read.
    struct Result {
        var function: AggregateFunction
        var column: Int?
        var filter: [Comparison]
    }

    /// An aggregate of one field.
    private struct Simple {
        var function: AggregateFunction
        var requirement: ColumnDefinition.Requirement
        var needsText = false
    }

    private static let simple: [String: Simple] = [
        "sum": Simple(function: .sum, requirement: .number),
        "avg": Simple(function: .average, requirement: .number),
        "min": Simple(function: .minimum, requirement: .scalar),
        "max": Simple(function: .maximum, requirement: .scalar),
        "first": Simple(function: .first, requirement: .any, needsText: true),
        "last": Simple(function: .last, requirement: .any, needsText: true),
        "stddev": Simple(function: .standardDeviation, requirement: .number),
        "variance": Simple(function: .variance, requirement: .number),
        "count_distinct": Simple(function: .countDistinct, requirement: .any, needsText: true),
        "mode": Simple(function: .mode, requirement: .scalar, needsText: true),
    ]

    /// The names of all aggregates, as messages list them.
    static let names = [
        "count", "sum", "avg", "min", "max", "first", "last", "stddev", "variance",
        "count_distinct", "quantile", "top", "collect", "ratio_if", "mode",
    ]

    /// What other systems call them.
    private static let otherNames = [
        "average": "avg", "mean": "avg", "minimum": "min", "maximum": "max", "std": "stddev",
        "stdev": "stddev", "stddev_samp": "stddev", "var": "variance", "var_samp": "variance",
        "distinct": "count_distinct", "nunique": "count_distinct", "percentile": "quantile",
        "median": "quantile", "approx_quantile": "quantile", "topk": "top", "top_k": "top",
        "list": "collect", "array_agg": "collect", "any": "first", "ratio": "ratio_if",
    ]

    private let tokens: [ComputeToken]
    private let length: Int
    private var at = 0

    init(_ text: String) throws(ComputeError) {
        var tokenizer = ComputeTokenizer(text)
        tokens = try tokenizer.tokens()
        length = text.unicodeScalars.count
    }

    // MARK: Aggregates

    /// A whole computed field.
    mutating func compute(_ columns: inout ColumnTable) throws(ComputeError) -> Result {
        guard let token = next(), case .word(let name) = token.kind else {
            throw ComputeError(
                message: "a computed field is an aggregate, such as sum(price)", offset: 0)
        }
        var result = try aggregate(name, token, &columns)
        if isWord("where") {
            at += 1
            result.filter += try conditions(&columns)
        }
        if let rest = next() {
            throw ComputeError(
                message: "\"\(rest.shown)\" is too much; only where CONDITION may follow",
                offset: rest.offset)
        }
        return result
    }

    private mutating func aggregate(
        _ name: String, _ token: ComputeToken, _ columns: inout ColumnTable
    ) throws(ComputeError) -> Result {
        if name == "count" { return try count(&columns) }
        if name == "ratio_if" {
            try expect("(", in: name, "ratio_if(status == 'failed')")
            let conditions = try conditions(&columns)
            try close(name, takes: "conditions joined by and")
            return Result(function: .ratioIf(conditions), column: nil, filter: [])
        }
        if let simple = Self.simple[name] {
            try expect("(", in: name, "\(name)(FIELD)")
            let field = try field(of: name, "\(name)(FIELD)")
            try close(name, takes: "one field")
            let column = columns.index(
                of: field, simple.requirement, needsText: simple.needsText)
            return Result(function: simple.function, column: column, filter: [])
        }
        switch name {
        case "quantile":
            let (field, rank) = try fieldAndNumber(name, "quantile(FIELD, 0.95)")
            guard let share = Double(rank.shown), (0...1).contains(share) else {
                throw ComputeError(
                    message: "the rank of a quantile is a number from 0 to 1, such as 0.95",
                    offset: rank.offset)
            }
            let column = columns.index(of: field, .number)
            return Result(function: .quantile(share), column: column, filter: [])
        case "top":
            let (field, limit) = try fieldAndNumber(name, "top(FIELD, 3)")
            let column = columns.index(of: field, .scalar, needsText: true)
            let count = try whole(limit, upTo: 1000)
            return Result(function: .top(count), column: column, filter: [])
        case "collect":
            let (field, limit) = try fieldAndNumber(name, "collect(FIELD, 100)")
            let column = columns.index(of: field, needsText: true)
            let count = try whole(limit, upTo: 100_000)
            return Result(function: .collect(count), column: column, filter: [])
        default:
            let meant = Self.otherNames[name.lowercased()].map { "; did you mean \"\($0)\"?" }
            let hint = meant ?? suggestion(for: name.lowercased(), among: Self.names)
            let all = hint.isEmpty ? "; there are \(Self.names.joined(separator: ", "))" : hint
            throw ComputeError(
                message: "unknown aggregate \"\(name)\"\(all)", offset: token.offset)
        }
    }

    /// `count`, `count()`, `count(*)`, or `count(FIELD)`, which leaves out null and missing ones.
    private mutating func count(_ columns: inout ColumnTable) throws(ComputeError) -> Result {
        var result = Result(function: .count, column: nil, filter: [])
        guard isSign("(") else { return result }
        at += 1
        if isSign("*") {
            at += 1
        } else if !isSign(")"), at < tokens.count {
            let field = try field(of: "count", "count(FIELD)")
            let column = columns.index(of: field)
            result.filter = [Comparison(column: column, .notEqual, .null)]
        }
        try close("count", takes: "one field at most")
        return result
    }

    private mutating func fieldAndNumber(
        _ name: String, _ usage: String
    ) throws(ComputeError) -> (String, ComputeToken) {
        try expect("(", in: name, usage)
        let field = try field(of: name, usage)
        guard isSign(","), at + 1 < tokens.count, case .number = tokens[at + 1].kind else {
            let offset = isSign(",") && at + 1 < tokens.count ? tokens[at + 1].offset : offset
            throw ComputeError(
                message: "\(name) needs a number after the field: \(usage)", offset: offset)
        }
        let number = tokens[at + 1]
        at += 2
        try close(name, takes: "a field and a number")
        return (field, number)
    }

    private func whole(_ token: ComputeToken, upTo limit: Int) throws(ComputeError) -> Int {
        if let number = Int(token.shown), (1...limit).contains(number) { return number }
        throw ComputeError(
            message: "this must be a whole number from 1 to \(limit)", offset: token.offset)
    }

    // MARK: Conditions

    /// Conditions and nothing else, as in `where:`.
    mutating func onlyConditions(
        _ columns: inout ColumnTable
    ) throws(ComputeError) -> [Comparison] {
        let found = try conditions(&columns)
        if let rest = next() {
            throw ComputeError(
                message: "\"\(rest.shown)\" is too much; conditions are joined by and",
                offset: rest.offset)
        }
        return found
    }

    private mutating func conditions(
        _ columns: inout ColumnTable
    ) throws(ComputeError) -> [Comparison] {
        var found = [try condition(&columns)]
        while isWord("and") {
            at += 1
            found.append(try condition(&columns))
        }
        if isWord("or") {
            throw ComputeError(
                message: "conditions are joined by and only; write two computed fields, or a rule",
                offset: offset)
        }
        return found
    }

    private mutating func condition(
        _ columns: inout ColumnTable
    ) throws(ComputeError) -> Comparison {
        let field = try field(of: "a condition", "status == 'failed'")
        let sign = next()
        let operations: [String: Comparison.Operation] = [
            "==": .equal, "!=": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater,
            ">=": .greaterOrEqual,
        ]
        guard let sign, case .sign(let text) = sign.kind, let operation = operations[text] else {
            let hint = sign?.shown == "=" ? "; equality is ==" : ""
            throw ComputeError(
                message: "a condition compares with == != < <= > or >=\(hint)",
                offset: sign?.offset ?? length)
        }
        let literal = try literal(operation)
        return Comparison(column: columns.index(of: field), operation, literal)
    }

    private mutating func literal(
        _ operation: Comparison.Operation
    ) throws(ComputeError) -> Comparison.Literal {
        let token = next()
        let place = token?.offset ?? length
        let isOrder = ![.equal, .notEqual].contains(operation)
        switch token?.kind {
        case .text(let text): return .string(text)
        case .number(let text):
            guard let number = Double(text), number.isFinite, !text.contains("x") else {
                throw ComputeError(message: "\"\(text)\" is no number", offset: place)
            }
            // A rounded literal would be equal to other numbers than the one that is written.
            let isWhole = text.allSatisfy { $0 == "-" || $0.isNumber }
            if isWhole, Int(text) == nil || Int(text) != Int(exactly: number) {
                throw ComputeError(
                    message: "\(text) cannot be compared exactly; the limit is 2^53",
                    offset: place)
            }
            return .number(number)
        case .word(let word) where ["true", "false", "null"].contains(word):
            if isOrder {
                throw ComputeError(
                    message: "\(word) can only be compared with == and !=", offset: place)
            }
            return word == "null" ? .null : .boolean(word == "true")
        default:
            throw ComputeError(
                message: "a condition ends in a number, a 'text', true, false or null",
                offset: place)
        }
    }

    // MARK: Tokens

    /// Where the next token stands, or the end.
    private var offset: Int { at < tokens.count ? tokens[at].offset : length }

    private mutating func next() -> ComputeToken? {
        guard at < tokens.count else { return nil }
        at += 1
        return tokens[at - 1]
    }

    private func isSign(_ text: String) -> Bool {
        at < tokens.count && tokens[at].kind == .sign(text)
    }

    private func isWord(_ text: String) -> Bool {
        at < tokens.count && tokens[at].kind == .word(text)
    }

    private mutating func expect(
        _ sign: String, in name: String, _ usage: String
    ) throws(ComputeError) {
        guard isSign(sign) else {
            throw ComputeError(
                message: "\(name) needs parentheses: \(usage)", offset: offset)
        }
        at += 1
    }

    private mutating func close(_ name: String, takes what: String) throws(ComputeError) {
        if isSign(")") {
            at += 1
        } else if at < tokens.count, !isWord("where") {
            throw ComputeError(
                message: "\")\" is missing before \"\(tokens[at].shown)\"; \(name) takes \(what)",
                offset: offset)
        } else {
            throw ComputeError(message: "\")\" is missing at the end of \(name)", offset: offset)
        }
    }

    private mutating func field(
        of name: String, _ usage: String
    ) throws(ComputeError) -> String {
        guard at < tokens.count else {
            throw ComputeError(message: "\(name) needs a field: \(usage)", offset: length)
        }
        switch tokens[at].kind {
        case .quotedName(let text) where !text.isEmpty:
            at += 1
            return text
        case .word(let text):
            if text.hasPrefix(".") || text.hasSuffix(".") || text.contains("..") {
                throw ComputeError(
                    message: "\"\(text)\" is no path of names joined by dots", offset: offset)
            }
            at += 1
            return text
        case .text:
            throw ComputeError(
                message: "a field is written without quotes, or in backticks", offset: offset)
        default:
            throw ComputeError(message: "\(name) needs a field: \(usage)", offset: offset)
        }
    }
}
