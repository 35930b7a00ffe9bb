import ArgumentParser
import Operating
import Records

extension StoreCommand {
    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write queues and messages into a plain SQLite file.")
        @Argument(help: "A new file.")
        var file: String
        @OptionGroup var options: StoreOptions

        func run() throws {
            guard readWholeFile(file) == nil else {
                throw CommandFailure(
                    exitCode: 1, text: "error: \(file): there is a file already; name a new one")
            }
            let runner = try VerbRunner(options)
            do throws(ControlFailure) {
                let count = try runner.store.export(to: file)
                print(
                    Record([
                        Field("file", .string(file)), Field("messages", .integer(Int64(count))),
                    ]))
            } catch {
                throw CommandFailure(exitCode: error.exitCode, text: "error: \(error.message)")
            }
        }
    }

    struct Catalogue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring the SQLite file of dead letters, runs, versions and audit up to date.",
            discussion: """
                DATA/catalogue.sqlite is there to be read with SQL. A pipeline that runs for more \
                than a few seconds keeps it up to date by itself (`store: {catalogue: 5s}`). It \
                follows from the store, so it may be deleted at any time.
                """)
        @Flag(help: "Write it anew instead of adding what is new.")
        var rebuild = false
        @OptionGroup var folder: FolderArgument
        @OptionGroup var options: StoreOptions

        func run() throws {
            let runner = try VerbRunner(options, folder)
            try runner.run(
                "store.catalogue", flag("rebuild", rebuild),
                orHere: { (output) throws(ControlFailure) in
                    output.line(try runner.store.updateCatalogue(rebuild: rebuild))
                })
        }
    }
}
