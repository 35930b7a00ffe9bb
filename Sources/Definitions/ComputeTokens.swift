/// What is wrong with the text of a computed field or a condition, and where in it.
struct ComputeError: Error {
    var message: String
    /// The place in the text, in characters.
    var offset: Int
}

/// One word, name, number, text or sign of a computed field.
struct ComputeToken {
    enum Kind: Equatable {
        /// Letters, digits, `_` and dots.
        case word(String)
        /// A name between backticks.
        case quotedName(String)
        /// A number as written.
        case number(String)
        /// A text between quotes, without them.
        case text(String)
        /// One of `( ) , * = == != < <= > >=`.
        case sign(String)
    }

    var kind: Kind
    var offset: Int

    /// As it is shown in messages.
    var shown: String {
        switch kind {
        case .word(let text), .number(let text), .sign(let text): text
        case .quotedName(let text): "`\(text)`"
        case .text(let text): "'\(text)'"
        }
    }
}

/// Cuts the text of a computed field into tokens.
struct ComputeTokenizer {
    private let scalars: [Unicode.Scalar]
    private var at = 0

    init(_ text: String) { scalars = Array(text.unicodeScalars) }

    mutating func tokens() throws(ComputeError) -> [ComputeToken] {
        var found: [ComputeToken] = []
        while at < scalars.count {
            if scalars[at].properties.isWhitespace {
                at += 1
            } else {
                let start = at
                found.append(ComputeToken(kind: try next(), offset: start))
            }
        }
        return found
    }

    private mutating func next() throws(ComputeError) -> ComputeToken.Kind {
        let first = scalars[at]
        switch first {
        case "'", "\"": return .text(try quoted(by: first, what: "text"))
        case "`": return .quotedName(try quoted(by: first, what: "name"))
        case "0"..."9": return .number(take { Self.isNumberPart($0) })
        case "-" where at + 1 < scalars.count && ("0"..."9").contains(scalars[at + 1]):
            return .number(take { Self.isNumberPart($0) })
        case "(", ")", ",", "*":
            at += 1
            return .sign(String(Character(first)))
        case "=", "!", "<", ">":
            at += 1
            guard at < scalars.count, scalars[at] == "=" else {
                return .sign(String(Character(first)))
            }
            at += 1
            return .sign(String(Character(first)) + "=")
        default:
            let word = take { Self.isWordPart($0) }
            if !word.isEmpty { return .word(word) }
            let hint = first == "-" ? "; a name with other signs stands in backticks" : ""
            throw ComputeError(
                message: "\"\(Character(first))\" has no meaning here\(hint)", offset: at)
        }
    }

    private mutating func take(while isPart: (Unicode.Scalar) -> Bool) -> String {
        var text = String.UnicodeScalarView()
        while at < scalars.count, isPart(scalars[at]) {
            text.append(scalars[at])
            at += 1
        }
        return String(text)
    }

    private static func isNumberPart(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            || ["+", "-", ".", "_"].contains(scalar)
    }

    private static func isWordPart(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_"
            || scalar == "."
    }

    /// What stands between two quotes; a backslash takes the next character as it is.
    private mutating func quoted(
        by quote: Unicode.Scalar, what: String
    ) throws(ComputeError) -> String {
        let start = at
        var text = String.UnicodeScalarView()
        at += 1
        while at < scalars.count {
            if scalars[at] == quote {
                at += 1
                return String(text)
            }
            if scalars[at] == "\\", at + 1 < scalars.count { at += 1 }
            text.append(scalars[at])
            at += 1
        }
        throw ComputeError(
            message: "the \(what) that begins here has no closing \(Character(quote))",
            offset: start)
    }
}
