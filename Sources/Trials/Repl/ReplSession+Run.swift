internal import Connecting
internal import Definitions
internal import Engine
internal import Glibc
internal import Records
internal import Scripting

extension ReplSession {
    func stageRun(_ index: Int, second: Int, of record: ReplRecord) -> StageRun {
        StageRun(
            plan: plan, stage: index, lookups: lookups, state: Array(state.values),
            now: Int64(second) * 1000, outputs: outputs[index] ?? [], origin: record.origin)
    }

    func run(_ name: String) -> [String] {
        let problems = reloadRules()
        guard problems.isEmpty else { return problems }
        if !name.isEmpty {
            guard let index = index(ofStage: name) else { return ["error: \(unknownStage(name))"] }
            stage = index
        }
        guard let current else { return [Self.noRecord] }
        if let problem = current.problem { return ["error: malformed: \(problem)"] }
        return run(stage, on: current)
    }

    /// Runs the last stage again on the record it was run on, because its file has changed.
    package func runAgain() -> [String] {
        let problems = reloadRules()
        guard problems.isEmpty, let last, last.stage < plan.definition.stages.count else {
            return problems
        }
        if !way.isEmpty { way.removeLast() }
        return run(last.stage, on: last.before)
    }

    private func run(_ index: Int, on record: ReplRecord) -> [String] {
        guard plan.definition.stages.indices.contains(index) else {
            return ["error: the pipeline has no stages"]
        }
        let stage = plan.definition.stages[index]
        guard stage.hasRule else {
            return ["error: the stage \"\(stage.name)\" has no rule that runs record by record"]
        }
        let second = Glibc.time(nil)
        let before = stateFields(of: stage.name)
        var run = stageRun(index, second: second, of: record)
        do throws(RuleError) {
            let result = try run.run(record.text)
            outputs[index] = run.outputs
            take(result.changes)
            let after = result.main.first ?? result.outputs.first?.rows.first
            var next = result.problem == nil ? after.map { ReplRecord(text: $0) } : nil
            next?.origin = record.origin
            last = LastRun(
                stage: index, before: record, after: next ?? record, result: result,
                state: before, second: second)
            if let next { current = next }
            let lines = describe(result)
            way.append("\(stage.name): \(wayPoint(result, record, next))")
            return result.log.map { "log: \($0)" } + lines
        } catch {
            return ["error: \(error)"]
        }
    }

    private func describe(_ result: StageResult) -> [String] {
        if let problem = result.problem {
            let hint = problem.trace.isEmpty ? [] : [":why shows the values at each line"]
            return ["error: \(problem.text)"] + hint
        }
        var lines = result.main.map { String(decoding: $0, as: UTF8.self) }
        for output in result.outputs {
            lines += output.rows.map {
                "routed to \(output.name): " + String(decoding: $0, as: UTF8.self)
            }
        }
        lines += result.dropped.map { "dropped: \($0)" }
        return lines.isEmpty ? ["nothing came out"] : lines
    }

    private func wayPoint(
        _ result: StageResult, _ before: ReplRecord, _ after: ReplRecord?
    ) -> String {
        if let problem = result.problem { return "failed: \(problem.text)" }
        var parts: [String] = []
        if let old = before.value, let new = after?.value {
            let paths = differences(from: old, to: new).map(\.path)
            parts.append(paths.isEmpty ? "unchanged" : "changed \(paths.joined(separator: ", "))")
        }
        parts += result.outputs.map { "routed to \($0.name)" }
        parts += result.dropped.map { "dropped: \($0)" }
        return parts.joined(separator: ", ")
    }

    // MARK: Saving

    func save(_ text: String) -> [String] {
        let isQuoted = text.count > 1 && text.hasPrefix("\"") && text.hasSuffix("\"")
        let name = isQuoted ? String(text.dropFirst().dropLast()) : text
        guard !name.isEmpty else { return ["error: :save needs a name for the test"] }
        guard let last else { return ["error: nothing was run yet"] }
        guard let path = plan.definition.stages[last.stage].rulePath, path.hasSuffix(".lua"),
            let input = last.before.value
        else { return ["error: the stage has no rule file that could have tests"] }
        let file = String(path.dropLast(4)) + ".test.yaml"
        let full = resolve(file, in: plan.definition.folder)
        let known = readFile(full)
        let test = SavedTest(
            name: name, input: input, last: last,
            usesTime: mentionsTime(path), stage: plan.definition.stages[last.stage].name)
        guard let text = test.added(to: known, rule: path) else {
            return ["error: \(file) cannot be added to; `tidewheel test` tells why"]
        }
        guard writeText(text, to: full) else { return ["error: \(file) cannot be written"] }
        return ["saved \"\(name)\" in \(file)"]
    }

    private func mentionsTime(_ path: String) -> Bool {
        let text = String(decoding: plan.ruleSet.bytes(of: path) ?? [], as: UTF8.self)
        return text.contains("now(")
    }

    /// Puts a new file into the place of the old one in one step, so that a watcher sees all or
    /// nothing.
    private func writeText(_ text: String, to path: String) -> Bool {
        let temporary = path + ".new"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { return false }
        let bytes = Array(text.utf8)
        let written = unsafe bytes.withUnsafeBytes {
            unsafe write(descriptor, $0.baseAddress, $0.count)
        }
        close(descriptor)
        return unsafe written == bytes.count && rename(temporary, path) == 0
    }
}
