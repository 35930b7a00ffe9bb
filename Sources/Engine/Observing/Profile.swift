public import Definitions
public import Records
internal import Scripting
internal import Threads

/// Where the time of a stage's rule goes, line by line; it is sampled for as long. One thread.
public final class Profiling {
    private let run: PipelineRun
    private let stage: Int
    private let meters: [CallMeter]
    private let start: CallCounts
    private let firstSamples: [CallSample: SampleTally]
    private let startedAt = monotonicNanoseconds()
    private var isOver = false

    init(_ run: PipelineRun, stage: Int) {
        self.run = run
        self.stage = stage
        meters = run.looking.beginMeasuring(
            threads: run.versions.threads, stages: run.plan.definition.stages.count,
            profiles: true)
        start = meters.reduce(into: CallCounts()) { $0 += $1.counts(ofStage: stage) }
        firstSamples = Dictionary(
            SampleTally.all(meters).map { ($0.key, $0) }, uniquingKeysWith: { old, _ in old })
    }

    deinit { end() }

    /// Ends the sampling.
    public func end() {
        if !isOver { run.looking.endMeasuring(profiles: true) }
        isOver = true
    }

    /// What was found until now.
    public var result: Profile {
        let counts =
            meters.reduce(into: CallCounts()) { $0 += $1.counts(ofStage: stage) } - start
        var profile = Profile(
            stage: run.plan.definition.stages[stage].name,
            seconds: Double(monotonicNanoseconds() - startedAt) / 1e9, calls: counts.calls,
            cpuSeconds: Double(counts.nanoseconds) / 1e9)
        let files = run.versions.wanted.plan.ruleSet
        for tally in SampleTally.all(meters) where tally.key.stage == stage {
            let before = firstSamples[tally.key]
            profile.add(
                stack: tally.key.stack, line: tally.key.line,
                samples: tally.samples - (before?.samples ?? 0),
                ticks: tally.ticks - (before?.ticks ?? 0))
        }
        profile.addSources { path, line in
            guard let bytes = files.bytes(of: path) else { return nil }
            let lines = String(decoding: bytes, as: UTF8.self)
                .split(separator: "\n", omittingEmptySubsequences: false)
            return lines.indices.contains(line - 1) ? String(lines[line - 1]) : nil
        }
        return profile
    }
}

/// The lines of a rule by samples, as `profile` tells it.
public struct Profile: Sendable {
    struct Line: Sendable {
        var place: String
        var samples = 0
        var ticks = 0
        var source = ""
    }

    var stage: String
    var seconds: Double
    var calls: Int
    var cpuSeconds: Double
    private(set) var lines: [String: Line] = [:]
    private(set) var stacks: [String: Int] = [:]

    init(stage: String, seconds: Double, calls: Int, cpuSeconds: Double) {
        self.stage = stage
        self.seconds = seconds
        self.calls = calls
        self.cpuSeconds = cpuSeconds
    }

    mutating func add(stack: String, line: String, samples: Int, ticks: Int) {
        guard samples > 0 || ticks > 0 else { return }
        lines[line, default: Line(place: line)].samples += samples
        lines[line]?.ticks += ticks
        if samples > 0 { stacks["\(stage);\(stack)", default: 0] += samples }
    }

    /// Adds the text of each line.
    mutating func addSources(_ text: (_ path: String, _ line: Int) -> String?) {
        for place in lines.keys {
            guard let colon = place.lastIndex(of: ":"),
                let number = Int(place[place.index(after: colon)...]),
                let source = text(String(place[..<colon]), number)
            else { continue }
            lines[place]?.source = source.trimmed
        }
    }

    /// All samples, and those by CPU time.
    private var totals: (samples: Int, ticks: Int) {
        lines.values.reduce(into: (0, 0)) {
            $0.0 += $1.samples
            $0.1 += $1.ticks
        }
    }

    /// One line for the whole and one for each line of the rule, the hottest first; with `stacks`
    /// also one for each stack.
    public func records(withStacks: Bool) -> [Record] {
        let totals = totals
        var records = [
            Record([
                Field("what", .string("profile")), Field("stage", .string(stage)),
                Field("seconds", StageLook.rounded(seconds, 1000)),
                Field("calls", .integer(Int64(calls))),
                Field("cpu_seconds", StageLook.rounded(cpuSeconds, 1_000_000)),
                Field("samples", .integer(Int64(totals.samples))),
                Field("ticks", .integer(Int64(totals.ticks))),
            ])
        ]
        let sorted = lines.values.sorted {
            ($1.samples, $1.ticks, $0.place) < ($0.samples, $0.ticks, $1.place)
        }
        for line in sorted {
            records.append(
                Record([
                    Field("what", .string("line")), Field("place", .string(line.place)),
                    Field("samples", .integer(Int64(line.samples))),
                    Field("share", share(line.samples, totals.samples)),
                    Field("ticks", .integer(Int64(line.ticks))),
                    Field("cpu_share", share(line.ticks, totals.ticks)),
                    Field("source", .string(line.source)),
                ]))
        }
        guard withStacks else { return records }
        return records
            + stacks.sorted { $0.key < $1.key }.map { stack, count in
                Record([
                    Field("what", .string("stack")), Field("stack", .string(stack)),
                    Field("samples", .integer(Int64(count))),
                ])
            }
    }

    private func share(_ part: Int, _ whole: Int) -> Value {
        whole == 0 ? .null : StageLook.rounded(Double(part) / Double(whole), 10_000)
    }
}

extension PipelineRun {
    /// Begins to sample the rule of a stage. Throws when there is no such stage, or it has no rule.
    public func beginProfile(_ stage: String) throws(PipelineError) -> Profiling {
        let index = try index(ofStage: stage)
        let hasRule =
            switch plan.definition.stages[index].work {
            case .files(_, let rule): rule != nil
            case .aggregate(let aggregate): !aggregate.userFiles.isEmpty
            case .native: false
            }
        guard hasRule else {
            throw PipelineError(
                exitCode: 1, "the stage \"\(stage)\" has no rule in Lua that could be profiled")
        }
        return Profiling(self, stage: index)
    }
}

extension StringProtocol {
    /// Without the blanks around it.
    var trimmed: String {
        var text = self[...]
        while let last = text.last, last.isWhitespace { text = text.dropLast() }
        return String(text.drop { $0.isWhitespace })
    }
}
