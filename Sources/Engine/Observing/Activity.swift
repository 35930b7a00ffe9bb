internal import Definitions
public import Records
internal import Scripting
internal import Threads

/// One who looks at what a running pipeline does; rules are measured for as long. One thread.
public final class Activity {
    private let run: PipelineRun
    private let meters: [CallMeter]
    private var before: Standing
    /// What was counted of each stage when the looking began.
    private let start: [CallCounts]
    private let firstSamples: [CallSample: Int]
    private var isOver = false

    /// What was counted at one moment.
    private struct Standing {
        var time: UInt64
        var read: Int
        var delivered: [Int]
        var stages: [CallCounts]
    }

    init(_ run: PipelineRun) {
        self.run = run
        meters = run.looking.beginMeasuring(
            threads: run.versions.threads, stages: run.plan.definition.stages.count,
            profiles: false)
        before = Self.standing(of: run, meters)
        start = before.stages
        firstSamples = Dictionary(
            SampleTally.all(meters).map { ($0.key, $0.ticks) }, uniquingKeysWith: +)
    }

    /// Ends the looking.
    public func end() {
        if !isOver { run.looking.endMeasuring(profiles: false) }
        isOver = true
    }

    deinit { end() }

    private static func standing(of run: PipelineRun, _ meters: [CallMeter]) -> Standing {
        Standing(
            time: monotonicNanoseconds(), read: run.progress.read,
            delivered: run.shared.withLock { $0.delivered },
            stages: run.plan.definition.stages.indices.map { stage in
                meters.reduce(into: CallCounts()) { $0 += $1.counts(ofStage: stage) }
            })
    }

    /// What happened since the last call: one line for the whole, one for each stage and sink.
    public func next() -> [Record] {
        let now = Self.standing(of: run, meters)
        let seconds = max(Double(now.time - before.time) / 1e9, 0.001)
        var lines = [pipelineLine(now, seconds: seconds)]
        let lookedFor = SampleTally.all(meters)
        for (index, stage) in run.plan.definition.stages.enumerated() {
            let look = StageLook(
                name: stage.name, budgetNanoseconds: stage.budgetNanoseconds,
                total: now.stages[index] - start[index],
                recent: now.stages[index] - before.stages[index], seconds: seconds,
                hottest: hottest(index, lookedFor))
            lines.append(look.record)
        }
        for (index, sink) in run.plan.definition.sinks.enumerated() {
            lines.append(
                Record([
                    Field("what", .string("sink")), Field("name", .string(sink.name)),
                    Field("records", .integer(Int64(now.delivered[index]))),
                    Field(
                        "per_second",
                        rate(now.delivered[index] - before.delivered[index], seconds)),
                ]))
        }
        before = now
        return lines
    }

    private func pipelineLine(_ now: Standing, seconds: Double) -> Record {
        let keys = run.shared.withLock { $0.windows.keys }
        return Record([
            Field("what", .string("pipeline")), Field("name", .string(run.plan.definition.name)),
            Field("rule_set", .string(run.versions.wanted.name)),
            Field("records", .integer(Int64(now.read))),
            Field("per_second", rate(now.read - before.read, seconds)),
            Field("dead_letters", .integer(Int64(run.progress.deadLetters))),
            Field("commits", .integer(Int64(run.committer?.count ?? 0))),
            Field("state_keys", .integer(Int64(keys))),
            Field("seconds", .number((seconds * 1000).rounded() / 1000)),
        ])
    }

    /// The line of a stage in which most CPU time went since the looking began.
    private func hottest(_ stage: Int, _ samples: [SampleTally]) -> (line: String, share: Double)? {
        var ticks: [String: Int] = [:]
        var total = 0
        for tally in samples where tally.key.stage == stage {
            let count = tally.ticks - (firstSamples[tally.key] ?? 0)
            ticks[tally.key.line, default: 0] += count
            total += count
        }
        guard total > 0, let most = ticks.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })
        else { return nil }
        return (most.key, Double(most.value) / Double(total))
    }
}

/// How often a stack was seen by all threads; `key` has no counts.
struct SampleTally {
    var key: CallSample
    var samples: Int
    var ticks: Int

    static func all(_ meters: [CallMeter]) -> [SampleTally] {
        var found: [CallSample: SampleTally] = [:]
        for sample in meters.flatMap(\.samples) {
            var key = sample
            key.samples = 0
            key.ticks = 0
            found[key, default: SampleTally(key: key, samples: 0, ticks: 0)].samples +=
                sample.samples
            found[key]?.ticks += sample.ticks
        }
        return found.values.sorted { $0.key.stack < $1.key.stack }
    }
}

/// What a stage does, as `top` tells it.
struct StageLook {
    var name: String
    var budgetNanoseconds: Int64
    /// Since the looking began.
    var total: CallCounts
    /// Since the last line.
    var recent: CallCounts
    var seconds: Double
    var hottest: (line: String, share: Double)?

    var record: Record {
        let times = recent.times
        var fields = [
            Field("what", .string("stage")), Field("name", .string(name)),
            Field("records", .integer(Int64(total.records))),
            Field("per_second", rate(recent.records, seconds)),
            Field("errors", .integer(Int64(total.errors))),
            Field("dropped", .integer(Int64(total.dropped))),
            Field("calls", .integer(Int64(total.calls))),
            Field("p50_us", Self.microseconds(times.percentile(0.5))),
            Field("p99_us", Self.microseconds(times.percentile(0.99))),
            Field("max_us", Self.microseconds(times.longest)),
            Field("budget_ms", .number(Double(budgetNanoseconds) / 1e6)),
            Field("p99_of_budget", share(times.percentile(0.99))),
            Field("max_of_budget", share(times.longest)),
            Field("cpu", Self.rounded(Double(recent.nanoseconds) / 1e9 / seconds, 10_000)),
        ]
        fields.append(Field("hottest", hottest.map { .string($0.line) } ?? .null))
        fields.append(
            Field("hottest_share", hottest.map { Self.rounded($0.share, 1000) } ?? .null))
        return Record(fields)
    }

    private func share(_ nanoseconds: Double?) -> Value {
        guard let nanoseconds, budgetNanoseconds > 0 else { return .null }
        return Self.rounded(nanoseconds / Double(budgetNanoseconds), 100_000)
    }

    private static func microseconds(_ nanoseconds: Double?) -> Value {
        nanoseconds.map { rounded($0 / 1000, 100) } ?? .null
    }

    static func rounded(_ number: Double, _ parts: Double) -> Value {
        .number((number * parts).rounded() / parts)
    }
}

/// Records per second, to the whole one.
private func rate(_ count: Int, _ seconds: Double) -> Value {
    .number((Double(count) / seconds).rounded())
}

extension PipelineRun {
    /// Begins to look at what the run does. Any thread.
    public func beginActivity() -> Activity { Activity(self) }

    /// Waits; false when the run has ended meanwhile, or `isGone` says that nobody looks any more.
    public func pause(milliseconds: Int, isGone: () -> Bool) -> Bool {
        let deadline = monotonicNanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
        let pause = Channel<Void>(capacity: 1)
        while !isOver, !isGone() {
            let now = monotonicNanoseconds()
            if now >= deadline { return true }
            _ = pause.receive(milliseconds: Int(min(50, (deadline - now) / 1_000_000 + 1)))
        }
        return false
    }
}
