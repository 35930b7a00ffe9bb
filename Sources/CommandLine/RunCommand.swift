import ArgumentParser
internal import Connecting
import Connectors
internal import Definitions
internal import Engine
import Glibc
internal import Operating
internal import Trials

/// `tidewheel run`: runs a pipeline folder.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a pipeline.")

    @OptionGroup var argument: FolderArgument
    @Flag(help: "Read to the end of the input, then stop.")
    var once = false
    @Flag(help: "Close all windows also when the run is stopped by a signal.")
    var drain = false
    @Flag(help: "Load the rules on disk also when they were refused or rolled back before.")
    var loadDisk = false
    @Option(help: "Read this file instead of the source's path; may be repeated.")
    var input: [String] = []
    @OptionGroup var place: PlaceOptions
    @Flag(help: "Begin anew and keep nothing: the store is neither read nor written.")
    var fresh = false
    @Flag(help: "Begin output files anew that no run of this store has written.")
    var overwrite = false
    @Option(help: "How many threads run rules.")
    var workers = 1
    @Option(help: "Write a summary as JSON to this file when the run ends, also when it fails.")
    var summary: String?
    @Option(help: "How log lines on stderr are written: text for people, json for programs.")
    var logFormat: String?
    @Option(help: "Leave out log lines that matter less: debug, info, warning or error.")
    var logLevel: String?

    func validate() throws {
        guard (1...256).contains(workers) else {
            throw ValidationError("--workers must be from 1 to 256")
        }
        _ = try place.place(argument)
        _ = try makeLog()
    }

    /// Texts rather than types of their own: each of those would cost every start a search for what
    /// it conforms to.
    private func makeLog() throws -> EventLog {
        guard let format = EventLog.Format(rawValue: logFormat ?? "text") else {
            throw ValidationError("--log-format must be text or json")
        }
        guard let level = LogLevel(rawValue: logLevel ?? "info") else {
            throw ValidationError("--log-level must be debug, info, warning or error")
        }
        return EventLog(format, least: level)
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        StopSignals.install()
        // Whoever starts a run names its folder; a store elsewhere does not.
        let folder = argument.path ?? place.folder ?? "."
        let data = StorePlace(folder: folder, data: place.data).data
        var options = RunOptions()
        options.once = once
        options.trial = FolderTrial()
        options.drain = drain
        options.overwrites = overwrite
        options.loadsDisk = loadDisk
        options.workers = workers
        options.inputs = input
        options.data = fresh ? nil : data
        let session = try RunSession(
            folder: folder, options: options, log: makeLog(), summaryPath: summary)
        try session.run()
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
