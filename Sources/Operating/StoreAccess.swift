package import Connecting
package import Definitions
package import Engine
internal import Glibc
package import Journal
package import Queueing
package import Records
internal import Threads
internal import Trials

/// The store of a pipeline while no other process has it.
package struct StoreAccess {
    /// The folder of the store.
    package let data: String
    /// The folder of its pipeline.
    let folder: String
    let catalogue: Catalogue
    /// How long another process may keep the store before it is an error, in microseconds.
    private static let patience: Int64 = 1_000_000

    /// Names a store; what `pipeline.yaml` in the folder declares is read with `catalogue`.
    package init(_ data: String, folder: String, catalogue: Catalogue) {
        self.data = data
        self.folder = folder
        self.catalogue = catalogue
    }

    /// True when there is a pipeline in the folder.
    package var hasPipeline: Bool { unsafe access(folder + "/pipeline.yaml", F_OK) == 0 }

    /// Opens the store and calls with every entry that is not the queues'.
    package func look(_ entry: (UInt8, RawSpan) -> Void) throws(ControlFailure) {
        let store = try open(try declaredQueues(), entry)
        do throws(QueueError) { try store.close() } catch { throw ControlFailure(error) }
    }

    /// Does a verb of the queues.
    ///
    /// - Parameter wait: how long a verb that found nothing is tried again, in microseconds;
    ///   between tries others can have the store.
    package func run(
        _ verb: String, _ arguments: Record, _ show: ((_ line: [UInt8]) -> Void)?, wait: Int64
    ) throws(ControlFailure) {
        let queues = try declaredQueues()
        let disk = SystemDisk()
        let until = disk.now() + wait
        var given = arguments
        given["wait"] = nil
        while true {
            let output = show.map { ControlOutput($0) }
            let call = ControlCall(verb: verb, arguments: given, output: output)
            let store = try open(queues)
            var verbs = VerbTable()
            QueueVerbs(
                store, exchanges: try queues.exchanges(of: store),
                redriveRule: queues.scripts.redriveRules
            ).add(to: &verbs)
            try verbs.run(call)
            do throws(QueueError) {
                try store.keepUp()
                try store.close()
            } catch { throw ControlFailure(error) }
            if call.output.lineCount > 0 || disk.now() >= until { return }
            usleep(useconds_t(min(50_000, max(1, until - disk.now()))))
        }
    }

    /// Opens the store; another process may be about to let it go.
    package func open(
        _ definition: StoreDefinition, _ foreign: (UInt8, RawSpan) -> Void = { _, _ in }
    ) throws(ControlFailure) -> Store<SystemDisk> {
        let disk = SystemDisk()
        let until = disk.now() + Self.patience
        while true {
            do throws(QueueError) {
                var random = SystemRandomNumberGenerator()
                let store = try Store(
                    opening: data, on: disk,
                    settings: LogSettings(
                        segmentSize: definition.segmentBytes,
                        prewriteSize: min(1 << 20, definition.segmentBytes)),
                    queues: definition.queues + [.audit, .runs], random: &random,
                    foreign: { (kind, bytes) throws(JournalError) in foreign(kind, bytes) })
                if store.truncatedBytes > 0 {
                    writeError(
                        "\(data): truncated \(store.truncatedBytes) bytes of a write that "
                            + "was cut short; nothing acknowledged was in them\n")
                }
                SystemDisk().protect(store: data)
                return store
            } catch {
                if case .journal(let inner) = error.code, inner.code == .owned,
                    disk.now() < until
                {
                    usleep(10_000)
                    continue
                }
                throw ControlFailure(error)
            }
        }
    }

    /// What pipeline.yaml says about the store; nothing when there is none.
    package func declaredQueues() throws(ControlFailure) -> StoreDefinition {
        guard hasPipeline else {
            if readWholeFile(data + "/FORMAT") != nil { return try StoreDefinition() }
            throw ControlFailure(
                2,
                "there is no pipeline.yaml in \(folder) and no store in \(data); name the "
                    + "pipeline's folder with --folder, or the store with --data")
        }
        do throws(DiagnosticList) {
            let definition = try readDefinition(
                folder: folder, environment: environment(), catalogue: catalogue)
            return try StoreDefinition(definition)
        } catch { throw ControlFailure(2, describe(error.findings, in: folder)) }
    }
}

extension StoreAccess {
    /// Runs the pipeline of the current folder without its sources, for what is done with its dead
    /// letters.
    ///
    /// - Parameters:
    ///   - changesRules: the store is to hear which version of the rules ran.
    ///   - onlyLooks: no sink is opened.
    package func withoutSources(
        changesRules: Bool, onlyLooks: Bool, _ body: (PipelineRun) throws(PipelineError) -> Void
    ) throws(ControlFailure) {
        guard readWholeFile(data + "/FORMAT") != nil else {
            throw ControlFailure(
                2,
                "there is no store in \(data); name the pipeline's folder with --folder, or the "
                    + "store with --data")
        }
        var options = RunOptions()
        options.trial = FolderTrial()
        options.data = data
        options.onlyReplays = true
        options.onlyLooks = onlyLooks
        options.notesVersion = changesRules
        let plan: Plan
        do throws(DiagnosticList) {
            plan = try runnablePlan(in: folder, catalogue: catalogue)
        } catch {
            throw ControlFailure(2, describe(error.findings, in: folder))
        }
        try ControlSocket.wrap { () throws(PipelineError) in
            let pipeline = try PipelineRun.start(plan, options: options)
            defer {
                pipeline.requestStop()
                _ = pipeline.wait()
            }
            try body(pipeline)
        }
    }
}

/// What a store is opened with.
package struct StoreDefinition {
    private let definition: Definition
    let scripts: QueueScripts

    /// Nothing is declared.
    init() throws(ControlFailure) {
        do throws(DiagnosticList) { try self.init(Definition(folder: ".")) } catch {
            throw ControlFailure(2, describe(error.findings, in: "."))
        }
    }

    /// What a pipeline says. Its rule files are read only when queues ask some of them.
    package init(_ definition: Definition) throws(DiagnosticList) {
        self.definition = definition
        var plan = Definition(folder: definition.folder)
        if definition.hasQueueScripts { plan = definition }
        scripts = QueueScripts(try Plan(plan))
    }

    var queues: [QueueSettings] { definition.queueSettings(scripts) }
    var segmentBytes: Int { definition.segmentBytes }

    func exchanges(of store: Store<SystemDisk>) throws(ControlFailure) -> [Exchange] {
        do throws(QueueError) {
            return try definition.exchanges(scripts) { (name) throws(QueueError) in
                try store.queue(name)
            }
        } catch { throw ControlFailure(error) }
    }
}
