internal import Definitions
internal import Journal
internal import Queueing
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// The threads of one handler: each takes a message, runs the script, and settles the message.
///
/// What the script emits to a queue, and the end of the message, are one transaction. A script that
/// fails, or takes too long, gives the message back; the queue's own policy says what then.
struct HandlerPool {
    let run: PipelineRun
    let handler: HandlerDefinition
    let store: PipelineStore

    /// Starts the threads.
    func start() throws(PipelineError) {
        _ = try wrap { () throws(QueueError) in try store.queues.queue(handler.queue) }
        for _ in 0..<handler.concurrency {
            let pool = self
            run.startThread { _ in HandlerThread(pool).main() }
        }
        for _ in 0..<handler.concurrency {
            if case .failed(let error) = run.startup.receive() { throw error }
        }
    }

    private func wrap<Result>(
        _ body: () throws(QueueError) -> Result
    ) throws(PipelineError) -> Result {
        do throws(QueueError) { return try body() } catch {
            throw PipelineError(exitCode: 2, "\(handler.location): \(error)")
        }
    }
}

/// One thread of a handler, with a VM of its own.
private final class HandlerThread {
    private let run: PipelineRun
    private let handler: HandlerDefinition
    private let store: Store<SystemDisk>
    private let exchanges: [Exchange]
    private let pause = Channel<Void>(capacity: 1)
    private let batch = Batch()
    private let outputs: [OutputBuffer]
    /// The queues and exchanges that a script can emit to, in the order of the outputs.
    private let targets: [String]
    private var step = -1

    init(_ pool: HandlerPool) {
        run = pool.run
        handler = pool.handler
        store = pool.store.queues
        exchanges = pool.store.exchanges
        targets = run.plan.definition.queues.map(\.settings.name) + exchanges.map(\.name)
        outputs = (0...targets.count).map { _ in OutputBuffer() }
    }

    func main() {
        do {
            var vm = try makeVM()
            run.startup.send(.ready)
            let queue = try store.queue(handler.queue)
            let lease = store.settings(of: queue).maxLease
            while !run.stopRequested.load(ordering: .relaxed), !run.isEnding {
                if run.versions.step != step, let next = try? makeVM() { vm = next }
                let messages = try store.receive(
                    from: queue, max: 1, lease: lease, isOwned: true)
                guard let message = messages.first else {
                    _ = pause.receive(milliseconds: 5)
                    continue
                }
                run.busyHandlers.add(1, ordering: .relaxed)
                defer { run.busyHandlers.subtract(1, ordering: .relaxed) }
                try work(on: message, from: queue, &vm)
            }
        } catch {
            // A store that closes meanwhile gives the message back, and nothing has happened.
            if run.isEnding, error is QueueError { return }
            let failure = PipelineError(exitCode: 1, "error: handler of \(handler.queue): \(error)")
            if step < 0 { run.startup.send(.failed(failure)) } else { run.fail(failure) }
        }
    }

    private func makeVM() throws(RuleError) -> RuleVM {
        let wanted = run.versions.step
        let plan = run.versions.version(wanted).plan
        let log = run.log
        var vm = try plan.makeHandlerVM(handler, targets: targets) { log.write(stage: $0, $1) }
        for (name, table) in run.lookups.current { vm.setLookup(name, to: table) }
        try vm.load()
        step = wanted
        return vm
    }

    private func work(
        on message: Message, from queue: QueueHandle, _ vm: inout RuleVM
    ) throws {
        batch.removeAll()
        batch.source = handler.queue
        batch.file = handler.queue
        batch.add(message)
        try vm.run(batch, into: outputs)
        let letter = unsafe outputs[targets.count].withUnsafeBytes {
            unsafe try? Record(json: Array($0.dropLast()))
        }
        var outcome = Outcome.failed(letter ?? Record())
        if let letter { tell(letter, message) } else { outcome = try routed() }
        for output in outputs { output.removeAll() }
        repeat {
            do throws(QueueError) {
                let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
                    try settle(message.receipt, in: queue, outcome, &transaction)
                }
                return try store.wait(for: sequence, queue)
            } catch {
                guard error.code == .full, case .done(let emitted) = outcome else { throw error }
                if emitted.contains(where: { refuses($0) }) {
                    outcome = .refused(DeliveryFailure(reason: "full", error: error.description))
                } else {
                    // Whoever takes messages out makes room; until then the handler waits.
                    _ = pause.receive(milliseconds: 5)
                }
            }
        } while !run.stopRequested.load(ordering: .relaxed)
    }

    /// Says that the script has failed, which one who snoozes has not.
    private func tell(_ letter: Record, _ message: Message) {
        guard letter["kind"] != .string("snoozed") else { return }
        let reason = letter["error"]?.text ?? letter["reason"]?.text ?? "it failed"
        run.notices.note(
            "handler \(handler.queue)",
            "warning: the handler of \(handler.queue) failed on the message \(message.id), "
                + "attempt \(message.attempt): \(reason)")
    }

    /// What became of a message.
    private enum Outcome {
        case done([CommitDraft.Routed])
        case failed(Record)
        case refused(DeliveryFailure)
    }

    /// True when one of the queues is full and says that its publishers do not wait.
    private func refuses(_ routed: CommitDraft.Routed) -> Bool {
        routed.queues.contains { store.settings(of: $0).overflow == .reject }
    }

    private func settle(
        _ receipt: Receipt?, in queue: QueueHandle, _ outcome: Outcome,
        _ transaction: inout Transaction
    ) throws(QueueError) {
        switch outcome {
        case .done(let emitted):
            // What is delivered at most once is gone already.
            if let receipt { try transaction.acknowledge([receipt], in: queue) }
            for message in emitted { try transaction.publish(message.message, to: message.queues) }
        case .refused(let failure):
            if let receipt { try transaction.fail(receipt, in: queue, delay: nil, failure) }
        case .failed(let letter):
            guard let receipt else { return }
            if letter["kind"] == .string("snoozed"),
                let delay = Int64(letter["reason"]?.text ?? "")
            {
                try transaction.snooze(receipt, in: queue, delay: delay)
            } else {
                try transaction.fail(receipt, in: queue, delay: nil, failure(letter))
            }
        }
    }

    /// What the script emitted, and where it goes; refused when no route takes one of them.
    private func routed() throws(QueueError) -> Outcome {
        var routed: [CommitDraft.Routed] = []
        for (index, name) in targets.enumerated() where outputs[index].rows > 0 {
            let target = try store.target(name, among: exchanges)
            for line in unsafe outputs[index].withUnsafeBytes({ unsafe lines(of: $0) }) {
                let message = NewMessage(line)
                do throws(QueueError) {
                    let queues = try target.queues(for: message, topic: nil)
                    routed.append(CommitDraft.Routed(message: message, queues: queues))
                } catch {
                    return .refused(
                        DeliveryFailure(reason: "unroutable", error: error.description))
                }
            }
        }
        return .done(routed)
    }

    private func failure(_ letter: Record) -> DeliveryFailure {
        let kind = letter["kind"]?.text ?? "failed"
        var failure = DeliveryFailure(
            reason: kind == "rejected" ? "rejected" : kind == "budget" ? "timeout" : "failed",
            error: letter["error"]?.text ?? letter["reason"]?.text ?? "")
        failure.ruleSet = letter["rule_set"]?.text
        if case .array(let lines)? = letter["trace"] {
            failure.traceback = lines.map(\.text).joined(separator: "\n")
        }
        return failure
    }
}

extension Plan {
    /// A VM with one stage, the script of a handler, whose outputs are queues.
    func makeHandlerVM(
        _ handler: HandlerDefinition, targets: [String],
        log: (@Sendable (String, String) -> Void)?
    ) throws(RuleError) -> RuleVM {
        var options = vmOptions(MachinePurpose(), log: log)
        options.allowsSnooze = true
        // Messages are taken as they are; the time of records is not theirs.
        options.time = nil
        var vm = try RuleVM(options)
        for module in modules {
            vm.addModule(
                name: module.name, file: module.path, text: ruleSet.bytes(of: module.path) ?? [])
        }
        let script = RuleSet.File(
            path: handler.script, bytes: ruleSet.bytes(of: handler.script) ?? [])
        _ = unsafe vm.addStage(
            name: handler.queue, schema: nil, script: script, native: nil,
            budgetNanoseconds: handler.timeoutNanoseconds)
        vm.connect(.source, toStage: 0)
        for (index, name) in targets.enumerated() {
            vm.connect(.stage(0, output: name), toSink: index)
        }
        vm.connect(.deadLetters, toSink: targets.count)
        vm.setSinkCount(targets.count + 1)
        return vm
    }
}
