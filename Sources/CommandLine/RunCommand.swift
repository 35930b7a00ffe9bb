import ArgumentParser
internal import Connecting
import Connectors
internal import Definitions
internal import Engine
import Glibc
internal import Operating
import Scripting
import Synchronization
internal import Threads
internal import Trials

/// `tidewheel run`: runs a pipeline folder.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a pipeline.")

    @Argument(help: "The pipeline folder.")
    var folder = "."
    @Flag(help: "Read to the end of the input, then stop.")
    var once = false
    @Flag(help: "Close all windows also when the run is stopped by a signal.")
    var drain = false
    @Flag(help: "Load the rules on disk also when they were refused or rolled back before.")
    var loadDisk = false
    @Option(help: "Read this file instead of the source's path; may be repeated.")
    var input: [String] = []
    @Option(help: "The folder of the store; data in the pipeline's folder if not given.")
    var data: String?
    @Flag(help: "Begin anew and keep nothing: the store is neither read nor written.")
    var fresh = false
    @Option(help: "How many threads run rules.")
    var workers = 1
    @Option(help: "Write a summary as JSON to this file when the run ends well.")
    var summary: String?

    func validate() throws {
        guard (1...256).contains(workers) else {
            throw ValidationError("--workers must be from 1 to 256")
        }
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        StopSignals.install()
        let plan = try loadPlan(folder)
        var options = RunOptions()
        options.once = once
        options.trial = FolderTrial()
        options.drain = drain
        options.loadsDisk = loadDisk
        options.workers = workers
        options.inputs = input
        let inFolder = folder.hasSuffix("/") ? folder + "data" : folder + "/data"
        options.data = fresh ? nil : data ?? inFolder
        let pipeline: PipelineRun
        do {
            pipeline = try PipelineRun.start(plan, options: options)
        } catch {
            throw CommandFailure(exitCode: error.exitCode, text: error.description)
        }
        let keeper = CatalogueKeeper(pipeline, data: options.data)
        if let period = plan.definition.catalogueNanoseconds { keeper?.start(every: period) }
        let server = try ControlSocket.serve(pipeline, data: options.data, keeper)
        defer { server?.stop() }
        StopSignals.whenStopped { pipeline.requestStop() }
        let progress = isatty(2) == 1 ? ProgressLine(pipeline) : nil
        let result = pipeline.wait()
        progress?.finish()
        switch result {
        case .failure(let error):
            throw CommandFailure(exitCode: error.exitCode, text: error.description)
        case .success(let outcome):
            if outcome.read == 0, pipeline.hasResumed, once {
                writeError(
                    "nothing new: what the input holds was read by an earlier run; "
                        + "`--fresh` reads it again and leaves the store alone\n")
            }
            if let summary { try writeSummary(outcome.json, to: summary) }
            if progress != nil { writeError(outcome.line) }
        }
    }

    private func writeSummary(_ json: String, to path: String) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
        let bytes = Array((json + "\n").utf8)
        guard descriptor >= 0,
            unsafe bytes.withUnsafeBytes({
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            })
                == bytes.count
        else {
            let reason = unsafe String(cString: strerror(errno))
            throw CommandFailure(exitCode: 1, text: "error: \(path): \(reason) (--summary)")
        }
        close(descriptor)
    }
}

/// Reads a pipeline folder with the standard connectors; failures are one screen, exit code 2.
func loadPlan(_ folder: String) throws -> Plan {
    do throws(DiagnosticList) {
        return try runnablePlan(in: folder, catalogue: .standard)
    } catch {
        throw CommandFailure(exitCode: 2, text: describe(error.findings, in: folder))
    }
}

/// A line on the terminal that shows how far a run is.
final class ProgressLine: Sendable {
    private let isOver = Atomic<Bool>(false)

    init(_ pipeline: PipelineRun) {
        startThread { [self] in
            while !isOver.load(ordering: .relaxed) {
                usleep(200_000)
                if isOver.load(ordering: .relaxed) { break }
                let now = pipeline.progress
                let text = "read \(now.read)  delivered \(now.delivered)  dead \(now.deadLetters)"
                let bytes = Array("\r\u{1B}[K\(text)".utf8)
                unsafe bytes.withUnsafeBytes { _ = unsafe Glibc.write(2, $0.baseAddress, $0.count) }
            }
        }
    }

    func finish() {
        isOver.store(true, ordering: .relaxed)
        let bytes = Array("\r\u{1B}[K".utf8)
        unsafe bytes.withUnsafeBytes { _ = unsafe Glibc.write(2, $0.baseAddress, $0.count) }
    }
}

extension Summary {
    /// The summary in one line for a person.
    var line: String {
        let sinks = delivered.map { "\($0.sink) \($0.rows)" }.joined(separator: ", ")
        let dropped = counts.dropped.values.reduce(0, +)
        return "read \(read), delivered \(sinks), dropped \(dropped), "
            + "dead letters \(counts.deadLetters), \(seconds) s, rule set \(ruleSet)"
    }
}
