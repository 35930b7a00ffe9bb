internal import Connecting
internal import Connectors
public import Definitions
internal import Engine
internal import Operating
internal import Trials

/// A pipeline folder, loaded and ready to be started inside a Swift program.
///
/// A folder whose source is `source: {ingest: {}}` takes its records from
/// ``RunningPipeline/ingest(_:to:)``. Stages and sinks written in Swift are added before
/// ``start(data:fresh:workers:once:drain:servesVerbs:)``. Use it from one thread.
public struct Pipeline {
    var definition: Definition
    var outputs: [OutputQueue] = []
    let doors = IngestDoors()
    let pulse = Pulse()
    private let environment: [String: String]
    private let catalogue: Catalogue

    /// Takes each line that a person is to hear, without its line break; nil writes them to
    /// standard error. Called from threads of the pipeline, also at the same time; must not block.
    public var log: (@Sendable (String) -> Void)?

    /// Output files that no run of the store has written are begun anew; else a run does not start
    /// over one that holds something.
    public var overwritesOutputs = false

    /// Reads and checks a pipeline folder.
    ///
    /// - Parameters:
    ///   - folder: the folder that holds pipeline.yaml.
    ///   - environment: what `${NAME}` in it stands for; nil for the process's own environment.
    /// - Throws: ``PipelineError`` with every finding, each with file, line and column.
    public init(folder: String, environment: [String: String]? = nil) throws(PipelineError) {
        var catalogue = Catalogue.standard
        catalogue.sources.append(doors.kind)
        self.catalogue = catalogue
        self.environment = environment ?? Operating.environment()
        do {
            definition = try readDefinition(
                folder: folder, environment: self.environment, catalogue: catalogue)
        } catch {
            throw PipelineError(exitCode: 2, describe(error.findings, in: folder))
        }
    }

    /// Opens and loads everything, and starts the pipeline; returns when it is ready for its first
    /// record. The calling thread waits meanwhile, some milliseconds without a store.
    ///
    /// - Parameters:
    ///   - data: the folder of the store, which one process has at a time; nil for `data` in the
    ///     pipeline's folder. What an earlier run has left there goes on.
    ///   - fresh: begin anew and keep nothing: no store, no queues, no dead letters.
    ///   - workers: how many threads run rules, 1 to 256.
    ///   - once: sources are read to their end, and the pipeline ends then by itself.
    ///   - drain: all windows are closed at the end, and not kept for the next run; nil: they are
    ///     when nothing is kept.
    ///   - servesVerbs: the command `tidewheel` may ask the program, with `--data`: `top`, `tap`,
    ///     `reload`, `dlq`, `queue` and others, by a socket in the store that only the same user
    ///     can open.
    /// - Throws: ``PipelineError`` when something cannot be opened or loaded, or another process
    ///   has the store.
    public consuming func start(
        data: String? = nil, fresh: Bool = false, workers: Int = 1, once: Bool = false,
        drain: Bool? = nil, servesVerbs: Bool = false
    ) throws(PipelineError) -> RunningPipeline {
        guard (1...256).contains(workers) else {
            throw PipelineError(exitCode: 2, "`workers` is \(workers); give 1 to 256")
        }
        var options = RunOptions()
        options.workers = workers
        options.once = once
        options.overwrites = overwritesOutputs
        options.data = fresh ? nil : data ?? definition.folder + "/data"
        options.drain = drain ?? (fresh || definition.durability == .memory)
        options.trial = FolderTrial()
        let (variables, known) = (environment, catalogue)
        options.change = { (definition) throws(DiagnosticList) in
            try DefinitionChange(of: definition, environment: variables, catalogue: known)
        }
        if let log { options.tell = Self.lines(to: log) }
        let run = try PipelineRun.start(try plan(), options: options)
        let server = servesVerbs ? serve(run, options) : nil
        return RunningPipeline(run, doors, outputs, pulse) { server?.stop() }
    }

    private func plan() throws(PipelineError) -> Plan {
        var definition = definition
        if definition.sources.isEmpty, definition.handlers.isEmpty {
            // Queues alone are worked on by handlers in Swift, while nothing is handed in.
            definition.sources.append(
                SourceDefinition(
                    name: "ingest", location: Self.place, open: doors.opener))
        }
        do { return try Plan(definition) } catch {
            throw PipelineError(exitCode: 2, describe(error.findings, in: definition.folder))
        }
    }

    /// Nil when nothing can be served: then a warning was written, and the run goes on.
    private func serve(_ run: PipelineRun, _ options: RunOptions) -> ControlServer? {
        (try? ControlSocket.serve(run, data: options.data, nil)) ?? nil
    }

    private static func lines(
        to log: @escaping @Sendable (String) -> Void
    ) -> @Sendable (String) -> Void {
        { text in
            for line in text.split(separator: "\n") { log(String(line)) }
        }
    }

    /// What was added in Swift stands nowhere.
    static let place = Location(file: "pipeline.yaml", line: 1, column: 1)
}
