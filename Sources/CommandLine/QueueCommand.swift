import ArgumentParser
internal import Connecting
internal import Operating
import Records

/// `tidewheel queue`: queues of a store, or of a running pipeline.
struct QueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "Look at queues, publish, receive and settle messages.",
        subcommands: [
            List.self, Stats.self, Publish.self, Receive.self, Acknowledge.self, Fail.self,
            Reject.self, Snooze.self, Extend.self, Peek.self, Purge.self, Pause.self, Resume.self,
            Redrive.self, Cancel.self,
        ])

    /// The queue that a verb is about.
    struct Target: ParsableArguments {
        @Argument(help: "The queue's name.")
        var queue: String
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "List the queues and how much is in them.")
        @OptionGroup var folder: FolderArgument
        @OptionGroup var options: StoreOptions

        func run() throws { try VerbRunner(options, folder, isList: true).run("queue.stats", []) }
    }

    struct Stats: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Count a queue's messages by state.")
        @Argument(help: "The queue's name; all of them without it.")
        var queue: String?
        @OptionGroup var options: StoreOptions

        func run() throws {
            try VerbRunner(options, isList: true).run("queue.stats", optional("queue", queue))
        }
    }

    struct Peek: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Look at messages without taking them.")
        @OptionGroup var target: Target
        @Option(help: "How many at most.")
        var max = 10
        @Option(help: "Only those that are scheduled, ready, leased or retrying.")
        var state: String?
        @OptionGroup var options: StoreOptions

        func validate() throws { try checkCount(max) }

        func run() throws {
            try VerbRunner(options, isList: true).run(
                "queue.peek",
                [queue(target), Field("max", .integer(Int64(max)))] + optional("state", state))
        }
    }

    struct Purge: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take all messages out of a queue.")
        @OptionGroup var target: Target
        @OptionGroup var options: StoreOptions

        func run() throws { try VerbRunner(options).run("queue.purge", [queue(target)]) }
    }

    struct Pause: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop handing messages over, until resume.")
        @OptionGroup var target: Target
        @Flag(help: "Stop taking messages instead.")
        var publish = false
        @OptionGroup var options: StoreOptions

        func run() throws {
            try VerbRunner(options).run("queue.pause", [queue(target)] + flag("publish", publish))
        }
    }

    struct Resume: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Go on after pause.")
        @OptionGroup var target: Target
        @Flag(help: "Take messages again instead.")
        var publish = false
        @OptionGroup var options: StoreOptions

        func run() throws {
            try VerbRunner(options).run("queue.resume", [queue(target)] + flag("publish", publish))
        }
    }

    struct Redrive: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put dead messages back into the queue they died in.")
        @OptionGroup var target: Target
        @Option(help: "Only those that died for this reason.")
        var reason: String?
        @Option(help: "Into this queue instead.")
        var to: String?
        @Option(
            name: .customLong("where"),
            help: "Only those for which this Lua expression over message and payload is true.")
        var filter: String?
        @Option(help: "A Lua file; its function map(message) changes the payload, or drops it.")
        var map: String?
        @Option(help: "So many a second at most, as 100 or 100/s.")
        var rate: String?
        @Flag(help: "Only count them.")
        var dryRun = false
        @OptionGroup var options: StoreOptions

        func validate() throws {
            if let rate, (perSecond ?? 0) <= 0 {
                throw ValidationError("--rate must be messages per second above zero, not \(rate)")
            }
            if to == target.queue {
                throw ValidationError(
                    "a queue cannot be redriven onto itself; name another one with --to")
            }
        }

        private var perSecond: Int? {
            rate.flatMap { Int($0.hasSuffix("/s") ? String($0.dropLast(2)) : $0) }
        }

        func run() throws {
            var arguments = [queue(target)] + optional("reason", reason) + optional("to", to)
            arguments += optional("where", filter)
            if let map {
                guard let text = readWholeFile(map) else {
                    throw CommandFailure(exitCode: 2, text: "error: \(map): cannot be read (--map)")
                }
                arguments += optional("map_file", map)
                arguments += optional("map", String(decoding: text, as: UTF8.self))
            }
            if let perSecond { arguments.append(Field("rate", .integer(Int64(perSecond)))) }
            try VerbRunner(options).run("queue.redrive", arguments + flag("dry_run", dryRun))
        }
    }

    struct Cancel: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take one message out that nobody has.")
        @OptionGroup var target: Target
        @Argument(help: "The message's id.")
        var id: String
        @OptionGroup var options: StoreOptions

        func run() throws {
            try VerbRunner(options).run("queue.cancel", [queue(target), Field("id", .string(id))])
        }
    }
}

func queue(_ target: QueueCommand.Target) -> Field { Field("queue", .string(target.queue)) }

func optional(_ name: String, _ text: String?) -> [Field] {
    text.map { [Field(name, .string($0))] } ?? []
}

func flag(_ name: String, _ isSet: Bool) -> [Field] {
    isSet ? [Field(name, .boolean(true))] : []
}

func checkCount(_ number: Int) throws {
    guard number > 0 else { throw ValidationError("a count must be above zero, not \(number)") }
}

/// A duration of a command, checked; it goes on as it was written.
func checkDuration(_ text: String?, _ name: String, allowsZero: Bool = false) throws {
    guard let text else { return }
    guard let duration = parseDuration(text), duration > 0 || allowsZero,
        duration % 1_000_000 == 0
    else {
        throw ValidationError("--\(name) must be a duration such as 500ms, 2s or 10m, not \(text)")
    }
}
