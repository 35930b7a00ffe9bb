package import Queueing
internal import Records
internal import Threads

/// What scripts say about the messages of a redrive.
package struct RedriveScript {
    /// Decides about a message.
    package var choose: (Message) -> RedriveChoice
    /// How many messages a script failed on, and what it said about the first.
    package var failures: () -> (count: Int, first: String?)

    /// Wraps a script.
    package init(
        choose: @escaping (Message) -> RedriveChoice,
        failures: @escaping () -> (count: Int, first: String?)
    ) {
        self.choose = choose
        self.failures = failures
    }
}

/// Makes a script of an expression and of a file with a function `map`; throws when one of them
/// cannot be loaded.
package typealias RedriveRuleMaker =
    @Sendable (
        _ filter: String?, _ map: (file: String, text: [UInt8])?
    ) throws(ControlFailure) -> RedriveScript

/// For who knows no scripts.
package let noRedriveRule: RedriveRuleMaker = { (_, _) throws(ControlFailure) in
    throw ControlFailure(1, "this process runs no scripts for queues")
}

extension QueueVerbs {
    func redrive(_ call: ControlCall) throws(ControlFailure) {
        let name = try call.required("queue")
        var script: RedriveScript?
        let map = call.text("map").map {
            (file: call.text("map_file") ?? "--map", text: Array($0.utf8))
        }
        if call.text("where") != nil || map != nil {
            script = try redriveRule(call.text("where"), map)
        }
        let counts = try Self.translate { () throws(QueueError) in
            let queue = try store.queue(name)
            var options = RedriveOptions()
            options.target = try call.text("to").map { (name) throws(QueueError) in
                try store.queue(name)
            }
            options.reason = call.text("reason")
            options.rate = call.integer("rate")
            options.isDryRun = call.flag("dry_run")
            options.choose = script?.choose
            options.pause = { pause(milliseconds: Int($0 / 1000)) }
            let counts = try store.redrive(queue, options)
            if !options.isDryRun {
                _ = try store.commit { transaction in
                    Self.note(
                        "redrive", call, [("moved", counts.moved), ("dropped", counts.dropped)],
                        &transaction)
                }
            }
            return counts
        }
        defer { published() }
        var answer = [Field("redriven", .integer(Int64(counts.moved)))]
        if counts.dropped > 0 { answer.append(Field("dropped", .integer(Int64(counts.dropped)))) }
        let failures = script?.failures() ?? (count: 0, first: nil)
        if failures.count > 0 {
            answer.append(Field("failed", .integer(Int64(failures.count))))
        }
        if call.flag("dry_run") { answer.append(Field("dry_run", .boolean(true))) }
        call.output.line(Record(answer))
        if let first = failures.first {
            throw ControlFailure(
                1, "the script failed on \(failures.count) messages, which stay: \(first)")
        }
    }
}
