internal import CScripting

/// Something in a rule file that is wrong or probably not meant.
public struct RuleFinding: Sendable, Hashable {
    /// The line, counted from 1.
    public var line: Int
    /// The column in characters, counted from 1.
    public var column: Int
    /// What it is.
    public var message: String
    /// False for a warning.
    public var isError: Bool
}

/// Checks a rule file without running it: syntax, undefined globals, and the missing `process`.
public struct RuleLint {
    private let file: String
    private let lines: [String]
    private let text: [UInt8]

    /// What the compiled script says about one use of a global.
    private struct Use {
        var name: String
        var line: Int
        var isAssigned: Bool
        var isAtTop: Bool
    }

    /// Names that the engine calls or reads in a rule file.
    private static let hooks = ["process", "generate", "migrate", "state_version", "on_timer"]

    /// Begins with a file's text.
    public init(file: String, text: [UInt8]) {
        self.file = file
        self.text = text
        lines = String(decoding: text, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// All findings; `needs` names the function that must be there, `suggest` finds a near name.
    public func check(
        needs function: String?, suggest: (String, [String]) -> String
    ) -> [RuleFinding] {
        let collector = Collector()
        let context = unsafe Unmanaged.passUnretained(collector).toOpaque()
        let status = unsafe withCharacters(text) { start, count in
            unsafe tw_lua_globals(
                file, start, count,
                { context, name, line, assigned, top in
                    guard let context = unsafe context, let name = unsafe name else { return }
                    let collector = unsafe Unmanaged<Collector>.fromOpaque(context)
                        .takeUnretainedValue()
                    unsafe collector.uses.append(
                        Use(
                            name: String(cString: name), line: Int(line), isAssigned: assigned,
                            isAtTop: top))
                }, context)
        }
        guard status.code == 0 else { return [syntaxError(RuleError(status).description)] }
        return findings(collector.uses, needs: function, suggest: suggest)
    }

    private final class Collector {
        var uses: [Use] = []
    }

    /// Lua names the line itself: `rules/x.lua:3: '=' expected near 'x'`.
    private func syntaxError(_ message: String) -> RuleFinding {
        let rest = message.hasPrefix(file + ":") ? message.dropFirst(file.count + 1) : message[...]
        let digits = rest.prefix { $0.isNumber }
        let line = max(1, Int(digits) ?? 1)
        var text = rest.dropFirst(digits.count)
        if text.hasPrefix(": ") { text = text.dropFirst(2) }
        var column = 1
        if let near = text.range(ofWord: "near '"), line <= lines.count {
            let token = text[near...].prefix { $0 != "'" }
            column = self.column(of: String(token), in: line)
        }
        return RuleFinding(line: line, column: column, message: "Lua: \(text)", isError: true)
    }

    private func findings(
        _ uses: [Use], needs function: String?, suggest: (String, [String]) -> String
    ) -> [RuleFinding] {
        let allowed = Set(RuleAPI.entries.map(\.name).filter { !$0.contains(".") })
        let declared = Set(uses.filter { $0.isAssigned && $0.isAtTop }.map(\.name))
        // A name that is assigned without being declared is one mistake, wherever it is read.
        let assigned = Set(uses.filter(\.isAssigned).map(\.name))
        let candidates = (allowed.union(declared)).sorted()
        var found: [RuleFinding] = []
        func add(_ use: Use, _ message: String) {
            let finding = RuleFinding(
                line: use.line, column: column(of: use.name, in: use.line), message: message,
                isError: true)
            if !found.contains(finding) { found.append(finding) }
        }
        for use in uses {
            if use.isAssigned, allowed.contains(use.name) {
                add(use, "\"\(use.name)\" belongs to the engine and cannot be assigned")
            } else if use.isAssigned, !use.isAtTop, !declared.contains(use.name) {
                add(use, "assignment to the undeclared global \"\(use.name)\"; write local")
            } else if !use.isAssigned, !allowed.contains(use.name), !assigned.contains(use.name),
                !Self.hooks.contains(use.name), use.name != "_ENV"
            {
                add(use, undefined(use.name, suggest(use.name, candidates)))
            }
        }
        if let function, !declared.contains(function) {
            found.append(
                RuleFinding(
                    line: 1, column: 1,
                    message: "the file defines no function \(function)"
                        + (function == "process" ? "(r, meta)" : "(i)"), isError: true))
        }
        return found
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

    /// Where a name stands in a line as a word of its own; 1 when it is not found.
    private func column(of name: String, in line: Int) -> Int {
        guard line >= 1, line <= lines.count, !name.isEmpty else { return 1 }
        let characters = Array(lines[line - 1])
        let wanted = Array(name)
        guard characters.count >= wanted.count else { return 1 }
        func isWord(_ index: Int) -> Bool {
            guard characters.indices.contains(index) else { return false }
            return characters[index].isLetter || characters[index].isNumber
                || characters[index] == "_"
        }
        for start in 0...(characters.count - wanted.count)
        where Array(characters[start..<(start + wanted.count)]) == wanted {
            let isPart = isWord(start) && (isWord(start - 1) || isWord(start + wanted.count))
            let isField =
                start > 0 && (characters[start - 1] == "." || characters[start - 1] == ":")
            if !isPart && !isField { return start + 1 }
        }
        return 1
    }
}

extension Substring {
    /// The position behind the first occurrence of `word`.
    fileprivate func range(ofWord word: String) -> Index? {
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(word) { return index(at, offsetBy: word.count) }
            at = index(after: at)
        }
        return nil
    }
}
