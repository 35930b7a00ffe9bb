public import Connecting
internal import Definitions
internal import Glibc
internal import Records
public import Scripting

/// What a run did, as `--summary` writes it.
public struct Summary: Sendable {
    /// The pipeline's name.
    public var name = ""
    /// Records of the source, malformed ones too.
    public var read = 0
    /// Files of the sources that were read, and those that could not be.
    public var files = FileCounts()
    /// Rows by sink.
    public var delivered: [(sink: String, rows: Int)] = []
    /// What the rules counted.
    public var counts = RuleCounts()
    /// What the windows did.
    public var windows = WindowCounts()
    /// From start to end.
    public var seconds = 0.0
    /// CPU of all threads.
    public var cpuSeconds = 0.0
    /// The most memory there ever was, in bytes.
    public var peakMemoryBytes = 0
    /// The version of the rule set.
    public var ruleSet = ""
    /// Why the run has failed; nil when it has not.
    public var error: String?

    /// Nothing was done.
    package init() {}

    /// Adds what the system says about this process.
    mutating func addUsage() {
        var usage = rusage()
        unsafe getrusage(0 /* RUSAGE_SELF */, &usage)
        let micros =
            (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000 + usage.ru_utime.tv_usec
            + usage.ru_stime.tv_usec
        cpuSeconds = Double(micros) / 1e6
        peakMemoryBytes = Self.ownPeak() ?? usage.ru_maxrss * 1024
    }

    /// The system's `ru_maxrss` also covers the process that started this one, before the exec.
    private static func ownPeak() -> Int? {
        let status = String(decoding: readFile("/proc/self/status") ?? [], as: UTF8.self)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let digits = line?.drop { !$0.isNumber }.prefix { $0.isNumber }
        return digits.flatMap { Int($0) }.map { $0 * 1024 }
    }

    /// The summary as JSON.
    public var json: String {
        func object(_ counts: [String: Int]) -> Value {
            .object(
                counts.sorted { $0.key < $1.key }.map { Field($0.key, .integer(Int64($0.value))) })
        }
        let metrics = counts.metrics.sorted { $0.key < $1.key }.map {
            Field(
                $0.key,
                $0.value == $0.value.rounded() && abs($0.value) < 1e15
                    ? .integer(Int64($0.value)) : .number($0.value))
        }
        var fields: [Field] = [
            Field("name", .string(name)), Field("rule_set", .string(ruleSet)),
            Field("read", .integer(Int64(read))),
            Field(
                "files",
                .object([
                    Field("read", .integer(Int64(files.read))),
                    Field("failed", .integer(Int64(files.failed.count))),
                ])), Field("emitted", .integer(Int64(counts.extra))),
            Field("delivered", .object(delivered.map { Field($0.sink, .integer(Int64($0.rows))) })),
            Field("dropped", object(counts.dropped)),
            Field("dead_letters", .integer(Int64(counts.deadLetters))),
            Field("dead_letters_by_stage", object(counts.deadByStage)),
            Field("late", .integer(Int64(windows.late.values.reduce(0, +)))),
            Field("late_by_stage", object(windows.late)),
            Field("late_after_close", .integer(Int64(windows.lateAfterClose))),
            Field("aggregated", object(windows.taken)),
            Field("window_rows", object(windows.rows)),
            Field("metrics", .object(metrics)),
            Field("state_keys", .integer(Int64(counts.stateKeys + windows.keys))),
            Field("state_bytes", .integer(Int64(counts.stateBytes + windows.bytes))),
            Field("seconds", .number((seconds * 1000).rounded() / 1000)),
            Field("cpu_seconds", .number((cpuSeconds * 1000).rounded() / 1000)),
            Field("peak_memory_bytes", .integer(Int64(peakMemoryBytes))),
        ]
        if let error { fields.append(Field("error", .string(error))) }
        return String(decoding: Value.object(fields).json, as: UTF8.self)
    }
}

/// What the aggregate stages of a run have done, by the name of the stage.
public struct WindowCounts: Sendable {
    /// Records that came after all their windows had fired.
    public var late: [String: Int] = [:]
    /// Records that came too late only because an earlier run has closed their windows.
    public var lateAfterClose = 0
    /// Records that were added to windows.
    public var taken: [String: Int] = [:]
    /// Rows that windows gave.
    public var rows: [String: Int] = [:]
    /// Entries that windows still hold.
    public var keys = 0
    /// Bytes that they take.
    public var bytes = 0

    /// Creates zero counts.
    public init() {}
}

extension RuleCounts {
    /// Adds what another worker has counted.
    mutating func add(_ other: RuleCounts) {
        read += other.read
        deadLetters += other.deadLetters
        extra += other.extra
        stateKeys += other.stateKeys
        stateBytes += other.stateBytes
        dropped.merge(other.dropped, uniquingKeysWith: +)
        deadByStage.merge(other.deadByStage, uniquingKeysWith: +)
        metrics.merge(other.metrics, uniquingKeysWith: +)
    }
}
