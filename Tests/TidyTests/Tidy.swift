import Foundation

/// A place that breaks a rule of the house.
struct Violation: Hashable, CustomStringConvertible {
    var file: String
    var line: Int
    var rule: String
    var description: String { "\(file):\(line): \(rule)" }
}

/// The rules of the house as pure functions over a file's path and text.
enum Tidy {
    static func longLines(_ path: String, _ text: String) -> [Violation] {
        numbered(text).filter { $0.line.count > 100 }.map {
            Violation(file: path, line: $0.number, rule: "longer than 100 columns")
        }
    }

    static func longFiles(_ path: String, _ text: String) -> [Violation] {
        let count = text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
        return count > 400
            ? [Violation(file: path, line: 1, rule: "\(count) lines, 400 at most")] : []
    }

    /// Functions in Swift and C++ end where a line closes at the indentation they began with.
    static func longFunctions(_ path: String, _ text: String) -> [Violation] {
        var found: [Violation] = []
        var open: (line: Int, indent: Int)?
        for (number, line) in numbered(text) {
            let indent = line.prefix { $0 == " " }.count
            let body = line.dropFirst(indent)
            if let start = open {
                if indent <= start.indent, body.hasPrefix("}") {
                    if number - start.line + 1 > 60 {
                        found.append(
                            Violation(
                                file: path, line: start.line,
                                rule: "function of \(number - start.line + 1) lines, 60 at most"))
                    }
                    open = nil
                }
            } else if isFunctionStart(body, path) {
                open = (number, indent)
            }
        }
        return found
    }

    private static func isFunctionStart(_ body: Substring, _ path: String) -> Bool {
        if path.hasSuffix(".swift") {
            return body.hasSuffix("{")
                && (body.contains("func ") || body.hasPrefix("init(") || body.contains(" init("))
        }
        return body.hasSuffix(") {")
            && !["if", "for", "while", "switch", "}", "else"].contains { body.hasPrefix($0) }
    }

    /// What the code base does without, and where it is allowed all the same.
    static let banned: [(text: String, allowed: @Sendable (String) -> Bool)] = [
        ("import Foundation", { $0.hasPrefix("Tests/") }),
        (
            "print(",
            {
                $0.contains("/CommandLine/") || $0.hasPrefix("examples/") || $0.hasSuffix(".cpp")
                    || $0.hasSuffix(".h") || $0.hasPrefix("Tests/")
            }
        ),
        ("try" + "!", { _ in false }), ("fatal" + "Error()", { _ in false }),
        ("Dispatch" + "Queue", { _ in false }), ("NS" + "Lock", { _ in false }),
        ("Task." + "detached", { _ in false }), ("String(" + "format:", { _ in false }),
        ("FIX" + "ME", { _ in false }), ("TO" + "DO", { _ in false }),
        ("Task." + "sleep", { _ in false }),
        ("usl" + "eep(", { $0.hasPrefix("Sources/") }),
        ("nanosl" + "eep(", { $0.hasPrefix("Sources/") }),
        ("Thread." + "sleep", { _ in false }), ("sle" + "ep" + "(", { _ in false }),
    ]

    /// Tests wait for what happens; that time is over says nothing about it.
    static func waitsForTime(_ path: String, _ text: String) -> [Violation] {
        guard path.hasPrefix("Tests/") else { return [] }
        return numbered(text).filter { _, line in
            line.contains("wait")
                && (line.contains("Date() " + ">") || line.contains(".now " + ">"))
        }.map { Violation(file: path, line: $0.number, rule: "waits for a time, not an event") }
    }

    static func bannedWords(_ path: String, _ text: String) -> [Violation] {
        numbered(text).flatMap { number, line in
            banned.filter { word in
                line.range(of: word.text).map { isWordStart(line, $0.lowerBound) } == true
                    && !word.allowed(path)
            }.map { Violation(file: path, line: number, rule: "\"\($0.text)\" is not used here") }
        }
    }

    private static func isWordStart(_ line: Substring, _ index: Substring.Index) -> Bool {
        guard index > line.startIndex else { return true }
        let before = line[line.index(before: index)]
        return !(before.isLetter || before.isNumber || before == "_" || before == ".")
    }

    static func uncheckedSendable(_ path: String, _ text: String) -> [Violation] {
        numbered(text).filter {
            $0.line.contains("@unchecked " + "Sendable") && !$0.line.contains("//")
        }.map {
            Violation(file: path, line: $0.number, rule: "say what protects it, on the same line")
        }
    }

    /// The modules from the lowest to the highest: each may stand on what is below it, not beside.
    static let layers: [Set<String>] = [
        ["Records", "Threads", "Journal"],
        ["Scripting", "Windowing", "Queueing", "Metrics"],
        ["Connecting"],
        ["Definitions", "Connectors", "Enriching", "Warehousing", "Kafka"],
        ["Engine"], ["Trials"], ["Operating"], ["Console", "Tidewheel"], ["CommandLine"],
        ["TestKit"],
    ]

    /// Modules in C and C++, such as `CLua`.
    static func isForeign(_ module: String) -> Bool {
        module.hasPrefix("C") && module.dropFirst().first?.isUppercase == true
    }

    private static func height(_ module: String) -> Int? {
        isForeign(module) ? -1 : layers.firstIndex { $0.contains(module) }
    }

    /// Dependencies of a module, as the manifest declares them, that do not run downward.
    static func wrongDependencies(of module: String, _ dependencies: [String]) -> [String] {
        guard let own = height(module) else { return ["\(module) is in no layer"] }
        return dependencies.filter { height($0).map { $0 >= own } ?? true }.map {
            "\(module) must not stand on \($0)"
        }
    }

    /// Imports of modules of this package that the manifest does not declare.
    static func undeclaredImports(
        _ path: String, _ text: String, declared: [String: [String]]
    ) -> [Violation] {
        let parts = path.split(separator: "/")
        guard parts.count > 2, parts[0] == "Sources", let allowed = declared[String(parts[1])]
        else { return [] }
        return numbered(text).compactMap { number, line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), index < 3, index + 1 < words.count
            else { return nil }
            let module = String(words[index + 1])
            guard declared[module] != nil, !allowed.contains(module) else { return nil }
            return Violation(
                file: path, line: number, rule: "\(parts[1]) does not declare \(module)")
        }
    }

    /// Re-exports of a whole module: whoever imports ours would see what is none of their business.
    static func wholeExports(_ path: String, _ text: String) -> [Violation] {
        numbered(text).filter { entry in
            let words = entry.line.split(separator: " ")
            guard words.first == "@_exported", let index = words.firstIndex(of: "import"),
                index + 1 < words.count
            else { return false }
            return !["struct", "enum", "class", "protocol", "func"].contains(words[index + 1])
        }.map { Violation(file: path, line: $0.number, rule: "name what is re-exported") }
    }

    static func machinePaths(_ path: String, _ text: String) -> [Violation] {
        let places = ["wo" + "rk", "t" + "mp", "ro" + "ot", "o" + "pt", "ho" + "me"]
        return numbered(text).filter { entry in
            places.contains { entry.line.contains("\"/\($0)/") || entry.line.contains(" /\($0)/") }
        }.map { Violation(file: path, line: $0.number, rule: "a path of one machine") }
    }

    static func titles(_ path: String, _ text: String) -> [Violation] {
        var inCode = false
        var count = 0
        for (_, line) in numbered(text) {
            if line.hasPrefix("```") { inCode.toggle() }
            if !inCode, line.hasPrefix("# ") { count += 1 }
        }
        return count == 1
            ? [] : [Violation(file: path, line: 1, rule: "\(count) titles, one is right")]
    }

    private static func numbered(_ text: String) -> [(number: Int, line: Substring)] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map {
            ($0.offset + 1, $0.element)
        }
    }
}
