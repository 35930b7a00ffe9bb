public import Definitions
internal import Records
internal import Scripting
internal import Synchronization
internal import Threads

/// The Lua functions that queues ask: how long to wait, whether a route takes a message, what a
/// redrive makes of one. Any thread may ask; they run on a thread of their own, one at a time,
/// in the sandbox and the budget of rules.
public final class QueueScripts: Sendable {
    typealias Name = QueueFunction

    /// What a function gave.
    enum Answer: Sendable {
        /// Its result: a row of JSON; nil when it returned `drop`.
        case row([UInt8]?)
        /// It failed: the message, with file and line.
        case failed(String)
    }

    private struct Job: Sendable {
        var name: Name
        /// Nil when the file is to be loaded only.
        var input: [UInt8]?
        var answer = Channel<Answer>(capacity: 1)
    }

    private let jobs = Channel<Job>(capacity: 1)
    private let isStarted = Atomic<Bool>(false)
    private let plan: Locked<@Sendable () -> Plan>
    private let failures = Atomic<Int>(0)
    private let log: @Sendable (String) -> Void

    /// Functions of a plan; `log` takes lines for the operator.
    public init(_ plan: Plan, log: (@Sendable (String) -> Void)? = nil) {
        self.plan = Locked({ plan })
        self.log = log ?? { writeError($0 + "\n") }
    }

    deinit { jobs.close() }

    /// From now on the functions are those of the plan that `plan` gives.
    func follow(_ plan: @escaping @Sendable () -> Plan) { self.plan.withLock { $0 = plan } }

    /// Calls a function and waits for its result; without `input` it is loaded only.
    func call(_ name: Name, _ input: [UInt8]?) -> Answer {
        if !isStarted.exchange(true, ordering: .relaxed) {
            let (jobs, plan, log) = (jobs, plan, log)
            WorkerThread { Self.serve(jobs, plan, log) }.detach()
        }
        let job = Job(name: name, input: input)
        guard jobs.send(job), let answer = job.answer.receive() else {
            return .failed("\(name.file): the pipeline is stopping")
        }
        return answer
    }

    /// Tells the operator of a failure; of many, ever fewer.
    func report(_ message: String, then: String) {
        let count = failures.add(1, ordering: .relaxed).newValue
        guard count & (count - 1) == 0 else { return }
        let times = count > 1 ? " (\(count) times so far)" : ""
        log("warning: \(message); \(then)\(times)")
    }

    private static func serve(
        _ jobs: Channel<Job>, _ plan: Locked<@Sendable () -> Plan>,
        _ log: @escaping @Sendable (String) -> Void
    ) {
        var machines: [Name: FunctionMachine] = [:]
        while let job = jobs.receive() {
            let current = plan.withLock { $0 }()
            // A new version of the rules has functions of its own.
            if machines[job.name]?.version != current.ruleSet.version {
                machines[job.name] = nil
            }
            if machines.count > 64 { machines = [:] }
            do throws(RuleError) {
                let machine: FunctionMachine
                if let known = machines[job.name] {
                    machine = known
                } else {
                    machine = try FunctionMachine(current, job.name) { log("\($0): \($1)") }
                    machines[job.name] = machine
                }
                job.answer.send(try machine.run(job.input))
            } catch {
                job.answer.send(.failed(error.description))
            }
        }
    }
}

/// A VM with one function. One thread.
private final class FunctionMachine {
    let version: String
    private var vm: RuleVM
    private let batch = Batch()
    private let outputs = [OutputBuffer(), OutputBuffer()]

    init(
        _ plan: Plan, _ name: QueueScripts.Name,
        log: @escaping @Sendable (String, String) -> Void
    ) throws(RuleError) {
        version = plan.ruleSet.version
        vm = try plan.makeFunctionVM(name, log: log)
        try vm.load()
    }

    func run(_ input: [UInt8]?) throws(RuleError) -> QueueScripts.Answer {
        guard let input else { return .row(nil) }
        for output in outputs { output.removeAll() }
        batch.removeAll()
        batch.source = "queues"
        batch.file = "queues"
        unsafe input.withUnsafeBytes { unsafe batch.bytes.append($0) }
        try vm.run(batch, into: outputs)
        if outputs[1].rows > 0 {
            let letter = try? Record(json: row(1))
            let reason = letter?["error"]?.text ?? letter?["reason"]?.text ?? "it failed"
            return .failed(reason)
        }
        return .row(outputs[0].rows > 0 ? row(0) : nil)
    }

    private func row(_ index: Int) -> [UInt8] {
        unsafe outputs[index].withUnsafeBytes { unsafe Array($0.dropLast()) }
    }
}

extension Plan {
    /// A VM that calls one function of a file.
    fileprivate func makeFunctionVM(
        _ name: QueueScripts.Name, log: @escaping @Sendable (String, String) -> Void
    ) throws(RuleError) -> RuleVM {
        var options = vmOptions(MachinePurpose(), log: log)
        options.trace = false
        options.time = nil
        options.key = nil
        var vm = try RuleVM(options)
        for module in modules {
            vm.addModule(
                name: module.name, file: module.path, text: ruleSet.bytes(of: module.path) ?? [])
        }
        guard let text = name.text ?? ruleSet.bytes(of: name.file) else {
            throw RuleError("\(name.file): cannot be read")
        }
        let script = RuleSet.File(path: name.file, bytes: text + name.function.epilogue.utf8)
        _ = unsafe vm.addStage(
            name: name.file, schema: nil, script: script, native: nil,
            budgetNanoseconds: 100_000_000)
        vm.connect(.source, toStage: 0)
        vm.connect(.stage(0, output: nil), toSink: 0)
        vm.connect(.deadLetters, toSink: 1)
        vm.setSinkCount(2)
        return vm
    }

    /// Every function that queues ask, loaded once: throws what is wrong with the first one.
    func checkQueueFunctions() throws(RuleError) {
        for name in definition.queueFunctions {
            var vm = try makeFunctionVM(name) { _, _ in }
            try vm.load()
        }
        for handler in definition.handlers {
            var vm = try makeHandlerVM(handler, targets: [], log: nil)
            try vm.load()
        }
    }
}
