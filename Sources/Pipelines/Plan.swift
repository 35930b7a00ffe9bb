public import Scripting
internal import Stages
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
        self.definition = definition
        var findings: [Diagnostic] = []
        var files: [String: [UInt8]] = [:]
        var schemas: [String: Schema] = [:]
        func add(_ reference: FileReference) -> [UInt8]? {
            if let known = files[reference.path] { return known }
            guard let bytes = readFile(resolve(reference.path, in: definition.folder)) else {
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
        modules = Self.findModules(in: definition.folder + "/rules/lib")
        for module in modules {
            files[module.path] = readFile(definition.folder + "/" + module.path)
        }
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

    /// `geo` for rules/lib/geo.lua, `a.b` for rules/lib/a/b.lua.
    private static func findModules(in folder: String) -> [(name: String, path: String)] {
        var modules: [(name: String, path: String)] = []
        func visit(_ folder: String, prefix: String, depth: Int) {
            for name in names(in: folder) {
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

    /// A loaded VM for the calling thread.
    func makeVM(log: (@Sendable (String, String) -> Void)?) throws(RuleError) -> RuleVM {
        var options = RuleVMOptions()
        options.scriptMemory = definition.limits.scriptMemory
        options.recordLimit = definition.limits.record
        options.depthLimit = definition.limits.depth
        options.stateMemory = definition.limits.stateMemory
        options.key = definition.key
        options.partitions = definition.partitions
        options.time = definition.time?.ruleTime
        options.ruleSet = ruleSet.version
        options.log = log
        var vm = try RuleVM(options)
        for module in modules {
            vm.addModule(
                name: module.name, file: module.path, text: ruleSet.bytes(of: module.path) ?? [])
        }
        for stage in definition.stages { add(stage, to: &vm) }
        for (index, stage) in definition.stages.enumerated() {
            vm.connect(wire(stage.from), toStage: index)
        }
        for (index, sink) in definition.sinks.enumerated() {
            vm.connect(wire(sink.from), toSink: index)
        }
        vm.setSinkCount(definition.sinks.count)
        return vm
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

    private func wire(_ origin: Origin) -> RuleWire {
        switch origin {
        case .source: .source
        case .deadLetters: .deadLetters
        case .stage(let index, let output): .stage(index, output: output)
        }
    }
}
