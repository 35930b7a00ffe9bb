internal import Connecting
package import Definitions
package import Scripting
internal import Windowing

/// Makes the VMs of a plan.
extension Plan {
    /// A VM with all stages, which its thread still has to load.
    package func makeVM(
        for purpose: MachinePurpose = MachinePurpose(), log: (@Sendable (String, String) -> Void)?
    ) throws(RuleError) -> RuleVM {
        var vm = try RuleVM(vmOptions(purpose, log: log))
        for module in modules {
            vm.addModule(
                name: module.name, file: module.path, text: ruleSet.bytes(of: module.path) ?? [])
        }
        for stage in definition.stages { add(stage, to: &vm) }
        wire(&vm, purpose)
        return vm
    }

    func vmOptions(
        _ purpose: MachinePurpose, log: (@Sendable (String, String) -> Void)?
    ) -> RuleVMOptions {
        var options = RuleVMOptions()
        options.tracksChanges = purpose.tracksChanges
        options.trace = purpose.traces
        options.now = purpose.now
        options.take(definition.limits)
        options.key = definition.key
        options.partitions = definition.partitions
        options.time = definition.time?.ruleTime
        options.ruleSet = purpose.ruleSet ?? ruleSet.version
        options.log = log
        return options
    }

    private func wire(_ vm: inout RuleVM, _ purpose: MachinePurpose) {
        for (index, stage) in definition.stages.enumerated()
        where !purpose.cuts.contains(index) {
            vm.connect(RuleWire(stage.from), toStage: index)
        }
        for (index, sink) in definition.sinks.enumerated() {
            vm.connect(RuleWire(sink.from), toSink: index)
        }
        var sinkCount = definition.sinks.count
        if purpose.showsLetters {
            vm.connect(.deadLetters, toSink: sinkCount)
            sinkCount += 1
        }
        for origin in purpose.shows {
            vm.connect(RuleWire(origin), toSink: sinkCount)
            sinkCount += 1
        }
        if purpose.showsStages {
            for index in definition.stages.indices {
                vm.connect(.stage(index, output: nil), toSink: sinkCount)
                sinkCount += 1
            }
        }
        vm.setSinkCount(sinkCount)
    }

    private func add(_ stage: StageDefinition, to vm: inout RuleVM) {
        var schema: Schema?
        var script: RuleSet.File?
        var native: NativeStage?
        switch stage.work {
        case .files(let schemaFile, let rule):
            schema = schemaFile.flatMap { schemas[$0.path] }
            script = rule.map {
                RuleSet.File(path: $0.path, bytes: ruleSet.bytes(of: $0.path) ?? [])
            }
        case .native(let closure): unsafe native = closure
        case .aggregate: break
        }
        let index = unsafe vm.addStage(
            name: stage.name, schema: schema, script: script, native: native,
            budgetNanoseconds: stage.budgetNanoseconds)
        if case .aggregate(let aggregate) = stage.work { add(aggregate, at: index, to: &vm) }
    }

    private func add(_ aggregate: AggregateStage, at stage: Int, to vm: inout RuleVM) {
        var hook: WindowHook?
        for (place, file) in aggregate.userFiles.enumerated() {
            let script = RuleSet.File(
                path: file.path, bytes: ruleSet.bytes(of: file.path) ?? [])
            let index = vm.addUserAggregate(stage: stage, file: script)
            if place == 0 { hook = WindowHook(LuaAggregates(vm.aggregateCaller, first: index)) }
        }
        let late = Origin.stage(stage, output: "late")
        let isLateTaken =
            definition.stages.contains { $0.from == late }
            || definition.sinks.contains { $0.from == late }
        _ = vm.addAggregate(
            stage: stage, keys: aggregate.definition.keys,
            columns: aggregate.definition.columns.map {
                RuleColumn(
                    field: $0.field, requirement: $0.requirement.rawValue, needsText: $0.needsText)
            }, needsRecord: isLateTaken || hook != nil, hook: hook)
    }
}

extension RuleWire {
    /// The same origin, as a VM knows it.
    init(_ origin: Origin) {
        switch origin {
        case .source: self = .source
        case .deadLetters: self = .deadLetters
        case .stage(let index, let output): self = .stage(index, output: output)
        }
    }
}

/// What a VM is made for, beyond running the stages of a pipeline.
package struct MachinePurpose {
    /// Changes of its state will be asked for.
    var tracksChanges = false
    /// Records that fail run once more to show the values at each line.
    package var traces = true
    /// Dead letters go into a sink of their own behind the pipeline's.
    package var showsLetters = false
    /// What leaves each stage by its main output goes into a sink of its own behind those.
    package var showsStages = false
    /// Outputs that go into sinks of their own behind those.
    package var shows: [Origin] = []
    /// Stages that get no records.
    package var cuts: Set<Int> = []
    /// The version that rules are told; nil: their own.
    package var ruleSet: String?
    /// A clock that stands, in milliseconds since 1970; nil: the real one.
    package var now: Int64?

    /// A VM that runs the stages, and what the engine needs of it.
    package init(tracksChanges: Bool = false, showsLetters: Bool = false) {
        self.tracksChanges = tracksChanges
        self.showsLetters = showsLetters
    }
}
