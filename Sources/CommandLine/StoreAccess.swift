import ArgumentParser
internal import Connecting
import Connectors
import Control
internal import Definitions
import Glibc
import Journal
import Pipelines
import Queueing
import Records

/// Where the store of a verb is.
struct StoreOptions: ParsableArguments {
    @Option(help: "The folder of the store.")
    var data = "data"
    @Option(help: "json: one object per line.")
    var format = AnswerFormat.json
}

/// How answers are printed.
enum AnswerFormat: String, ExpressibleByArgument, CaseIterable { case json, text }

/// Does verbs, in the process that has the store when one serves it, or else in this one.
struct VerbRunner {
    let options: StoreOptions
    /// How long another process may keep the store before it is an error, in microseconds.
    private static let patience: Int64 = 1_000_000

    init(_ options: StoreOptions) {
        self.options = options
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
    }

    /// Does a verb of the queues.
    func run(
        _ verb: String, _ arguments: [Field], sendsInput: Bool = false, wait: Int64 = 0
    ) throws {
        let table = options.format == .text ? AnswerTable() : nil
        let arguments = Record(arguments)
        do throws(ControlFailure) {
            let isDone: Bool
            if let table {
                isDone = try ControlClient.run(
                    verb, arguments, directory: options.data, sendsInput: sendsInput
                ) { line in
                    table.add(line)
                    return true
                }
            } else {
                isDone = try ControlClient.run(
                    verb, arguments, directory: options.data, sendsInput: sendsInput)
            }
            if !isDone { try runHere(verb, arguments, table, wait: wait) }
        } catch {
            table?.print()
            throw CommandFailure(exitCode: error.exitCode, text: described(error.message))
        }
        table?.print()
    }

    /// Does a verb of a pipeline: asks the process that runs it, or else does it `orHere`; its
    /// lines go to `show`, if there is one.
    func run(
        _ verb: String, _ fields: [Field] = [], show: (([UInt8]) -> Void)? = nil,
        orHere: (ControlOutput) throws(ControlFailure) -> Void
    ) throws {
        let table = options.format == .text ? AnswerTable() : nil
        do throws(ControlFailure) {
            let output = ControlOutput { line in
                if let show {
                    show(line)
                } else if let table {
                    table.add(line)
                } else {
                    printLine(line)
                }
            }
            let isDone = try ControlClient.run(verb, Record(fields), directory: options.data) {
                line in
                output.line(line)
                return true
            }
            if !isDone { try orHere(output) }
        } catch {
            table?.print()
            throw CommandFailure(exitCode: error.exitCode, text: described(error.message))
        }
        table?.print()
    }

    /// Opens the store and calls with every entry that is not the queues'.
    func look(_ entry: (UInt8, RawSpan) -> Void) throws(ControlFailure) {
        let store = try open(try declaredQueues(), entry)
        do throws(QueueError) { try store.close() } catch { throw ControlFailure(error) }
    }

    /// `wait` is how long a verb that found nothing is tried again, in microseconds; between tries
    /// others can have the store.
    private func runHere(
        _ verb: String, _ arguments: Record, _ table: AnswerTable?, wait: Int64
    ) throws(ControlFailure) {
        let queues = try declaredQueues()
        let disk = SystemDisk()
        let until = disk.now() + wait
        var given = arguments
        given["wait"] = nil
        while true {
            let output = table.map { table in ControlOutput { table.add($0) } }
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
    func open(
        _ definition: StoreDefinition, _ foreign: (UInt8, RawSpan) -> Void = { _, _ in }
    ) throws(ControlFailure) -> Store<SystemDisk> {
        let disk = SystemDisk()
        let until = disk.now() + Self.patience
        while true {
            do throws(QueueError) {
                var random = SystemRandomNumberGenerator()
                let store = try Store(
                    opening: options.data, on: disk,
                    settings: LogSettings(
                        segmentSize: definition.segmentBytes,
                        prewriteSize: min(1 << 20, definition.segmentBytes)),
                    queues: definition.queues + [.audit, .runs], random: &random,
                    foreign: { (kind, bytes) throws(JournalError) in foreign(kind, bytes) })
                if store.truncatedBytes > 0 {
                    writeError(
                        "\(options.data): truncated \(store.truncatedBytes) bytes of a write that "
                            + "was cut short; nothing acknowledged was in them")
                }
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
    func declaredQueues() throws(ControlFailure) -> StoreDefinition {
        guard readWholeFile("pipeline.yaml") != nil else {
            if readWholeFile(options.data + "/FORMAT") != nil { return try StoreDefinition() }
            throw ControlFailure(
                2,
                "there is no pipeline.yaml here and no store in \(options.data); go to the "
                    + "pipeline's folder, or name the store with --data")
        }
        do throws(DiagnosticList) {
            let definition = try readDefinition(
                folder: ".", environment: environment(), catalogue: .standard)
            return try StoreDefinition(definition)
        } catch { throw ControlFailure(2, describe(error.findings, in: ".")) }
    }
}

/// A line on standard output, at once.
func printLine(_ line: [UInt8]) {
    let bytes = line + [0x0A]
    var done = 0
    while done < bytes.count {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe write(1, $0.baseAddress?.advanced(by: done), $0.count - done)
        }
        if count < 0 && errno != EINTR { return }
        done += max(count, 0)
    }
}

/// What a store is opened with.
struct StoreDefinition {
    private let definition: Definition
    let scripts: QueueScripts

    /// Nothing is declared.
    init() throws(ControlFailure) {
        do throws(DiagnosticList) { try self.init(Definition(folder: ".")) } catch {
            throw ControlFailure(2, describe(error.findings, in: "."))
        }
    }

    /// What a pipeline says. Its rule files are read only when queues ask some of them.
    init(_ definition: Definition) throws(DiagnosticList) {
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

/// Answers as a table for people: a column for each field that one of them has.
final class AnswerTable {
    private var rows: [Record] = []

    func add(_ line: [UInt8]) {
        if let row = try? Record(json: line) { rows.append(row) }
    }

    func print() {
        var names: [String] = []
        for field in rows.flatMap(\.fields) where !names.contains(field.name) {
            names.append(field.name)
        }
        guard !names.isEmpty else { return }
        var cells = [names]
        for row in rows { cells.append(names.map { Self.cell(row[$0]) }) }
        let widths = names.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        for row in cells {
            var line = ""
            for (column, cell) in row.enumerated() {
                let gap = String(repeating: " ", count: widths[column] - cell.count)
                let isNumber = cells.count > 1 && Double(cells[1][column]) != nil
                line += (column > 0 ? "  " : "") + (isNumber ? gap + cell : cell + gap)
            }
            while line.last == " " { line.removeLast() }
            Swift.print(line)
        }
        rows = []
    }

    /// One line of a value; of an object the text that sums it up, if it has one.
    private static func cell(_ value: Value?) -> String {
        guard let value else { return "" }
        var text = value.text
        if case .object(let fields) = value, let summary = Record(fields)["text"] {
            text = summary.text
        }
        let line = text.prefix { !$0.isNewline }
        return line.count > 120 || line.count < text.count ? line.prefix(120) + "…" : String(line)
    }
}
