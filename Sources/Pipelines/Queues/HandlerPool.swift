internal import Journal
internal import Queueing
internal import Records
internal import Scripting
internal import Synchronization

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
    private let pause = Channel<Void>(capacity: 1)
    private let batch = Batch()
    private let outputs: [OutputBuffer]
    /// The queues that a script can emit to, in the order of the outputs.
    private let targets: [String]
    private var step = -1

    init(_ pool: HandlerPool) {
        run = pool.run
        handler = pool.handler
        store = pool.store.queues
        targets = run.plan.definition.queues.map(\.settings.name)
        outputs = (0...targets.count).map { _ in OutputBuffer() }
    }

    func main() {
        do {
            var vm = try makeVM()
            run.startup.send(.ready)
            let queue = try store.queue(handler.queue)
            while !run.stopRequested.load(ordering: .relaxed), !run.isEnding {
                if run.versions.step != step, let next = try? makeVM() { vm = next }
                let messages = try store.receive(
                    from: queue, max: 1, lease: QueueSettings(handler.queue).maxLease,
                    isOwned: true)
                guard let message = messages.first else {
                    _ = pause.receive(milliseconds: 5)
                    continue
                }
                try work(on: message, from: queue, &vm)
            }
        } catch {
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
        guard let receipt = message.receipt else { return }
        batch.removeAll()
        batch.source = handler.queue
        batch.file = handler.queue
        batch.add(message)
        try vm.run(batch, into: outputs)
        let letter = unsafe outputs[targets.count].withUnsafeBytes {
            unsafe try? Record(json: Array($0.dropLast()))
        }
        let (_, sequence) = try store.commit { (transaction) throws(QueueError) in
            if let letter {
                try transaction.fail(receipt, in: queue, delay: nil, failure(letter))
                return
            }
            try transaction.acknowledge([receipt], in: queue)
            for (index, name) in targets.enumerated() where outputs[index].rows > 0 {
                let target = try transaction.queue(name)
                for line in unsafe outputs[index].withUnsafeBytes({ unsafe lines(of: $0) }) {
                    try transaction.publish(NewMessage(line), to: target)
                }
            }
        }
        for output in outputs { output.removeAll() }
        try store.wait(for: sequence, queue)
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
        var vm = try RuleVM(vmOptions(MachinePurpose(), log: log))
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
