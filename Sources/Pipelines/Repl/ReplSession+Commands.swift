internal import Records
internal import Scripting
internal import Stages

extension ReplSession {
    /// The commands with what they take and do, in the order of `:help`.
    static let commands: [(name: String, arguments: String, help: String)] = [
        ("load", "FILE", "read records; the first becomes the current one"),
        ("next", "", "go to the next record of the file"),
        ("prev", "", "go to the previous one"),
        ("show", "", "print the current record"),
        ("run", "[STAGE]", "run the stage on it; the result becomes the current record"),
        ("stage", "[NAME]", "choose a stage, or list them"),
        ("diff", "", "what the last run changed"),
        ("why", "", "the values at each line of the last run"),
        ("time", "", "the CPU time of the last run, and its hottest line"),
        ("lookup", "NAME KEY", "a row of a lookup table"),
        ("state", "", "the keyed state of the stage"),
        ("lineage", "[NAME]", "the way of the record; of a stage or field: who uses it"),
        ("reload", "", "read pipeline.yaml and the lookups again"),
        ("save", "NAME", "add the last run to the rule's tests"),
        ("help", "", "this list"),
        ("quit", "", "end the session"),
    ]

    func command(_ text: String) -> [String] {
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        let name = parts.first.map(String.init) ?? ""
        var argument = parts.count > 1 ? String(parts[1]) : ""
        while argument.hasSuffix(" ") { argument.removeLast() }
        switch name {
        case "load": return load(argument)
        case "next": return move(by: 1)
        case "prev": return move(by: -1)
        case "show": return current.map { [$0.shown] } ?? [Self.noRecord]
        case "run": return run(argument)
        case "stage": return chooseStage(argument)
        case "diff": return diff()
        case "why": return why()
        case "time": return time()
        case "lookup": return lookup(argument)
        case "state": return showState()
        case "lineage": return lineage(argument)
        case "reload": return reload()
        case "save": return save(argument)
        case "help": return help()
        case "quit":
            isFinished = true
            return []
        default:
            let hint = suggestion(for: name, among: Self.commands.map(\.name))
            return ["error: there is no command :\(name)\(hint); :help lists them"]
        }
    }

    static let noRecord = "error: there is no current record; :load FILE reads some"

    private func help() -> [String] {
        Self.commands.map { command in
            let head = ":\(command.name) \(command.arguments)"
            return head + String(repeating: " ", count: max(1, 18 - head.count)) + command.help
        } + ["Anything else is Lua; r is the current record."]
    }

    // MARK: Records

    /// Reads a file of records.
    public func load(_ path: String) -> [String] {
        guard !path.isEmpty else { return ["error: :load needs the name of a file"] }
        switch openFile(path) {
        case .failure(let error): return ["error: \(error.description)"]
        case .success(let found):
            guard !found.isEmpty else { return ["error: \(path) holds no record"] }
            records = found
            place = 0
            return ["\(found.count) \(found.count == 1 ? "record" : "records")"] + show()
        }
    }

    private func show() -> [String] {
        current = records[place]
        way = []
        let head = "\(place + 1)/\(records.count) \(records[place].shown)"
        guard let problem = records[place].problem else { return [head] }
        return [head, "malformed: \(problem)"]
    }

    private func move(by step: Int) -> [String] {
        guard !records.isEmpty else { return [Self.noRecord] }
        guard records.indices.contains(place + step) else {
            return [step > 0 ? "this is the last record" : "this is the first record"]
        }
        place += step
        return show()
    }

    // MARK: Stages

    private func chooseStage(_ name: String) -> [String] {
        if name.isEmpty {
            return plan.definition.stages.enumerated().map { index, stage in
                (index == self.stage ? "* " : "  ") + stage.name
                    + (stage.rulePath.map { " (\($0))" } ?? "")
            }
        }
        guard let index = index(ofStage: name) else { return ["error: \(unknownStage(name))"] }
        stage = index
        return ["stage \(name)"]
    }

    private func reload() -> [String] {
        let problems = reloadRules()
        guard problems.isEmpty else { return problems }
        do {
            try readLookups()
        } catch {
            return ["error: \(error.description)"]
        }
        return ["rule set \(plan.ruleSet.version)"]
    }

    // MARK: What the last run did

    private func diff() -> [String] {
        guard let last else { return ["error: nothing was run yet"] }
        if last.result.problem != nil { return ["the rule failed, so nothing changed"] }
        guard let before = last.before.value, let after = last.after.value else { return [] }
        let found = differences(from: before, to: after)
        if found.isEmpty { return ["no change"] }
        return found.map { difference in
            "\(difference.path): \(Self.show(difference.expected)) -> "
                + Self.show(difference.actual)
        }
    }

    private static func show(_ value: Value?) -> String {
        value.map { String(decoding: $0.json, as: UTF8.self) } ?? "nothing"
    }

    private func why() -> [String] {
        guard let last else { return ["error: nothing was run yet"] }
        let lines = last.result.problem.map { $0.trace.isEmpty ? last.result.trace : $0.trace }
        var text = (lines ?? last.result.trace).map { sourceLine(of: $0) }
        if let problem = last.result.problem { text.append("error: \(problem.text)") }
        return text.isEmpty ? ["no rule was called"] : text
    }

    /// `rules/x.lua:3: a=1` with the line itself: `rules/x.lua:3 | a = a + 1   -- a=1`.
    private func sourceLine(of entry: String) -> String {
        let parts = entry.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let line = Int(parts[1]),
            let source = source(String(parts[0]), line)
        else { return entry }
        let values = parts[2].drop { $0 == " " }
        return "\(parts[0]):\(line) | \(source)" + (values.isEmpty ? "" : "   -- \(values)")
    }

    func source(_ file: String, _ line: Int) -> String? {
        guard let bytes = plan.ruleSet.bytes(of: file) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        return lines.indices.contains(line - 1) ? String(lines[line - 1]) : nil
    }

    private func time() -> [String] {
        guard let last else { return ["error: nothing was run yet"] }
        var run = stageRun(last.stage, second: last.second)
        run.keepsTrace = false
        var best = UInt64.max
        do throws(RuleError) {
            for _ in 0..<5 { best = min(best, try run.run(last.before.text).nanoseconds) }
            run.countsLines = true
            let lines = try run.run(last.before.text).lines
            let budget = plan.definition.stages[last.stage].budgetNanoseconds / 1_000_000
            let microseconds = (Double(best) / 100).rounded() / 10
            let hottest = lines.flatMap { file, counts in
                counts.map { (file: file, line: $0.key, count: $0.value) }
            }.max { ($0.count, $1.line) < ($1.count, $0.line) }
            var text = ["CPU time \(microseconds) µs of a budget of \(budget) ms"]
            if let hottest {
                let source = source(hottest.file, hottest.line) ?? ""
                let times = hottest.count == 1 ? "once" : "\(hottest.count) times"
                text.append(
                    "hottest line, run \(times): \(hottest.file):\(hottest.line) | \(source)")
            }
            return text
        } catch {
            return ["error: \(error)"]
        }
    }

    private func lookup(_ argument: String) -> [String] {
        let parts = argument.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return ["error: :lookup needs a NAME and a KEY"] }
        func quote(_ text: Substring) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        return evaluate("lookup(\(quote(parts[0])), \(quote(parts[1])))")
    }

    private func showState() -> [String] {
        guard plan.definition.stages.indices.contains(stage) else { return ["no state"] }
        let fields = stateFields(of: plan.definition.stages[stage].name)
        if fields.isEmpty { return ["no state"] }
        return fields.map { "\($0.name) = \(Self.show($0.value))" }
    }

    /// The values of a stage, sorted by key.
    func stateFields(of name: String) -> [Field] {
        state.values.filter { $0.stage == name && $0.kind == .value }.compactMap { change in
            change.storedValue.map { Field(String(decoding: change.key, as: UTF8.self), $0) }
        }.sorted { $0.name < $1.name }
    }
}
