import ArgumentParser
internal import Definitions
internal import Engine
internal import Operating
import Records

/// `tidewheel dlq`: the records that failed.
struct LetterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq", abstract: "Look at dead letters, and run them again.",
        subcommands: [List.self, Show.self, Replay.self, Purge.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "List the dead letters, oldest first.")
        @OptionGroup var folder: FolderArgument
        @OptionGroup var options: StoreOptions

        func run() throws {
            try DeadLetterVerb(VerbRunner(options, folder, isList: true)).list([])
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show dead letters with the values at each line.")
        @Argument(help: "The record's id.")
        var ids: [String]
        @OptionGroup var options: StoreOptions

        func run() throws { try DeadLetterVerb(VerbRunner(options)).list(ids) }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run dead letters through the rules again.")
        @Argument(help: "The records' ids; all of them without any.")
        var ids: [String] = []
        @Flag(help: "Only tell what would become of them.")
        var dryRun = false
        @OptionGroup var options: StoreOptions

        func run() throws {
            try DeadLetterVerb(VerbRunner(options)).replay(ids, dryRun: dryRun)
        }
    }

    struct Purge: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Throw all dead letters away for good.")
        @OptionGroup var folder: FolderArgument
        @OptionGroup var options: StoreOptions

        func run() throws { try DeadLetterVerb(VerbRunner(options, folder)).purge() }
    }
}

/// Asks the running pipeline, or else runs one that reads no source.
struct DeadLetterVerb {
    let runner: VerbRunner

    init(_ runner: VerbRunner) { self.runner = runner }

    func list(_ ids: [String]) throws {
        guard runner.store.hasPipeline else {
            return try runner.run(
                "dlq.list", Self.ids(ids),
                orHere: { (output) throws(ControlFailure) in
                    for letter in try runner.store.letters(ids) { output.line(letter) }
                })
        }
        try ask("dlq.list", Self.ids(ids), onlyLooks: true) {
            (run, output) throws(PipelineError) in
            for letter in try run.deadLetters?.find(ids) ?? [] { output.line(letter.record) }
        }
    }

    func purge() throws {
        try ask("dlq.purge", []) { (run, output) throws(PipelineError) in
            let count = try run.deadLetters?.purge() ?? 0
            output.line(Record([Field("purged", .integer(Int64(count)))]))
        }
    }

    func replay(_ ids: [String], dryRun: Bool) throws {
        let fields = Self.ids(ids) + flag("dry_run", dryRun)
        let show = dryRun ? showDryRun : nil
        try ask("dlq.replay", fields, changesRules: !dryRun, onlyLooks: dryRun, show: show) {
            (run, output) throws(PipelineError) in
            let letters = try run.deadLetters?.find(ids) ?? []
            let result = dryRun ? try run.tryReplay(letters) : try run.replay(letters)
            output.line(Array(result.json.utf8))
        }
    }

    /// People get the samples in words, programs the whole answer.
    private func showDryRun(_ line: [UInt8]) {
        guard let answer = try? Record(json: line) else { return }
        let text = ReplayRendering(answer).text
        if runner.format == .json {
            printLine(line)
            writeError(text)
        } else {
            writeOutput(text)
        }
    }

    private static func ids(_ ids: [String]) -> [Field] {
        ids.isEmpty ? [] : [Field("ids", .array(ids.map(Value.string)))]
    }

    private func ask(
        _ verb: String, _ fields: [Field], changesRules: Bool = false,
        onlyLooks: Bool = false, show: (([UInt8]) -> Void)? = nil,
        _ body: @escaping (PipelineRun, ControlOutput) throws(PipelineError) -> Void
    ) throws {
        try runner.run(
            verb, fields, show: show,
            orHere: { (output) throws(ControlFailure) in
                try runner.store.withoutSources(
                    changesRules: changesRules, onlyLooks: onlyLooks
                ) { (run) throws(PipelineError) in try body(run, output) }
            })
    }
}
