import ArgumentParser
import Connectors
import Glibc
import Operating
import Records

/// Where the store of a verb is.
struct StoreOptions: ParsableArguments {
    @OptionGroup var place: PlaceOptions
    @Option(help: "json: one object per line; text: a table, as lists are on a terminal.")
    var format: AnswerFormat?
}

/// How answers are printed.
enum AnswerFormat: String, ExpressibleByArgument, CaseIterable { case json, text }

/// Does verbs, in the process that has the store when one serves it, or else in this one.
struct VerbRunner {
    let place: StorePlace
    let format: AnswerFormat
    var data: String { place.data }

    /// - Parameters:
    ///   - argument: the folder, where the verb takes it.
    ///   - isList: the answer is a list, which is a table on a terminal.
    init(
        _ options: StoreOptions, _ argument: FolderArgument? = nil, isList: Bool = false
    ) throws {
        place = try options.place.place(argument)
        format = options.format ?? (isList && isatty(1) == 1 ? .text : .json)
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
    }

    /// The store, when this process is to have it.
    var store: StoreAccess {
        StoreAccess(place.data, folder: place.folder, catalogue: .standard)
    }

    /// Does a verb of the queues.
    func run(
        _ verb: String, _ arguments: [Field], sendsInput: Bool = false, wait: Int64 = 0
    ) throws {
        let table = format == .text ? AnswerTable() : nil
        let arguments = Record(arguments)
        do throws(ControlFailure) {
            let isDone: Bool
            if let table {
                isDone = try ControlClient.run(
                    verb, arguments, directory: data, sendsInput: sendsInput
                ) { line in
                    table.add(line)
                    return true
                }
            } else {
                isDone = try ControlClient.run(
                    verb, arguments, directory: data, sendsInput: sendsInput)
            }
            if !isDone {
                let show = table.map { table in { (line: [UInt8]) in table.add(line) } }
                try store.run(verb, arguments, show, wait: wait)
            }
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
        let table = format == .text ? AnswerTable() : nil
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
            let isDone = try ControlClient.run(verb, Record(fields), directory: data) {
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
