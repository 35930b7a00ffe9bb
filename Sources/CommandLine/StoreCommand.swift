import ArgumentParser
internal import Connecting
import Journal
internal import Operating
import Queueing
import Records

/// `tidewheel store`: the journal on the disk.
struct StoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Check, mend, copy and list the store of a pipeline.",
        subcommands: [
            List.self, Verify.self, Repair.self, Backup.self, Restore.self, Export.self,
            Catalogue.self,
        ])

    /// Runs a step on the store; an error is one screen and exit 1.
    static func attempt<Value>(_ body: () throws(JournalError) -> Value) throws -> Value {
        do throws(JournalError) { return try body() } catch {
            throw CommandFailure(exitCode: 1, text: "error: \(error.description)")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "List segments and snapshots.")
        @OptionGroup var folder: FolderArgument
        @OptionGroup var options: StoreOptions

        func run() throws {
            let disk = SystemDisk()
            let runner = try VerbRunner(options, folder, isList: true)
            let data = runner.data
            let table = runner.format == .text ? AnswerTable() : nil
            func add(_ record: Record) {
                if let table { table.add(record.json) } else { print(record) }
            }
            for segment in try attempt({ () throws(JournalError) in
                try StoreTool.segments(data, on: disk)
            }) {
                func time(_ value: Int64?) -> Value {
                    value.map { .string(ControlTime.text(microseconds: $0)) } ?? .null
                }
                add(
                    Record([
                        Field("segment", .string(segment.path)),
                        Field("bytes", .integer(Int64(segment.byteCount))),
                        Field("first_transaction", .integer(Int64(segment.firstSequence))),
                        Field("last_transaction", .integer(Int64(segment.lastSequence))),
                        Field("first_time", time(segment.firstTime)),
                        Field("last_time", time(segment.lastTime)),
                    ]))
            }
            if table == nil {
                for sequence in try attempt({ () throws(JournalError) in
                    try StoreTool.snapshots(data, on: disk)
                }) {
                    add(Record([Field("snapshot", .integer(Int64(sequence)))]))
                }
            }
            table?.print()
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read everything a start would read; exit 1 when something is wrong.")
        @OptionGroup var folder: FolderArgument
        @OptionGroup var options: StoreOptions

        func run() throws {
            let data = try options.place.place(folder).data
            try attempt { () throws(JournalError) in
                try StoreTool.verify(data, on: SystemDisk())
            }
            let segments = try attempt { () throws(JournalError) in
                try StoreTool.segments(data, on: SystemDisk())
            }
            print(
                Record([
                    Field("sound", .boolean(true)),
                    Field("segments", .integer(Int64(segments.count))),
                    Field("last_transaction", .integer(Int64(segments.last?.lastSequence ?? 0))),
                ]))
        }
    }

    struct Repair: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move damaged bytes to the quarantine; all other transactions stay.",
            discussion: "Without --yes it only says what would be given up.")
        @OptionGroup var folder: FolderArgument
        @OptionGroup var options: StoreOptions
        @Flag(help: "Do it.") var yes = false

        func run() throws {
            let data = try options.place.place(folder).data
            let moved = try attempt { () throws(JournalError) in
                yes
                    ? try StoreTool.repair(data, on: SystemDisk())
                    : try StoreTool.repair(data, on: ReadingDisk())
            }
            for part in moved {
                print(
                    Record([
                        Field("segment", .string(part.segmentPath)),
                        Field("offset", .integer(Int64(part.offset))),
                        Field("bytes", .integer(Int64(part.count))),
                        Field("quarantine", part.path.isEmpty ? .null : .string(part.path)),
                        Field("lost", part.lost.map { .string(Self.text($0)) } ?? .null),
                    ]))
            }
            guard !yes, !moved.isEmpty else {
                return print(Record([Field("repaired", .integer(Int64(moved.count)))]))
            }
            print(Record([Field("would_repair", .integer(Int64(moved.count)))]))
            throw CommandFailure(
                exitCode: 1,
                text: "nothing was changed; a backup may have more (`tidewheel store restore`); "
                    + "--yes gives up what is listed")
        }

        private static func text(_ lost: ClosedRange<UInt64>) -> String {
            "transactions \(lost.lowerBound) to \(lost.upperBound)"
        }
    }

    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy the store, also while a pipeline runs on it.")
        @Argument(help: "A new directory.")
        var target: String
        @OptionGroup var options: StoreOptions

        func run() throws {
            let data = try options.place.place().data
            let arguments = [Field("target", .string(absolute(target)))]
            do throws(ControlFailure) {
                if try ControlClient.run("store.backup", Record(arguments), directory: data) {
                    return
                }
            } catch { throw CommandFailure(exitCode: error.exitCode, text: error.message) }
            try attempt { () throws(JournalError) in
                try StoreTool.copy(
                    data, to: target, sharesSegments: true, on: SystemDisk())
            }
            try printCopy(target)
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a store from a backup, as it was at some time.")
        @Argument(help: "The directory of the backup.")
        var backup: String
        @Option(help: "As it was at this time, as RFC 3339.")
        var toTime: String?
        @Option(help: "As it was after this transaction.")
        var toSequence: UInt64?
        @OptionGroup var options: StoreOptions

        func run() throws {
            let data = try options.place.place().data
            var sequence = toSequence ?? .max
            if let toTime {
                guard let time = ControlTime.microseconds(toTime) else {
                    throw ValidationError(
                        "--to-time must be an RFC 3339 time such as 2026-11-23T15:00:00Z")
                }
                let found = try attempt { () throws(JournalError) in
                    try StoreTool.sequence(atTime: time, in: backup, on: SystemDisk())
                }
                sequence = min(sequence, found)
            }
            try attempt { () throws(JournalError) in
                try StoreTool.copy(
                    backup, to: data, upTo: sequence, sharesSegments: false,
                    on: SystemDisk())
            }
            try printCopy(data)
        }
    }

    static func printCopy(_ directory: String) throws {
        let segments = try attempt { () throws(JournalError) in
            try StoreTool.segments(directory, on: SystemDisk())
        }
        print(
            Record([
                Field("store", .string(directory)),
                Field("segments", .integer(Int64(segments.count))),
                Field("last_transaction", .integer(Int64(segments.last?.lastSequence ?? 0))),
            ]))
    }
}

private func attempt<Value>(_ body: () throws(JournalError) -> Value) throws -> Value {
    try StoreCommand.attempt(body)
}

private func printCopy(_ directory: String) throws { try StoreCommand.printCopy(directory) }
