import ArgumentParser
internal import Definitions
internal import Engine
import Records
internal import Trials

/// `tidewheel lineage`: where fields and records go.
struct LineageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lineage",
        abstract: "Show which stages read and write which fields, and where records go.",
        discussion: "As the files of the pipeline say it; nothing has to run. Without a name the "
            + "whole pipeline is a tree; with one, a stage and its neighbours, or every place "
            + "where a field is read or written.")
    @Argument(help: "A stage or a field, such as shape or meta.source.")
    var name: String?
    @Option(help: "The pipeline folder.")
    var folder = "."
    @Option(help: "Taken as everywhere; only files of the folder are read here.")
    var data: String?
    @Option(help: "json: nodes and edges, one object per line.")
    var format = AnswerFormat.text

    func run() throws {
        let graph = LineageGraph(try loadRules(folder))
        do throws(PipelineError) {
            if format == .json {
                for line in try graph.records(about: name) { printLine(line.json) }
            } else {
                for line in try graph.text(about: name) { print(line) }
            }
        } catch {
            throw CommandFailure(exitCode: error.exitCode, text: error.description)
        }
    }
}
