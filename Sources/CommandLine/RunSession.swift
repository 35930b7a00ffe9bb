internal import Connecting
import Connectors
internal import Definitions
internal import Engine
import Glibc
internal import Operating
import Records
import Scripting
import Synchronization
internal import Threads

/// One run of the command: its log, its signals, its socket and its summary.
struct RunSession {
    let folder: String
    var options: RunOptions
    let log: EventLog
    let summaryPath: String?
    private let order = LogOrder()

    init(folder: String, options: RunOptions, log: EventLog, summaryPath: String?) {
        self.folder = folder
        self.options = options
        self.log = log
        self.summaryPath = summaryPath
    }

    func run() throws {
        let pipeline: PipelineRun
        let keeper = Locked<CatalogueKeeper?>(nil)
        do {
            let plan = try loadPlan(folder)
            tellStart(plan)
            pipeline = try start(plan, keeper)
        } catch let failure as CommandFailure {
            // What could not even begin has a summary, too.
            try? writeSummary(Summary(), failure.text)
            throw told(failure)
        }
        let server = try ControlSocket.serve(
            pipeline, data: options.data, keeper.withLock { $0 })
        defer { server?.stop() }
        let log = log
        order.ready(log)
        StopSignals.whenStopped(
            insisted: {
                log.write(
                    .warning, "killed",
                    "killed by another signal; what was not committed comes with the next run")
            },
            hangUp: {
                Self.reload(pipeline, log)
            }
        ) { signal in
            log.write(.info, "stopping", "stopping: \(signal)", [Field("reason", .string(signal))])
            pipeline.requestStop()
        }
        let progress = ProgressLine.isWanted ? ProgressLine(pipeline, log) : nil
        let result = pipeline.wait()
        progress?.finish()
        try end(pipeline, result)
    }

    /// SIGHUP: rules are loaded again; sinks see by themselves which files were renamed.
    private static func reload(_ pipeline: PipelineRun, _ log: EventLog) {
        var request = ReloadRequest()
        request.by = "signal"
        let outcome = pipeline.reload(request)
        let event = "reload"
        switch outcome.result {
        case .unchanged:
            log.write(
                .info, event,
                "SIGHUP: the rules are unchanged; files that were renamed are reopened")
        case .active: log.write(.info, event, "SIGHUP: \(outcome.version) is active")
        case .refused:
            let step = outcome.step ?? "?"
            log.write(
                .warning, event, "SIGHUP: refused at the step \(step): \(outcome.reason ?? "")")
        }
    }

    private func start(
        _ plan: Plan, _ keeper: Locked<CatalogueKeeper?>
    ) throws -> PipelineRun {
        do {
            return try PipelineRun.start(plan, options: wholeOptions(plan, keeper))
        } catch {
            log.write(.info, "stopped", "stopped: the run could not begin")
            throw CommandFailure(exitCode: error.exitCode, text: error.description)
        }
    }

    private func wholeOptions(_ plan: Plan, _ keeper: Locked<CatalogueKeeper?>) -> RunOptions {
        var options = options
        let (log, data) = (log, options.data)
        options.tell = { log.take($0) }
        let order = order
        options.inputEnded = { order.inputEnded(log) }
        // Before the first record, so that even the shortest run leaves something to look at.
        options.prepare = { run in
            let made = CatalogueKeeper(run, data: data)
            if let period = plan.definition.catalogueNanoseconds { made?.start(every: period) }
            keeper.withLock { $0 = made }
        }
        let environment = environment()
        options.change = { (definition) throws(DiagnosticList) in
            try DefinitionChange(
                of: definition, environment: environment, catalogue: .standard)
        }
        return options
    }

    // MARK: The end

    private func end(
        _ pipeline: PipelineRun, _ result: Result<Summary, PipelineError>
    ) throws {
        let summary = pipeline.summary
        let failed = summary.files.hasEnded && !summary.files.failed.isEmpty
        try writeSummary(summary, failed ? summary.failedFiles : nil)
        switch result {
        case .failure(let error):
            tellEnd(summary)
            throw told(CommandFailure(exitCode: error.exitCode, text: error.description))
        case .success(let outcome):
            if outcome.read == 0, pipeline.hasResumed, options.once {
                log.write(
                    .info, nil,
                    "nothing new: what the input holds was read by an earlier run; `--fresh` reads "
                        + "it again and leaves the store alone")
            }
            tellEnd(summary)
            if failed {
                throw told(CommandFailure(exitCode: 1, text: summary.failedFiles))
            }
        }
    }

    private func writeSummary(_ summary: Summary, _ error: String?) throws {
        guard let summaryPath else { return }
        var whole = summary
        if let error { whole.error = error }
        try writeFile(Array((whole.json + "\n").utf8), to: summaryPath, option: "--summary")
    }

    // MARK: Log lines

    private func tellStart(_ plan: Plan) {
        let definition = plan.definition
        let sources = definition.sources.map(\.name)
        let sinks = definition.sinks.map(\.name)
        func list(_ word: String, _ names: [String]) -> String {
            names.isEmpty
                ? ""
                : ", \(word)\(names.count > 1 ? "s" : "") "
                    + names.joined(separator: " and ")
        }
        log.write(
            .info, "started",
            "started: folder \(folder), rules \(plan.ruleSet.version)\(list("source", sources))"
                + "\(list("sink", sinks)), \(options.data.map { "data \($0)" } ?? "no store"), "
                + "\(options.workers) worker\(options.workers > 1 ? "s" : "")",
            [
                Field("folder", .string(folder)), Field("rules", .string(plan.ruleSet.version)),
                Field("sources", .array(sources.map(Value.string))),
                Field("sinks", .array(sinks.map(Value.string))),
                Field("data", options.data.map { .string($0) } ?? .null),
                Field("workers", .integer(Int64(options.workers))),
                Field("process", .integer(Int64(getpid()))),
            ])
    }

    /// People read a failure as it is, programs as an object like everything else.
    private func told(_ failure: CommandFailure) -> CommandFailure {
        guard log.format == .json else { return failure }
        log.write(.error, "failed", failure.text)
        return CommandFailure(exitCode: failure.exitCode, text: "")
    }

    private func tellEnd(_ summary: Summary) {
        var fields = [
            Field("read", .integer(Int64(summary.read))),
            Field(
                "delivered",
                .object(summary.delivered.map { Field($0.sink, .integer(Int64($0.rows))) })),
            Field("dropped", .integer(Int64(summary.counts.dropped.values.reduce(0, +)))),
            Field("dead_letters", .integer(Int64(summary.counts.deadLetters))),
            Field("seconds", .number((summary.seconds * 1000).rounded() / 1000)),
        ]
        if let error = summary.error { fields.append(Field("error", .string(error))) }
        let failed = summary.error == nil ? "" : " after an error"
        log.write(.info, "stopped", "stopped\(failed): \(summary.line)", fields)
    }
}

extension Summary {
    /// Which files were not read to their end, one on each line, as much as fits on a screen.
    fileprivate var failedFiles: String {
        let shown = files.failed.prefix(15).map { "error: \($0)" }
        let rest = files.failed.count - shown.count
        let more = rest > 0 ? ["error: \(rest) more files could not be read"] : []
        return (shown + more).joined(separator: "\n")
    }

    /// The summary in one line for a person.
    var line: String {
        let sinks = delivered.map { "\($0.sink) \($0.rows)" }.joined(separator: ", ")
        let dropped = counts.dropped.values.reduce(0, +)
        let took = (seconds * 1000).rounded() / 1000
        return "read \(read), delivered \(sinks.isEmpty ? "nothing" : sinks), dropped \(dropped), "
            + "dead letters \(counts.deadLetters), \(took) s"
    }
}

/// Tells that a run is ready before it tells that the input has ended, which may be noticed first.
private final class LogOrder: Sendable {
    private struct State {
        var isReady = false
        var hasEnded = false
    }

    private let state = Locked(State())

    func ready(_ log: EventLog) {
        log.write(.info, "ready", "ready")
        let hasEnded = state.withLock { state in
            state.isReady = true
            return state.hasEnded
        }
        if hasEnded { tellEnd(log) }
    }

    func inputEnded(_ log: EventLog) {
        let isReady = state.withLock { state in
            state.hasEnded = true
            return state.isReady
        }
        if isReady { tellEnd(log) }
    }

    private func tellEnd(_ log: EventLog) {
        log.write(
            .info, "stopping", "stopping: the input has ended",
            [Field("reason", .string("end of input"))])
    }
}

/// A line at the bottom of the terminal that shows how far a run is, while it is in the foreground.
final class ProgressLine: Sendable {
    private let isOver = Atomic<Bool>(false)
    private let log: EventLog

    /// True when somebody looks at the terminal that lines go to.
    static var isWanted: Bool { isatty(2) == 1 }

    private static var isInForeground: Bool { tcgetpgrp(2) == getpgrp() }

    init(_ pipeline: PipelineRun, _ log: EventLog) {
        self.log = log
        startThread { [self] in
            while !isOver.load(ordering: .relaxed) {
                usleep(200_000)
                if isOver.load(ordering: .relaxed) { break }
                // Whoever works in the shell meanwhile is not written over.
                guard Self.isInForeground else {
                    log.hide()
                    continue
                }
                let now = pipeline.progress
                log.show(
                    "read \(now.read)  delivered \(now.delivered)  dead \(now.deadLetters)")
            }
            log.show("")
        }
    }

    func finish() {
        isOver.store(true, ordering: .relaxed)
        if Self.isInForeground { log.show("") } else { log.hide() }
    }
}
