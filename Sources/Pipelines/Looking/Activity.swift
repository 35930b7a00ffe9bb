public import Records

extension PipelineRun {
    /// What the run does now: one line for the whole, and one for each sink.
    public var activity: [Record] {
        let (delivered, windows) = shared.withLock { ($0.delivered, $0.windows) }
        let now = progress
        let seconds = max(Double(monotonicNanoseconds() - startedAt) / 1e9, 0.001)
        func rate(_ count: Int) -> Value { .number((Double(count) / seconds).rounded()) }
        var lines = [
            Record([
                Field("what", .string("pipeline")), Field("name", .string(plan.definition.name)),
                Field("rule_set", .string(versions.wanted.name)),
                Field("records", .integer(Int64(now.read))), Field("per_second", rate(now.read)),
                Field("dead_letters", .integer(Int64(now.deadLetters))),
                Field("commits", .integer(Int64(committer?.count ?? 0))),
                Field("state_keys", .integer(Int64(windows.keys))),
            ])
        ]
        for (sink, count) in zip(plan.definition.sinks, delivered) {
            lines.append(
                Record([
                    Field("what", .string("sink")), Field("name", .string(sink.name)),
                    Field("records", .integer(Int64(count))), Field("per_second", rate(count)),
                ]))
        }
        return lines
    }
}
