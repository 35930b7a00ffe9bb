internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// What a version has to pass before any worker sees it.
extension Reloader {
    /// The rule files as they are now.
    func read() throws(Refusal) -> Plan {
        let definition = run.plan.definition
        do throws(DiagnosticList) { return try Plan(definition) } catch {
            // Named by what could be read, so that the attempt can be told from others.
            let found = Plan.readableRules(of: definition)
            throw Refusal("compile", found.render(error.findings), found.version)
        }
    }

    /// Refuses when pipeline.yaml is not what the run was started with: only rules can be replaced.
    func compareDefinition() throws(Refusal) {
        let found: DefinitionChange?
        do throws(DiagnosticList) { found = try run.options.change?(run.plan.definition) } catch {
            throw Refusal(nil, definitionScreen(error.findings), nil)
        }
        guard let change = found else { return }
        throw Refusal(
            nil,
            "pipeline.yaml has changed and \(change.description); a reload replaces rules only, "
                + "and --force does that without the change", nil)
    }

    private func definitionScreen(_ findings: [Diagnostic]) -> String {
        let text = readFile(run.plan.definition.folder + "/pipeline.yaml") ?? []
        let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
        return render(findings) { file, line in
            guard file == "pipeline.yaml", lines.indices.contains(line - 1) else { return nil }
            return String(decoding: lines[line - 1], as: UTF8.self)
        }
    }

    /// Errors that the running version does not have as well.
    func lint(_ plan: Plan, against active: Plan) throws(Refusal) {
        let errors = PipelineLint.ruleErrors(of: plan)
        guard !errors.isEmpty else { return }
        let known = Set(PipelineLint.ruleErrors(of: active).map(\.signature))
        let fresh = errors.filter { !known.contains($0.signature) }
        guard fresh.isEmpty else {
            throw Refusal("compile", plan.ruleSet.render(fresh), plan.ruleSet.version)
        }
    }

    /// One loaded VM for each thread, and one for a moment of each handler.
    func compile(_ plan: Plan, _ request: ReloadRequest) throws(Refusal) -> LoadedVersion {
        let name = plan.ruleSet.version
        var boxes: [MachineBox] = []
        var layouts: [StateLayout] = []
        do throws(RuleError) {
            try plan.checkQueueFunctions()
            let log = run.log
            for index in 0..<run.versions.threads {
                var vm = try plan.makeVM(for: run.purpose) { log.write(stage: $0, $1) }
                for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
                try vm.load()
                if index == 0 {
                    try plan.checkAggregates(vm)
                    layouts = StateLayout.all(of: vm, in: plan)
                    if run.distribution == .anyLane && plan.keepsStateInFront
                        || run.exchange?.ranking != nil && plan.keepsStateBehind
                    {
                        throw RuleError(
                            "the new rules use state and the running ones do not; with several "
                                + "workers that needs a restart")
                    }
                }
                boxes.append(MachineBox(vm))
            }
        } catch {
            throw Refusal("compile", error.description, name)
        }
        return LoadedVersion(plan, boxes, layouts: layouts, takesAnyState: request.force)
    }

    /// The tests of the folder.
    func test(_ plan: Plan, _ attempt: inout ReloadAttempt) throws(Refusal) {
        guard let verdict = run.options.trial?.test(plan, until: attempt.limit) else { return }
        try checkLimit(attempt, plan, step: "test")
        attempt.tests = verdict.count
        guard let failure = verdict.failure else { return }
        throw Refusal("test", failure, plan.ruleSet.version)
    }

    /// Both versions over the last records, without effects.
    func tryOut(
        _ plan: Plan, _ active: LoadedVersion, _ attempt: inout ReloadAttempt
    ) throws(Refusal) {
        let request = attempt.request
        let limit = request.shadow ?? settings.shadow
        guard limit > 0, let trial = run.options.trial, let chunks = run.ring?.chunks,
            !chunks.isEmpty
        else { return }
        let report: ShadowReport
        do throws(RuleError) {
            report = try trial.compare(
                active.plan, plan, lookups: run.lookups.current, over: chunks, limit: limit,
                until: attempt.limit)
        } catch {
            throw Refusal("shadow", error.description, plan.ruleSet.version)
        }
        attempt.shadow = report
        try checkLimit(attempt, plan, step: "shadow", ": \(report.text)")
        try checkErrors(report, attempt, plan)
        let allowed = request.maxDifference ?? settings.maxDifference
        guard report.difference <= allowed || request.force else {
            let percent = (allowed * 1000).rounded() / 10
            let text =
                ([report.text, "more than \(percent)% differ (max_difference)"]
                + report.samples.map { "  \($0)" }).joined(separator: "\n")
            throw Refusal("shadow", text, plan.ruleSet.version)
        }
    }

    /// Refuses a version whose trial had to end before it was through.
    func checkLimit(
        _ attempt: ReloadAttempt, _ plan: Plan, step: String = "compile", _ progress: String = ""
    ) throws(Refusal) {
        guard let reason = attempt.limit.reason else { return }
        throw Refusal(step, reason + progress, plan.ruleSet.version)
    }

    private func checkErrors(
        _ report: ShadowReport, _ attempt: ReloadAttempt, _ plan: Plan
    ) throws(Refusal) {
        let allowed = settings.maxNewErrors
        guard Double(report.newErrors) > allowed * Double(report.records), !attempt.isTrusted else {
            return
        }
        let percent = (allowed * 1000).rounded() / 10
        let text =
            ([report.text, "more than \(percent)% fail that did not (max_new_errors)"]
            + report.samples.map { "  \($0)" }).joined(separator: "\n")
        throw Refusal("shadow", text, plan.ruleSet.version)
    }

    /// Changes a copy of the state as it was last committed, so that a rule that cannot do it is
    /// found before any worker has begun.
    func tryMigration(
        _ plan: Plan, _ version: LoadedVersion, _ active: LoadedVersion
    ) throws(Refusal) {
        let stages = plan.definition.stages
        let before = active.layouts
        let changed = stages.indices.filter { version.layouts[$0].number != before[$0].number }
        guard !changed.isEmpty, let committer = run.committer else { return }
        do throws(RuleError) {
            for stage in changed {
                guard let state = committer.encodedRules(of: [stages[stage].name]), !state.isEmpty
                else { continue }
                if !version.takesAnyState,
                    let reason = version.problem(ofStage: stage, takingLayout: before[stage].number)
                {
                    throw RuleError("\(reason), or leave the state as it is with --force")
                }
                var vm = try plan.makeVM(log: nil)
                try vm.load()
                try vm.restore(encoded: state, worker: 0, workers: 1)
                try vm.migrate(stage: stage, from: before[stage].number)
            }
        } catch {
            throw Refusal("migrate", error.description, plan.ruleSet.version)
        }
    }
}

extension Plan {
    /// Those files of a definition that can be read now, whatever is wrong with them.
    static func readableRules(of definition: Definition) -> RuleSet {
        var paths = Set(findModules(in: definition.folder + "/rules/lib").map(\.path))
        for stage in definition.stages {
            switch stage.work {
            case .files(let schema, let rule):
                paths.formUnion([schema, rule].compactMap { $0?.path })
            case .aggregate(let aggregate): paths.formUnion(aggregate.userFiles.map(\.path))
            case .native: break
            }
        }
        paths.formUnion(definition.handlers.map(\.script))
        return RuleSet(
            files: paths.compactMap { path in
                readFile(resolve(path, in: definition.folder)).map {
                    RuleSet.File(path: path, bytes: $0)
                }
            })
    }
}

extension RuleSet {
    /// Findings with the lines that they are about, on one screen.
    func render(_ findings: [Diagnostic]) -> String {
        Connecting.render(findings) { file, line in
            guard let bytes = bytes(of: file) else { return nil }
            let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            guard lines.indices.contains(line - 1) else { return nil }
            return String(decoding: lines[line - 1], as: UTF8.self)
        }
    }
}

extension Diagnostic {
    /// The same for the same mistake on another line.
    fileprivate var signature: String { "\(location.file) \(code ?? "") \(message)" }
}
