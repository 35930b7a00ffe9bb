import ArgumentParser
internal import Connecting
import Connectors
internal import Definitions
internal import Engine
internal import Operating
import Records
internal import Trials

/// `tidewheel explain`: what became of a record.
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Show the way of a record through the stages, and what each changed.",
        discussion: "The record is looked for among the dead letters, the last records of the "
            + "running pipeline, and in the source's file when the id tells where it lies. It is "
            + "run once more with the rules that are active, on the state as it is now, and "
            + "without any effect.")
    @Argument(help: "The meta.id of the record, such as input.jsonl:1234.")
    var id: String
    @OptionGroup var options: LookOptions

    func run() throws {
        let place = try options.place.place()
        var lines: [Record] = []
        do throws(ControlFailure) {
            let isDone = try ControlClient.run(
                "explain", Record([Field("id", .string(id))]), directory: place.data
            ) { line in
                if let record = try? Record(json: line) { lines.append(record) }
                return true
            }
            if !isDone {
                lines = try StoreAccess(
                    place.data, folder: place.folder, catalogue: .standard
                ).explain(id)
            }
        } catch {
            throw CommandFailure(exitCode: error.exitCode, text: described(error.message))
        }
        if options.format == .json {
            for line in lines { printLine(line.json) }
        } else {
            for line in LookTables.explanation(lines) { print(line) }
        }
    }
}
