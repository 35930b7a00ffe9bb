internal import Connecting
package import Definitions
internal import Engine
internal import Glibc
internal import Records
internal import Scripting
internal import Threads

/// A session in which a person tries records against rules; it takes lines and gives lines.
///
/// It runs the rules that are on disk, in the sandbox and the budgets of a running pipeline, and
/// writes no file but the tests that `:save` adds.
package final class ReplSession {
    /// Reads the rules of the folder anew, or says why not.
    package typealias Loader = () -> Result<Plan, PipelineError>
    /// Reads records, or says why not.
    package typealias Opener = (ReplInput) -> Result<[ReplRecord], PipelineError>

    /// True once the session is over.
    package internal(set) var isFinished = false
    let loadPlan: Loader
    let openInput: Opener
    var plan: Plan
    var stage: Int
    var records: [ReplRecord] = []
    var place = 0
    var current: ReplRecord?
    var last: LastRun?
    /// The way of the current record: what each run made of it.
    var way: [String] = []
    var state: [StateKey: StateChange] = [:]
    var lookups: [String: Lookup] = [:]
    var outputs: [Int: [String]] = [:]
    private var pending = ""
    private var vm: RuleVM
    private let vmStages: [String]
    private let log = Locked<[String]>([])

    /// Begins a session; `stage` is the one to start with.
    package init(
        stage name: String?, load: @escaping Loader, open: @escaping Opener
    ) throws(PipelineError) {
        loadPlan = load
        openInput = open
        let plan = try load().get()
        self.plan = plan
        stage = 0
        vmStages = plan.definition.stages.map(\.name)
        do throws(RuleError) {
            let log = log
            vm = try plan.makeVM(only: nil, now: nil) { text in log.withLock { $0.append(text) } }
            // An expression needs some stage, also where a pipeline has none.
            _ = unsafe vm.addStage(
                name: "repl", schema: nil, script: nil, native: nil,
                budgetNanoseconds: 100_000_000)
            try vm.load()
        } catch {
            throw PipelineError(exitCode: 2, "error: \(error)")
        }
        if let name {
            guard let index = index(ofStage: name) else {
                throw PipelineError(exitCode: 2, "error: \(unknownStage(name))")
            }
            stage = index
        } else {
            let stages = plan.definition.stages
            // A rule is what people come to try; a schema alone has nothing to change.
            stage =
                stages.firstIndex { $0.rulePath != nil }
                ?? stages.firstIndex(where: \.hasRule) ?? 0
        }
        try readLookups()
    }

    /// The chosen stage.
    package var stageName: String {
        plan.definition.stages.indices.contains(stage) ? plan.definition.stages[stage].name : "repl"
    }

    /// The pipeline and its rule set.
    package var title: String { "\(plan.definition.name), rule set \(plan.ruleSet.version)" }

    /// True while what was typed so far goes on in the next line.
    package var isIncomplete: Bool { !pending.isEmpty }

    /// Forgets the lines of a statement that is not complete.
    package func dropPending() { pending = "" }

    /// Takes a line; gives the lines of the answer.
    package func execute(_ line: String) -> [String] {
        let words = line.drop { $0 == " " || $0 == "\t" }
        if pending.isEmpty {
            if words.isEmpty { return [] }
            if words.first == ":" { return command(String(words.dropFirst())) }
        }
        return evaluate(pending.isEmpty ? line : pending + "\n" + line)
    }

    /// The end of the input: a statement that never ended is an error.
    package func finish() -> [String] {
        isFinished = true
        guard !pending.isEmpty else { return [] }
        pending = ""
        return ["error: the input ends in the middle of a statement"]
    }

    // MARK: Expressions

    func evaluate(_ text: String) -> [String] {
        let index = vmStages.firstIndex(of: stageName) ?? vmStages.count
        let record = current?.problem == nil ? current?.text : nil
        let outcome = vm.evaluate(text, record: record, stage: index)
        let logged = log.withLock { lines in
            defer { lines = [] }
            return lines.map { "log: \($0)" }
        }
        for change in vm.stateChanges() { keep(change) }
        switch outcome {
        case .incomplete:
            // Each line is read with all before it, so one that never ends would take for ever.
            guard text.utf8.count(where: { $0 == 0x0A }) < 500, text.utf8.count < 1 << 20 else {
                pending = ""
                return ["error: the statement is longer than 500 lines"]
            }
            pending = text
            return logged
        case .failed(let failure):
            pending = ""
            let problem = RuleProblem(
                message: failure.message, file: failure.file.isEmpty ? "repl" : failure.file,
                line: max(1, failure.line))
            return logged + ["error: \(problem.text)"]
        case .done(let values, let changed):
            pending = ""
            if let changed {
                let origin = current?.origin
                current = ReplRecord(text: changed)
                current?.origin = origin
            }
            return logged + values
        }
    }

    private func keep(_ change: StateChange) {
        let key = StateKey(stage: change.stage, kind: change.kind.rawValue, key: change.key)
        state[key] = change.value == nil && change.kind == .value ? nil : change
    }

    /// Takes over what a run stored, also for expressions.
    func take(_ changes: [StateChange]) {
        for change in changes {
            keep(change)
            try? vm.restore(change)
        }
    }

    // MARK: Stages and lookups

    func index(ofStage name: String) -> Int? {
        plan.definition.stages.firstIndex { $0.name == name }
    }

    func unknownStage(_ name: String) -> String {
        let names = plan.definition.stages.map(\.name)
        return "there is no stage \"\(name)\"\(suggestion(for: name, among: names))"
    }

    func readLookups() throws(PipelineError) {
        var tables: [String: Lookup] = [:]
        for definition in plan.definition.lookups {
            let file = LookupFile(definition: definition, folder: plan.definition.folder)
            tables[definition.name] = try file.read()
        }
        lookups = tables
        for (name, table) in tables { vm.setLookup(name, to: table) }
    }

    /// The rules as they are on disk now.
    func reloadRules() -> [String] {
        switch loadPlan() {
        case .failure(let error): return [error.description]
        case .success(let plan):
            let name = stageName
            self.plan = plan
            stage = index(ofStage: name) ?? plan.definition.stages.firstIndex(where: \.hasRule) ?? 0
            return []
        }
    }
}
