internal import Connecting
internal import Definitions
internal import Records
internal import Scripting
internal import Threads

/// Replaces the rules of a running pipeline, or says why not. One reload at a time; any thread.
///
/// A version is compiled, tested and tried on the last records beside the stream; only then does
/// every worker take it, between two batches. Whatever fails, the old one goes on.
final class Reloader: Sendable {
    unowned let run: PipelineRun
    /// Holds an element while nothing is being tried or switched.
    private let turn = Channel<Void>(capacity: 1)
    /// Of the attempt that was made last.
    private let newest = Locked<TrialLimit?>(nil)
    private let table: Locked<VersionTable>
    private let held: Locked<HeldRules>
    private let pause = Channel<Void>(capacity: 1)

    init(_ run: PipelineRun, _ table: VersionTable) {
        self.run = run
        self.table = Locked(table)
        held = Locked(HeldRules(data: run.opening == nil ? nil : run.options.data))
        turn.send(())
    }

    /// Notes which version the run has begun with.
    func noteStart() {
        let initial = run.versions.wanted
        held.withLock { $0.release(initial.name) }
        guard table.withLock({ $0.active }) != initial.name else { return }
        let row = VersionRow(initial.name, .active, .started, by: "start", user: userName())
        record(row, keeping: initial)
    }

    /// All versions, oldest first.
    var rows: [VersionRow] { table.withLock { $0.rows } }

    var settings: ReloadDefinition { run.plan.definition.reload ?? ReloadDefinition() }

    /// Loads the rule files as they are now.
    func reload(_ request: ReloadRequest) -> ReloadOutcome {
        whileAlone(request) { attempt in
            do throws(Refusal) {
                if !request.force { try compareDefinition() }
                return try replace(with: read(), &attempt)
            } catch {
                if let version = error.version {
                    held.withLock { $0.hold(version) }
                    let row = attempt.row(
                        version, .rejected, .refused, step: error.step, reason: error.reason)
                    record(row, keeping: nil)
                }
                return refused(error, error.version ?? run.versions.wanted.name, attempt)
            }
        }
    }

    /// Makes a version active that was so before.
    func rollBack(to version: String, _ given: ReloadRequest) -> ReloadOutcome {
        var request = given
        request.by = "rollback"
        request.shadow = 0
        return whileAlone(request) { attempt in
            do throws(Refusal) {
                return try replace(with: keptPlan(of: version), &attempt)
            } catch {
                return refused(error, version, attempt)
            }
        }
    }

    private func keptPlan(of version: String) throws(Refusal) -> Plan {
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
        do throws(DiagnosticList) {
            return try Plan(run.plan.definition, files: kept.files)
        } catch {
            throw Refusal("compile", render(error.findings) { _, _ in nil }, version)
        }
    }

    private func refused(
        _ refusal: Refusal, _ version: String, _ attempt: ReloadAttempt
    ) -> ReloadOutcome {
        var outcome = attempt.outcome(.refused, version)
        outcome.step = refusal.step
        outcome.reason = refusal.reason
        return outcome
    }

    private func whileAlone(
        _ request: ReloadRequest, _ body: (inout ReloadAttempt) -> ReloadOutcome
    ) -> ReloadOutcome {
        var attempt = ReloadAttempt(request, settings)
        let before = newest.withLock { newest in
            defer { newest = attempt.limit }
            return newest
        }
        before?.supersede()
        _ = turn.receive()
        defer { turn.send(()) }
        return body(&attempt)
    }

    // MARK: The switch

    private func replace(
        with plan: Plan, _ attempt: inout ReloadAttempt
    ) throws(Refusal) -> ReloadOutcome {
        let name = plan.ruleSet.version
        let active = run.versions.wanted
        guard name != active.name else { return attempt.outcome(.unchanged, name) }
        if !attempt.isTrusted { try lint(plan, against: active.plan) }
        let version = try compile(plan, attempt.request)
        try checkLimit(attempt, plan)
        if !attempt.isTrusted { try test(plan, &attempt) }
        try tryOut(plan, active, &attempt)
        try tryMigration(plan, version, active)
        try activate(version, active, attempt)
        var outcome = attempt.outcome(.active, name)
        outcome.pauseMilliseconds = version.pauseMilliseconds
        return outcome
    }

    private func activate(
        _ version: LoadedVersion, _ active: LoadedVersion, _ attempt: ReloadAttempt
    ) throws(Refusal) {
        if attempt.request.by == "rollback" {
            run.versions.stopWatching()
        } else {
            run.versions.watch(version, settings) { [weak self] verdict, version in
                guard verdict == .failed, let self else { return }
                self.takeBack(version, active)
            }
        }
        // Written before the first record that it runs, so that a restart goes on with it.
        record(attempt.row(version.name, .active, .activated), keeping: version)
        held.withLock {
            $0.release(version.name)
            if attempt.request.by == "rollback" { $0.hold(active.name) }
        }
        run.versions.want(version)
        while !version.isAdopted, !run.isOver {
            if let problem = version.adoptionProblem {
                run.versions.stopWatching()
                active.reset()
                run.versions.want(active)
                record(attempt.row(active.name, .active, .restored), keeping: nil)
                let row = attempt.row(
                    version.name, .rejected, .refused, step: "migrate", reason: problem)
                record(row, keeping: nil)
                held.withLock { $0.hold(version.name) }
                throw Refusal("migrate", problem, nil)
            }
            _ = pause.receive(milliseconds: 1)
        }
        if version.isAdopted { run.versions.prune(keeping: [active, version]) }
    }

    /// Too many records have failed: the version before is active again, if it can take the state.
    private func takeBack(_ version: LoadedVersion, _ before: LoadedVersion) {
        let counts = version.counts
        let reason =
            "\(counts.failures) of the first \(counts.records) records failed, more than "
            + "\(settings.probationErrorRate * 100)% of "
            + "\(max(counts.records, settings.probationRecords))"
        let stages = run.plan.definition.stages.indices
        let problem = zip(stages, version.layouts).compactMap { stage, layout in
            before.problem(ofStage: stage, takingLayout: layout.number)
        }.first
        if let problem { return keep(version, before, "\(reason); \(problem)") }
        before.reset()
        run.versions.want(before)
        held.withLock {
            $0.hold(version.name)
            $0.release(before.name)
        }
        run.options.tell("warning: reload: \(version.name) was taken back: \(reason)\n")
        var row = VersionRow(
            version.name, .rolledBack, .takenBack, by: "probation", user: userName())
        row.step = "probation"
        row.reason = reason
        record(row, keeping: nil)
        row = VersionRow(before.name, .active, .restored, by: "probation", user: userName())
        record(row, keeping: nil)
        guard before.layouts.map(\.number) != version.layouts.map(\.number) else { return }
        // Its `migrate` may still fail on the state that there is.
        run.startThread { [self] run in
            while !before.isAdopted, !run.isEnding {
                if let problem = before.adoptionProblem {
                    version.reset()
                    run.versions.want(version)
                    return keep(version, before, "\(reason), since \(problem)")
                }
                _ = pause.receive(milliseconds: 1)
            }
        }
    }

    /// Records of a version fail, and the one before would do damage: it stays, loudly.
    private func keep(_ version: LoadedVersion, _ before: LoadedVersion, _ reason: String) {
        run.options.tell(
            "warning: reload: \(version.name) stays although \(reason), or mend the rules and "
                + "reload; `tidewheel rollback \(before.name) --force` leaves the state as it is\n")
        var row = VersionRow(version.name, .active, .kept, by: "probation", user: userName())
        row.step = "probation"
        row.reason = reason
        record(row, keeping: nil)
    }

    // MARK: The record of it

    /// Adds a row, in memory and in the store.
    func record(_ row: VersionRow, keeping version: LoadedVersion?) {
        var draft = CommitDraft()
        table.withLock { table in
            if let version {
                var numbers: [String: Int] = [:]
                for (stage, layout) in zip(version.plan.definition.stages, version.layouts) {
                    numbers[stage.name] = layout.number
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
    /// Nil when it did not come to the first one.
    var step: String?
    var reason: String
    /// The version, when it could be told.
    var version: String?

    init(_ step: String?, _ reason: String, _ version: String?) {
        self.step = step
        self.reason = reason
        self.version = version
    }
}
