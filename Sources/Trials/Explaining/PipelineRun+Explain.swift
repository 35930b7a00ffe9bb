internal import Connecting
package import Definitions
package import Engine
internal import Queueing
package import Records
internal import Scripting

extension PipelineRun {
    /// What became of a record, stage by stage, with the rules of now; nothing changes. Throws when
    /// there is no such record. Any thread but those of the run.
    package func explain(_ id: String) throws(PipelineError) -> [Record] {
        let plan = versions.wanted.plan
        var finder = RecordFinder(
            plan.definition, letters: try deadLetters?.list() ?? [], chunks: ring?.chunks)
        let state = committer?.encodedRules(of: allStageNames) ?? []
        let explainer = Explainer(plan, state: state, lookups: lookups.current)
        return try explainer.explain(id, with: &finder)
    }
}

extension Explainer {
    func explain(
        _ id: String, with finder: inout RecordFinder
    ) throws(PipelineError) -> [Record] {
        guard let found = finder.find(id) else {
            throw PipelineError(
                exitCode: 1,
                "error: there is no record \"\(id)\"; looked through "
                    + finder.looked.joined(separator: ", ")
                    + "\n  = help: an id is the meta.id of a record, such as input.jsonl:1234; "
                    + "`tidewheel dlq ls` lists those of dead letters")
        }
        do throws(RuleError) { return try explain(id, found) } catch {
            throw PipelineError(exitCode: 1, "error: \(error)")
        }
    }
}

/// Explains records of a pipeline that does not run.
package struct StoppedPipeline {
    let definition: Definition
    let data: String

    /// Names the pipeline, and the folder of its store, which need not be there.
    package init(_ definition: Definition, data: String) {
        self.definition = definition
        self.data = data
    }

    /// What would become of a record with the rules that are active in the store, or else those on
    /// disk; nothing changes. Throws when there is no such record.
    package func explain(_ id: String) throws(PipelineError) -> [Record] {
        var letters: [DeadLetter] = []
        var state: [UInt8] = []
        var files: [RuleSet.File]?
        if exists(data + "/FORMAT") {
            let store = try StoreOpening.open(data, definition, QueueScripts(plan(of: nil))).get()
            letters = try DeadLetters(store).list()
            state = store.state.encodedRules(of: Set(definition.stages.map(\.name)))
            let versions = store.state.versions
            files = versions.active.flatMap { versions.kept[$0]?.files }
            do throws(QueueError) { try store.close() } catch {
                throw PipelineError(exitCode: 1, "error: \(error)")
            }
        }
        let plan = try plan(of: files)
        let lookups = try LookupTables(plan).current
        var finder = RecordFinder(definition, letters: letters, chunks: nil)
        return try Explainer(plan, state: state, lookups: lookups).explain(id, with: &finder)
    }

    private func plan(of files: [RuleSet.File]?) throws(PipelineError) -> Plan {
        do throws(DiagnosticList) {
            if let files { return try Plan(definition, files: files) }
            return try Plan(definition)
        } catch {
            throw PipelineError(exitCode: 2, render(error.findings) { _, _ in nil })
        }
    }
}
