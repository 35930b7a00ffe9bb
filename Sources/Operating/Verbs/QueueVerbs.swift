internal import Connecting
package import Journal
package import Queueing
internal import Records
internal import Threads

extension ControlFailure {
    /// A refusal of the queues: wrong names and wishes are wrong usage.
    package init(_ error: QueueError) {
        switch error.code {
        case .unknownQueue, .misuse: self.init(2, error.description)
        default: self.init(1, error.description)
        }
    }
}

/// The verbs of queues over an open store.
package struct QueueVerbs<Place: Disk>: Sendable {
    let store: Store<Place>
    /// The names that lead to queues.
    let exchanges: [Exchange]
    /// Makes a rule of the arguments `where`, `map` and `map_file` of a redrive.
    let redriveRule: RedriveRuleMaker
    /// Those who wait for messages.
    let waiting = WaitingCalls()
    /// Called after something was published, so that who waits for work can look.
    let published: @Sendable () -> Void

    /// Verbs over a store.
    package init(
        _ store: Store<Place>, exchanges: [Exchange] = [],
        redriveRule: @escaping RedriveRuleMaker = noRedriveRule,
        published: @escaping @Sendable () -> Void = {}
    ) {
        self.store = store
        self.exchanges = exchanges
        self.redriveRule = redriveRule
        self.published = published
    }

    /// Adds the verbs, `queue.publish` and the others.
    package func add(to table: inout VerbTable) {
        table.add(
            "queue.publish",
            [
                "queue": .name, "payload": .content, "stream": .flag, "batch": .amount,
                "topic": .name, "priority": .integer(0...9), "id": .name, "key": .name,
                "correlation": .name, "delay": .duration(allowsZero: true),
                "ttl": .duration(allowsZero: false), "at": .time, "headers": .headers,
                "delivery": .word(["at_least_once", "at_most_once"]),
            ], isLong: { $0["stream"] == .boolean(true) }
        ) { (call) throws(ControlFailure) in try publish(call) }
        table.add(
            "queue.receive",
            [
                "queue": .name, "max": .amount, "lease": .duration(allowsZero: false),
                "wait": .duration(allowsZero: true),
            ], isLong: { $0["wait"] != nil }
        ) { (call) throws(ControlFailure) in try receive(call) }
        table.add("queue.stats", ["queue": .name]) { (call) throws(ControlFailure) in
            try Self.translate { () throws(QueueError) in try stats(call) }
        }
        addSettling(&table)
        addOperations(&table)
    }

    private func addSettling(_ table: inout VerbTable) {
        add("ack", ["receipts": .texts], &table) { (call, queue) throws(QueueError) in
            try acknowledge(call, queue)
        }
        let delay = ArgumentForm.duration(allowsZero: true)
        add("nack", ["receipt": .name, "delay": delay, "error": .content], &table) {
            (call, queue) throws(QueueError) in
            try settle("nacked", call, queue) { (transaction, receipt) throws(QueueError) in
                try transaction.fail(
                    receipt, in: queue, delay: Self.milliseconds(call, "delay"),
                    DeliveryFailure(error: call.text("error") ?? ""))
            }
        }
        add("reject", ["receipt": .name, "error": .content], &table) {
            (call, queue) throws(QueueError) in
            try settle("rejected", call, queue) { (transaction, receipt) throws(QueueError) in
                try transaction.reject(
                    receipt, in: queue,
                    DeliveryFailure(reason: "rejected", error: call.text("error") ?? ""))
            }
        }
        add("snooze", ["receipt": .name, "delay": delay], &table) {
            (call, queue) throws(QueueError) in
            try settle("snoozed", call, queue) { (transaction, receipt) throws(QueueError) in
                try transaction.snooze(
                    receipt, in: queue, delay: Self.milliseconds(call, "delay") ?? 0)
            }
        }
        add("extend", ["receipt": .name, "lease": .duration(allowsZero: false)], &table) {
            (call, queue) throws(QueueError) in
            try settle("extended", call, queue) { (transaction, receipt) throws(QueueError) in
                try transaction.extend(receipt, in: queue, lease: Self.milliseconds(call, "lease"))
            }
        }
    }

    private func add(
        _ name: String, _ arguments: [String: ArgumentForm], _ table: inout VerbTable,
        _ body: @escaping @Sendable (ControlCall, QueueHandle) throws(QueueError) -> Void
    ) {
        let all = arguments.merging(["queue": .name]) { $1 }
        table.add("queue.\(name)", all) { (call) throws(ControlFailure) in
            let name = try call.required("queue")
            try Self.translate { () throws(QueueError) in try body(call, try store.queue(name)) }
        }
    }

    private func addOperations(_ table: inout VerbTable) {
        add("peek", ["max": .amount, "state": .name, "base64": .flag], &table) {
            (call, queue) throws(QueueError) in try peek(call, queue)
        }
        add("purge", [:], &table) { (call, queue) throws(QueueError) in
            let (count, sequence) = try store.commit { (transaction) throws(QueueError) in
                let count = try transaction.purge(queue)
                Self.note("purge", call, [("messages", count)], &transaction)
                return count
            }
            try store.waitUntilDurable(sequence)
            call.output.line(Record([Field("purged", .integer(Int64(count)))]))
        }
        for (name, isPaused) in [("pause", true), ("resume", false)] {
            add(name, ["publish": .flag], &table) { (call, queue) throws(QueueError) in
                let isPublish = call.flag("publish")
                let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
                    try transaction.pause(
                        queue, consume: isPublish ? nil : isPaused,
                        publish: isPublish ? isPaused : nil)
                    Self.note(name, call, [], &transaction)
                }
                try store.waitUntilDurable(sequence)
                if let status = try store.status(of: queue) { call.output.line(line(status)) }
            }
        }
        table.add(
            "queue.redrive",
            [
                "queue": .name, "reason": .name, "to": .name, "where": .content, "map": .content,
                "map_file": .name, "rate": .amount, "dry_run": .flag,
            ], isLong: { $0["rate"] != nil }
        ) { (call) throws(ControlFailure) in try redrive(call) }
        add("cancel", ["id": .name], &table) { (call, queue) throws(QueueError) in
            let id = call.text("id") ?? ""
            let (isGone, sequence) = try store.commit { (transaction) throws(QueueError) in
                let isGone = try transaction.cancel(id, in: queue)
                if isGone { Self.note("cancel", call, [], &transaction) }
                return isGone
            }
            guard isGone else {
                throw QueueError(.other, "there is no message \(id) in the queue")
            }
            try store.waitUntilDurable(sequence)
            call.output.line(Record([Field("cancelled", .string(id))]))
        }
    }

    /// Writes down what an operator did, in the transaction that does it.
    static func note(
        _ act: String, _ call: ControlCall, _ counts: [(String, Int)],
        _ transaction: inout Transaction
    ) {
        var fields = [Field("act", .string(act))]
        for (name, value) in call.arguments.fields.map({ ($0.name, $0.value) }) where name != "map"
        {
            fields.append(Field(name, value))
        }
        fields += counts.map { Field($0.0, .integer(Int64($0.1))) }
        transaction.note(Record(fields).json, in: .audit)
    }

    static func translate<Value>(
        _ body: () throws(QueueError) -> Value
    ) throws(ControlFailure) -> Value {
        do throws(QueueError) { return try body() } catch { throw ControlFailure(error) }
    }

    /// A duration among the arguments, checked by whoever asked.
    static func milliseconds(_ call: ControlCall, _ name: String) -> Int64? {
        call.text(name).flatMap(parseDuration).map { $0 / 1_000_000 }
    }

    private func stats(_ call: ControlCall) throws(QueueError) {
        if let name = call.text("queue") {
            if let status = try store.status(of: try store.queue(name)) {
                call.output.line(line(status))
            }
            return
        }
        // The engine's own queues begin with a dot.
        for status in try store.status() where !status.name.hasPrefix(".") {
            call.output.line(line(status))
        }
    }

    /// A queue's counts, and how far the log it shares has come: the last transaction that is in
    /// it, and the last one that survives a power cut.
    private func line(_ status: QueueStatus) -> Record {
        let durable = store.durableSequence
        var record = MessageWriting.record(status)
        record.fields += [
            Field("appended", .integer(Int64(max(store.appendedSequence, durable)))),
            Field("durable", .integer(Int64(durable))),
        ]
        return record
    }

    private static func receipt(_ text: String) throws(QueueError) -> Receipt {
        // One that was made up is no more current than an old one.
        guard let receipt = Receipt(text) else {
            throw QueueError(.stale, "\(text) is no receipt, so it is stale; receive again")
        }
        return receipt
    }

    private func acknowledge(_ call: ControlCall, _ queue: QueueHandle) throws(QueueError) {
        let receipts = try call.texts("receipts").map(Self.receipt)
        try store.acknowledge(receipts, in: queue)
        call.output.line(
            Record([
                Field("acked", .integer(Int64(receipts.count))),
                Field("durability", .string(store.settings(of: queue).durability.name)),
            ]))
    }

    private func settle(
        _ word: String, _ call: ControlCall, _ queue: QueueHandle,
        _ body: (inout Transaction, Receipt) throws(QueueError) -> Void
    ) throws(QueueError) {
        let receipt = try Self.receipt(call.text("receipt") ?? "")
        let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
            try body(&transaction, receipt)
        }
        try store.wait(for: sequence, queue)
        call.output.line(Record([Field(word, .string(receipt.description))]))
    }

    private func peek(_ call: ControlCall, _ queue: QueueHandle) throws(QueueError) {
        let state = call.text("state").flatMap { name in
            MessageState.allCases.first { $0.name == name }
        }
        if let name = call.text("state"), state == nil {
            throw QueueError(
                .misuse,
                "no state \"\(name)\"; one of scheduled, ready, leased, retrying"
                    + suggestion(for: name, among: MessageState.allCases.map(\.name)))
        }
        for message in try store.peek(queue, max: call.integer("max") ?? 10, state: state) {
            call.output.line(
                MessageWriting.line(
                    message, withState: true, isEncoded: call.flag("base64")))
        }
    }
}
