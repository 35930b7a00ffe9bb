internal import Connecting
internal import Definitions
internal import Engine
internal import Records
internal import Scripting

extension ReplSession {
    /// The commands with what they take and do, in the order of `:help`.
    static let commands: [(name: String, arguments: String, help: String)] = [
        ("load", "FILE", "read records; the first becomes the current one"),
        ("load", "queue NAME [N]", "look at messages of a queue; nothing is taken"),
        ("load", "dlq [ID]", "dead letters, as the records were before the first stage"),
        ("load", "tap STAGE [N]", "what leaves a running stage; STAGE.in, STAGE.dead"),
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
            let hint = suggestion(for: name, among: Self.names)
            return ["error: there is no command :\(name)\(hint); :help lists them"]
        }
    }

    /// The names of the commands, each once.
    static let names = commands.indices.filter { index in
        !commands[..<index].contains { $0.name == commands[index].name }
    }.map { commands[$0].name }

    static let noRecord = "error: there is no current record; :load FILE reads some"

    private func help() -> [String] {
        Self.commands.map { command in
            let head = ":\(command.name) \(command.arguments)"
            return head + String(repeating: " ", count: max(1, 24 - head.count)) + command.help
        } + ["Anything else is Lua; r is the current record."]
    }

    // MARK: Records

    private func load(_ text: String) -> [String] {
        guard !text.isEmpty else { return ["error: :load needs a file, queue, dlq or tap"] }
        do throws(PipelineError) { return load(try ReplInput(command: text)) } catch {
            return ["error: \(error.description)"]
        }
    }

    /// Reads records.
    package func load(_ input: ReplInput) -> [String] {
        switch openInput(input) {
        case .failure(let error):
            let text = error.description
            return [text.hasPrefix("error") ? text : "error: \(text)"]
        case .success(let found):
            guard !found.isEmpty else { return ["error: \(input.name) holds no record"] }
            records = found
            place = 0
            return ["\(found.count) \(found.count == 1 ? "record" : "records")"] + show()
        }
    }

    private func show() -> [String] {
        current = records[place]
        way = []
        let record = records[place]
        let problem = record.problem.map { ["malformed: \($0)"] } ?? []
        return ["\(place + 1)/\(records.count) \(record.shown)"] + problem + record.notes
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
        if way.isEmpty, records.indices.contains(place), !records[place].notes.isEmpty,
            !records[place].trace.isEmpty
        {
            return whyDead(records[place])
        }
        guard let last else { return ["error: nothing was run yet"] }
        let lines = last.result.problem.map { $0.trace.isEmpty ? last.result.trace : $0.trace }
        var text = (lines ?? last.result.trace).map { sourceLine(of: $0) }
        if let problem = last.result.problem { text.append("error: \(problem.text)") }
        return text.isEmpty ? ["no rule was called"] : text
    }

    /// The values at each line of the run in which a dead letter has failed.
    private func whyDead(_ letter: ReplRecord) -> [String] {
        guard letter.ruleSet != plan.ruleSet.version else {
            return letter.trace.map { sourceLine(of: $0) } + letter.notes
        }
        // Lines may have moved since.
        return letter.trace + letter.notes + ["that was with rule set \(letter.ruleSet ?? "?")"]
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
        var run = stageRun(last.stage, second: last.second, of: last.before)
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
