internal import Records
internal import Scripting
internal import Stages
internal import Synchronization

/// Replaces the rules of a running pipeline, or says why not. One reload at a time; any thread.
///
/// A version is compiled, tested and tried on the last records beside the stream; only then does
/// every worker take it, between two batches. Whatever fails, the old one goes on.
final class Reloader: Sendable {
    private unowned let run: PipelineRun
    private let isBusy = Atomic<Bool>(false)
    private let table: Locked<VersionTable>
    private let pause = Channel<Void>(capacity: 1)

    init(_ run: PipelineRun, _ table: VersionTable) {
        self.run = run
        self.table = Locked(table)
    }

    /// Notes which version the run has begun with.
    func noteStart() {
        let initial = run.versions.wanted
        guard table.withLock({ $0.active }) != initial.name else { return }
        record(VersionRow(initial.name, .active, by: "start"), keeping: initial)
    }

    /// All versions, oldest first.
    var rows: [VersionRow] { table.withLock { $0.rows } }

    private var settings: ReloadDefinition { run.plan.definition.reload ?? ReloadDefinition() }

    /// Loads the rule files as they are now.
    func reload(_ request: ReloadRequest) -> ReloadOutcome {
        whileAlone { started in
            do throws(Refusal) {
                let plan = try read()
                return try replace(with: plan, request, started)
            } catch {
                return refuse(error, request)
            }
        }
    }

    /// Makes a version active that was so before.
    func rollBack(to version: String) -> ReloadOutcome {
        whileAlone { started in
            var request = ReloadRequest()
            request.by = "rollback"
            request.force = true
            request.shadow = 0
            do throws(Refusal) {
                let (row, kept) = table.withLock { table in
                    (table.rows.last { $0.version == version }, table.kept[version])
                }
                guard let row else {
                    throw Refusal("rollback", "there is no version \(version)", version)
                }
                guard row.state != .rejected, let kept else {
                    let what = "\(version) was never active (\(row.state.rawValue))"
                    throw Refusal("rollback", "\(what); name one that was", version)
                }
                let plan = try wrap(version) { () throws(DiagnosticList) in
                    try Plan(run.plan.definition, files: kept.files)
                }
                return try replace(with: plan, request, started)
            } catch {
                return ReloadOutcome(
                    result: .refused, version: version, step: error.step, reason: error.reason)
            }
        }
    }

    private func whileAlone(_ body: (UInt64) -> ReloadOutcome) -> ReloadOutcome {
        let started = monotonicNanoseconds()
        guard !isBusy.exchange(true, ordering: .acquiring) else {
            return ReloadOutcome(
                result: .refused, version: run.versions.wanted.name, step: "busy",
                reason: "another reload is under way; wait for it and try again")
        }
        defer { isBusy.store(false, ordering: .releasing) }
        var outcome = body(started)
        outcome.milliseconds = Double(monotonicNanoseconds() - started) / 1e6
        return outcome
    }

    // MARK: The steps

    private func read() throws(Refusal) -> Plan {
        try wrap(nil) { () throws(DiagnosticList) in try Plan(run.plan.definition) }
    }

    private func wrap<Result>(
        _ version: String?, _ body: () throws(DiagnosticList) -> Result
    ) throws(Refusal) -> Result {
        do throws(DiagnosticList) { return try body() } catch {
            throw Refusal("compile", render(error.findings) { _, _ in nil }, version)
        }
    }

    private func replace(
        with plan: Plan, _ request: ReloadRequest, _ started: UInt64
    ) throws(Refusal) -> ReloadOutcome {
        let name = plan.ruleSet.version
        let active = run.versions.wanted
        guard name != active.name else {
            return ReloadOutcome(result: .unchanged, version: name)
        }
        let version = try compile(plan, against: active)
        if !request.force { try test(plan) }
        let shadow = try tryOut(plan, active, request)
        try tryMigration(plan, version, active)
        try activate(version, active, request)
        return ReloadOutcome(result: .active, version: name, shadow: shadow)
    }

    /// One loaded VM for each thread.
    private func compile(
        _ plan: Plan, against active: LoadedVersion
    ) throws(Refusal) -> LoadedVersion {
        let name = plan.ruleSet.version
        var boxes: [MachineBox] = []
        var stateVersions: [Int] = []
        do throws(RuleError) {
            let log = run.log
            for index in 0..<run.versions.threads {
                var vm = try plan.makeVM(for: run.purpose) { log.write(stage: $0, $1) }
                for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
                try vm.load()
                if index == 0 {
                    try plan.checkAggregates(vm)
                    for stage in plan.definition.stages.indices {
                        stateVersions.append(vm.stateVersion(ofStage: stage))
                    }
                    if vm.usesState, run.workerCount > 1,
                        !run.usesState.load(ordering: .relaxed)
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
        return LoadedVersion(plan, boxes, stateVersions: stateVersions)
    }

    private func test(_ plan: Plan) throws(Refusal) {
        let files = RuleTests.files(in: plan.definition.folder)
        guard !files.isEmpty else { return }
        let report = RuleTests.run(plan, files: files)
        guard !report.isPassed else { return }
        var lines = report.findings.prefix(5).map { "\($0.location): \($0.message)" }
        for result in report.failed.prefix(5) {
            lines.append("\(result.location): the test \"\(result.name)\" failed")
            lines += result.failure?.errors.prefix(2).map { "  \($0.text)" } ?? []
            lines += result.failure?.differences.prefix(3).map { "  \($0.text)" } ?? []
        }
        let more = report.findings.count + report.failed.count - 10
        if more > 0 { lines.append("and \(more) more") }
        throw Refusal("test", lines.joined(separator: "\n"), plan.ruleSet.version)
    }

    private func tryOut(
        _ plan: Plan, _ active: LoadedVersion, _ request: ReloadRequest
    ) throws(Refusal) -> ShadowReport? {
        let limit = request.shadow ?? settings.shadow
        guard limit > 0, let chunks = run.ring?.chunks, !chunks.isEmpty else { return nil }
        let report: ShadowReport
        do throws(RuleError) {
            report = try ShadowRun.run(
                active.plan, plan, lookups: run.lookups.current, over: chunks, limit: limit)
        } catch {
            throw Refusal("shadow", error.description, plan.ruleSet.version)
        }
        let allowed = request.maxDifference ?? settings.maxDifference
        guard report.difference <= allowed || request.force else {
            let percent = (allowed * 1000).rounded() / 10
            let text =
                ([report.text, "more than \(percent)% differ (max_difference)"]
                + report.samples.map { "  \($0)" }).joined(separator: "\n")
            throw Refusal("shadow", text, plan.ruleSet.version)
        }
        return report
    }

    /// Changes a copy of the state as it was last committed, so that a rule that cannot do it is
    /// found before any worker has begun.
    private func tryMigration(
        _ plan: Plan, _ version: LoadedVersion, _ active: LoadedVersion
    ) throws(Refusal) {
        let stages = plan.definition.stages
        let before = active.stateVersions
        let changed = stages.indices.filter { version.stateVersions[$0] != before[$0] }
        guard !changed.isEmpty, let committer = run.committer else { return }
        let names = Set(changed.map { stages[$0].name })
        guard let state = committer.encodedRules(of: names), !state.isEmpty else { return }
        do throws(RuleError) {
            var vm = try plan.makeVM(log: nil)
            try vm.load()
            try vm.restore(encoded: state, worker: 0, workers: 1)
            for stage in changed { try vm.migrate(stage: stage, from: before[stage]) }
        } catch {
            throw Refusal("migrate", error.description, plan.ruleSet.version)
        }
    }

    private func activate(
        _ version: LoadedVersion, _ active: LoadedVersion, _ request: ReloadRequest
    ) throws(Refusal) {
        let isProven = request.by == "rollback"
        if isProven {
            run.versions.stopWatching()
        } else {
            run.versions.watch(version, settings) { [weak self] verdict, version in
                guard verdict == .failed, let self else { return }
                self.takeBack(version, active)
            }
        }
        // Written before the first record that it runs, so that a restart goes on with it.
        var row = VersionRow(version.name, .active, by: request.by)
        record(row, keeping: version)
        run.versions.want(version)
        while !version.isAdopted, !run.isOver {
            if let problem = version.adoptionProblem {
                run.versions.stopWatching()
                active.reset()
                run.versions.want(active)
                row = VersionRow(
                    version.name, .rejected, step: "migrate", reason: problem, by: request.by)
                record(VersionRow(active.name, .active, by: request.by), keeping: nil)
                record(row, keeping: nil)
                throw Refusal("migrate", problem, nil)
            }
            _ = pause.receive(milliseconds: 1)
        }
        if version.isAdopted { run.versions.prune(keeping: [active, version]) }
    }

    /// Too many records have failed: the version before is active again.
    private func takeBack(_ version: LoadedVersion, _ before: LoadedVersion) {
        let counts = version.counts
        before.reset()
        run.versions.want(before)
        let reason =
            "\(counts.failures) of the first \(counts.records) records failed, more than "
            + "\(settings.probationErrorRate * 100)% of \(settings.probationRecords)"
        writeError("reload: \(version.name) was taken back: \(reason)\n")
        let row = VersionRow(
            version.name, .rolledBack, step: "probation", reason: reason, by: "probation")
        record(row, keeping: nil)
        record(VersionRow(before.name, .active, by: "probation"), keeping: nil)
    }

    // MARK: The record of it

    private func refuse(_ refusal: Refusal, _ request: ReloadRequest) -> ReloadOutcome {
        let version = refusal.version ?? run.versions.wanted.name
        if let refused = refusal.version {
            record(
                VersionRow(
                    refused, .rejected, step: refusal.step, reason: refusal.reason, by: request.by),
                keeping: nil)
        }
        return ReloadOutcome(
            result: .refused, version: version, step: refusal.step, reason: refusal.reason)
    }

    /// Adds a row, in memory and in the store.
    func record(_ row: VersionRow, keeping version: LoadedVersion?) {
        var draft = CommitDraft()
        table.withLock { table in
            if let version {
                var numbers: [String: Int] = [:]
                for (stage, number) in zip(version.plan.definition.stages, version.stateVersions) {
                    numbers[stage.name] = number
                }
                let kept = VersionTable.Kept(
                    files: version.plan.ruleSet.files, stateVersions: numbers)
                if table.kept[row.version] == nil {
                    draft.others.append((.version, VersionTable.encode(row.version, kept)))
                }
                table.keep(row.version, kept)
            }
            table.add(row)
            draft.others.append((.outcome, table.encodedRows))
        }
        run.committer?.submit(draft)
    }
}

/// A step at which a version was refused.
struct Refusal: Error {
    var step: String
    var reason: String
    /// The version, when it could be told.
    var version: String?

    init(_ step: String, _ reason: String, _ version: String?) {
        self.step = step
        self.reason = reason
        self.version = version
    }
}
