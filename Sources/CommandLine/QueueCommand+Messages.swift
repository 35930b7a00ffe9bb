import ArgumentParser
internal import Connecting
import Records

/// Publishing, receiving and settling.
extension QueueCommand {
    struct Publish: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Publish a message, or every line of standard input.",
            discussion: "It is answered when it is as durable as its queue says.")
        @OptionGroup var target: Target
        @Argument(help: "The message; - reads one from each line of standard input.")
        var payload: String
        @Option(help: "0 to 9; 9 is the most urgent.")
        var priority = 4
        @Option(help: "How long it waits before it may be received.")
        var delay: String?
        @Option(help: "When it may be received at the earliest, as RFC 3339.")
        var at: String?
        @Option(help: "How long it lives.")
        var ttl: String?
        @Option(help: "Its id; a second one within the queue's window adds nothing.")
        var id: String?
        @Option(help: "Messages of one key are delivered one at a time, in order.")
        var key: String?
        @Option(help: "What it belongs to.")
        var correlation: String?
        @Option(help: "at_most_once: it is gone before it is handed over.")
        var delivery: DeliveryWord?
        @Option(help: "What the routes of an exchange look at, words parted by dots.")
        var topic: String?
        @Option(help: "A name and a value, NAME=VALUE; may be repeated.")
        var header: [String] = []
        @Option(help: "With -: so many lines are one transaction.")
        var batch: Int?
        @OptionGroup var options: StoreOptions

        func validate() throws {
            try checkDuration(delay, "delay", allowsZero: true)
            try checkDuration(ttl, "ttl")
            guard (0...9).contains(priority) else {
                throw ValidationError("--priority must be from 0 to 9, not \(priority)")
            }
            if let batch { try checkCount(batch) }
            guard batch == nil || payload == "-" else {
                throw ValidationError(
                    "--batch goes with lines of standard input: give - as message")
            }
            guard id == nil || payload != "-" else {
                throw ValidationError("--id names one message; it does not go with -")
            }
            for text in header where !text.contains("=") || text.first == "=" {
                throw ValidationError("--header must be NAME=VALUE, not \(text)")
            }
        }

        func run() throws {
            var arguments = [queue(target), Field("priority", .integer(Int64(priority)))]
            for (name, text) in [
                ("delay", delay), ("at", at), ("ttl", ttl), ("id", id), ("key", key),
                ("correlation", correlation), ("topic", topic),
                ("delivery", delivery?.rawValue),
            ] {
                arguments += optional(name, text)
            }
            if !header.isEmpty {
                arguments.append(Field("headers", .object(header.map(Self.field))))
            }
            if let batch { arguments.append(Field("batch", .integer(Int64(batch)))) }
            let isStream = payload == "-"
            arguments += isStream ? flag("stream", true) : optional("payload", payload)
            try VerbRunner(options).run("queue.publish", arguments, sendsInput: isStream)
        }

        private static func field(_ text: String) -> Field {
            let sign = text.firstIndex(of: "=") ?? text.endIndex
            return Field(String(text[..<sign]), .string(String(text[sign...].dropFirst())))
        }
    }

    /// What is promised about one message.
    enum DeliveryWord: String, ExpressibleByArgument, CaseIterable {
        case atLeastOnce = "at_least_once"
        case atMostOnce = "at_most_once"
    }

    struct Receive: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take messages; each must be settled before its lease ends.")
        @OptionGroup var target: Target
        @Option(help: "How many at most.")
        var max = 1
        @Option(help: "How long they are ours.")
        var lease: String?
        @Option(help: "How long to wait when there is nothing.")
        var wait: String?
        @OptionGroup var options: StoreOptions

        func validate() throws {
            try checkCount(max)
            try checkDuration(lease, "lease")
            try checkDuration(wait, "wait", allowsZero: true)
        }

        func run() throws {
            try VerbRunner(options).run(
                "queue.receive",
                [queue(target), Field("max", .integer(Int64(max)))] + optional("lease", lease)
                    + optional("wait", wait),
                wait: (wait.flatMap(parseDuration) ?? 0) / 1000)
        }
    }

    struct Acknowledge: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ack", abstract: "Say that messages are done; they are gone.")
        @OptionGroup var target: Target
        @Argument(help: "The receipts.")
        var receipts: [String]
        @OptionGroup var options: StoreOptions

        func run() throws {
            let list = Field("receipts", .array(receipts.map { .string($0) }))
            try VerbRunner(options).run("queue.ack", [queue(target), list])
        }
    }

    struct Fail: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "nack",
            abstract: "Say that a delivery failed; the message waits for the next one.")
        @OptionGroup var target: Target
        @Argument(help: "The receipt.")
        var receipt: String
        @Option(help: "How long it waits, instead of what the queue says.")
        var delay: String?
        @Option(help: "What went wrong.")
        var error: String?
        @OptionGroup var options: StoreOptions

        func validate() throws { try checkDuration(delay, "delay", allowsZero: true) }

        func run() throws {
            try VerbRunner(options).run(
                "queue.nack",
                [queue(target), Field("receipt", .string(receipt))] + optional("delay", delay)
                    + optional("error", error))
        }
    }

    struct Reject: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refuse a message; it is dead, whatever attempts are left.")
        @OptionGroup var target: Target
        @Argument(help: "The receipt.")
        var receipt: String
        @Option(help: "Why.")
        var error: String?
        @OptionGroup var options: StoreOptions

        func run() throws {
            try VerbRunner(options).run(
                "queue.reject",
                [queue(target), Field("receipt", .string(receipt))] + optional("error", error))
        }
    }

    struct Snooze: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a message back unprocessed; the delivery does not count.")
        @OptionGroup var target: Target
        @Argument(help: "The receipt.")
        var receipt: String
        @Option(help: "How long it waits.")
        var delay = "0s"
        @OptionGroup var options: StoreOptions

        func validate() throws { try checkDuration(delay, "delay", allowsZero: true) }

        func run() throws {
            try VerbRunner(options).run(
                "queue.snooze",
                [queue(target), Field("receipt", .string(receipt))] + optional("delay", delay))
        }
    }

    struct Extend: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Keep a message longer.")
        @OptionGroup var target: Target
        @Argument(help: "The receipt.")
        var receipt: String
        @Option(help: "How long from now on; the queue's lease without it.")
        var lease: String?
        @OptionGroup var options: StoreOptions

        func validate() throws { try checkDuration(lease, "lease") }

        func run() throws {
            try VerbRunner(options).run(
                "queue.extend",
                [queue(target), Field("receipt", .string(receipt))] + optional("lease", lease))
        }
    }
}
