internal import Definitions
package import Engine
internal import Journal
internal import Queueing
internal import Records
internal import Threads

/// What a running pipeline serves to other processes over its store's socket.
package enum ControlSocket {
    /// Begins to serve; nil when the run has no store.
    package static func serve(
        _ run: PipelineRun, data: String?, _ keeper: CatalogueKeeper?
    ) throws -> ControlServer? {
        guard let data, let store = run.queueStore else { return nil }
        var verbs = VerbTable()
        QueueVerbs(
            store, exchanges: run.exchanges, redriveRule: run.queueScripts.redriveRules
        ).add(to: &verbs)
        StoreVerbs(store, on: SystemDisk()).add(to: &verbs)
        verbs.add("store.catalogue", ["rebuild": .flag]) { (call) throws(ControlFailure) in
            guard let keeper else { return }
            call.output.line(try keeper.update(rebuild: call.flag("rebuild")))
        }
        addRules(run, to: &verbs)
        addLetters(run, to: &verbs)
        LookingVerbs(run).add(to: &verbs)
        do throws(ControlFailure) {
            return try ControlServer(directory: data, verbs: verbs)
        } catch {
            // A pipeline that cannot be asked still runs.
            run.tell("warning: \(error.message)\n")
            return nil
        }
    }

    private static func addRules(_ run: PipelineRun, to verbs: inout VerbTable) {
        verbs.add(
            "reload",
            ["force": .flag, "shadow": .integer(0...1_000_000), "max_difference": .share]
        ) { (call) throws(ControlFailure) in
            var request = ReloadRequest()
            request.user = call.caller.map { userName(of: $0) }
            request.force = call.flag("force")
            let caller = call.output.presence
            request.isWanted = { caller.isThere }
            request.shadow = call.integer("shadow")
            request.maxDifference = call.number("max_difference")
            try answer(run.reload(request), call)
        }
        verbs.add("rollback", ["version": .name, "force": .flag]) { (call) throws(ControlFailure) in
            var request = ReloadRequest()
            request.user = call.caller.map { userName(of: $0) }
            request.force = call.flag("force")
            try answer(run.rollBack(to: call.required("version"), request), call)
        }
        verbs.add("versions") { (call) throws(ControlFailure) in
            for row in run.versionRows { call.output.line(Array(row.json.utf8)) }
        }
    }

    private static func answer(
        _ outcome: ReloadOutcome, _ call: ControlCall
    ) throws(ControlFailure) {
        guard outcome.result != .refused else {
            let step = outcome.step.map { "refused at the step \($0): " } ?? ""
            throw ControlFailure(1, step + (outcome.reason ?? "no reason was given"))
        }
        var fields = [
            Field("result", .string(outcome.result.rawValue)),
            Field("version", .string(outcome.version)),
            Field("milliseconds", .number((outcome.milliseconds * 10).rounded() / 10)),
        ]
        if outcome.result == .active {
            let pause = (outcome.pauseMilliseconds * 1000).rounded() / 1000
            fields.append(Field("longest_pause_milliseconds", .number(pause)))
        }
        if let tests = outcome.tests {
            fields.append(Field("tests", .string("\(tests.passed) of \(tests.total) passed")))
        }
        if let shadow = outcome.shadow { fields.append(Field("shadow", .string(shadow.text))) }
        call.output.line(Record(fields))
    }

    private static func addLetters(_ run: PipelineRun, to verbs: inout VerbTable) {
        verbs.add("dlq.list", ["ids": .texts]) { (call) throws(ControlFailure) in
            let letters = try wrap { () throws(PipelineError) in
                try run.deadLetters?.find(call.texts("ids")) ?? []
            }
            for letter in letters { call.output.line(letter.record) }
        }
        verbs.add("dlq.purge") { (call) throws(ControlFailure) in
            let count = try wrap { () throws(PipelineError) in try run.deadLetters?.purge() ?? 0 }
            call.output.line(Record([Field("purged", .integer(Int64(count)))]))
        }
        verbs.add("dlq.replay", ["ids": .texts, "dry_run": .flag]) {
            (call) throws(ControlFailure) in
            let result = try wrap { () throws(PipelineError) in
                let letters = try run.deadLetters?.find(call.texts("ids")) ?? []
                return call.flag("dry_run")
                    ? try run.tryReplay(letters) : try run.replay(letters)
            }
            call.output.line(Array(result.json.utf8))
        }
    }

    /// An error of the pipeline as one of the verb.
    static func wrap<Result>(
        _ body: () throws(PipelineError) -> Result
    ) throws(ControlFailure) -> Result {
        do throws(PipelineError) { return try body() } catch {
            throw ControlFailure(error.exitCode, error.description)
        }
    }
}
