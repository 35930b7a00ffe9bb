internal import Connecting
public import Scripting
internal import Windowing

/// Everything that workers need, read and checked before the first record; shared by all threads.
public struct Plan: Sendable {
    /// What it was made from.
    public var definition: Definition
    /// The scripts, modules and schemas.
    public var ruleSet: RuleSet
    var schemas: [String: Schema]
    var modules: [(name: String, path: String)]

    /// Reads the rule files of a definition; every one that cannot be used is reported.
    public init(_ definition: Definition) throws(DiagnosticList) {
        let modules = Self.findModules(in: definition.folder + "/rules/lib")
        try self.init(definition, modules) { readFile(resolve($0, in: definition.folder)) }
    }

    /// Takes the rule files as they were once.
    init(_ definition: Definition, files: [RuleSet.File]) throws(DiagnosticList) {
        let known = Dictionary(files.map { ($0.path, $0.bytes) }) { $1 }
        let modules = Self.modules(among: files.map(\.path))
        try self.init(definition, modules) { known[$0] }
    }

    private init(
        _ definition: Definition, _ modules: [(name: String, path: String)],
        read: (String) -> [UInt8]?
    ) throws(DiagnosticList) {
        self.definition = definition
        var findings: [Diagnostic] = []
        var files: [String: [UInt8]] = [:]
        var schemas: [String: Schema] = [:]
        func add(_ reference: FileReference) -> [UInt8]? {
            if let known = files[reference.path] { return known }
            guard let bytes = read(reference.path) else {
                findings.append(
                    Diagnostic(at: reference.location, "\(reference.path): cannot be read"))
                return nil
            }
            files[reference.path] = bytes
            return bytes
        }
        for stage in definition.stages {
            if case .aggregate(let aggregate) = stage.work {
                for file in aggregate.userFiles { _ = add(file) }
            }
            guard case .files(let schema, let rule) = stage.work else { continue }
            if let rule { _ = add(rule) }
            if let schema, schemas[schema.path] == nil, let text = add(schema) {
                do {
                    schemas[schema.path] = try Schema(file: schema.path, text: text)
                } catch {
                    let place = Self.location(of: error.offset, in: text, file: schema.path)
                    findings.append(Diagnostic(at: place, error.message))
                }
            }
        }
        for handler in definition.handlers {
            _ = add(FileReference(path: handler.script, location: handler.location))
        }
        for file in definition.queueScriptFiles { _ = add(file) }
        for module in modules {
            // It was there when the folder was listed.
            _ = add(
                FileReference(
                    path: module.path,
                    location: Location(file: module.path, line: 1, column: 1)))
        }
        self.modules = modules
        self.schemas = schemas
        ruleSet = RuleSet(files: files.map { RuleSet.File(path: $0.key, bytes: $0.value) })
        if !findings.isEmpty { throw DiagnosticList(findings: findings) }
    }

    /// Line and column of a byte.
    static func location(of offset: Int, in text: [UInt8], file: String) -> Location {
        let before = text.prefix(offset)
        let line = before.count { $0 == 0x0A } + 1
        let start = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        return Location(file: file, line: line, column: offset - start + 1)
    }

    private static func modules(among paths: [String]) -> [(name: String, path: String)] {
        let prefix = "rules/lib/"
        return paths.filter { $0.hasPrefix(prefix) && $0.hasSuffix(".lua") }.sorted().map {
            let parts = $0.dropFirst(prefix.count).dropLast(4).split(separator: "/")
            return (parts.joined(separator: "."), $0)
        }
    }

    /// `geo` for rules/lib/geo.lua, `a.b` for rules/lib/a/b.lua.
    static func findModules(in folder: String) -> [(name: String, path: String)] {
        var modules: [(name: String, path: String)] = []
        func visit(_ folder: String, prefix: String, depth: Int) {
            // Editors keep what they are doing in hidden files beside.
            for name in names(in: folder) where !name.hasPrefix(".") {
                if name.hasSuffix(".lua") {
                    let module = prefix + name.dropLast(4)
                    let path = "rules/lib/" + prefix.split(separator: ".").map { $0 + "/" }.joined()
                    modules.append((module, path + name))
                } else if depth < 8, isFolder(folder + "/" + name) {
                    visit(folder + "/" + name, prefix: prefix + name + ".", depth: depth + 1)
                }
            }
        }
        visit(folder, prefix: "", depth: 0)
        return modules
    }

    /// The names that `require` knows.
    public var moduleNames: [String] { modules.map(\.name) }

    /// A VM with all stages, which its thread still has to load.
    func makeVM(
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
        options.scriptMemory = definition.limits.scriptMemory
        options.recordLimit = definition.limits.record
        options.depthLimit = definition.limits.depth
        options.stateMemory = definition.limits.stateMemory
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
        if purpose.hasTapSlot { sinkCount += 1 }
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
struct MachinePurpose {
    /// Changes of its state will be asked for.
    var tracksChanges = false
    /// Records that fail run once more to show the values at each line.
    var traces = true
    /// Dead letters go into a sink of their own behind the pipeline's.
    var showsLetters = false
    /// What leaves each stage by its main output goes into a sink of its own behind those.
    var showsStages = false
    /// Outputs that go into sinks of their own behind those.
    var shows: [Origin] = []
    /// Stages that get no records.
    var cuts: Set<Int> = []
    /// There is one more sink behind those, for somebody who looks at the pipeline.
    var hasTapSlot = false
    /// The version that rules are told; nil: their own.
    var ruleSet: String?
    /// A clock that stands, in milliseconds since 1970; nil: the real one.
    var now: Int64?
}
