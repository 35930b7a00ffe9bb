internal import Connecting
public import Scripting

/// Why a rule file cannot be read.
private struct FileProblem: Error {
    let text: String
}

/// Everything that workers need, read and checked before the first record; shared by all threads.
public struct Plan: Sendable {
    /// What it was made from.
    public var definition: Definition
    /// The scripts, modules and schemas.
    public var ruleSet: RuleSet
    /// The compiled schemas by path.
    package var schemas: [String: Schema]
    /// What `require` finds: each name and the path below the folder.
    package var modules: [(name: String, path: String)]

    /// Reads the rule files of a definition; every one that cannot be used is reported.
    public init(_ definition: Definition) throws(DiagnosticList) {
        let modules = Self.findModules(in: definition.folder + "/rules/lib")
        try self.init(definition, modules) { path throws(FileProblem) in
            let full = resolve(path, in: definition.folder)
            if let bytes = readFile(full) { return bytes }
            throw FileProblem(text: fileProblem(full) ?? "cannot be read")
        }
    }

    /// Takes the rule files as they were once.
    package init(_ definition: Definition, files: [RuleSet.File]) throws(DiagnosticList) {
        let known = Dictionary(files.map { ($0.path, $0.bytes) }) { $1 }
        let modules = Self.modules(among: files.map(\.path))
        try self.init(definition, modules) { path throws(FileProblem) in
            if let bytes = known[path] { return bytes }
            throw FileProblem(text: "cannot be read")
        }
    }

    private init(
        _ definition: Definition, _ modules: [(name: String, path: String)],
        read: (String) throws(FileProblem) -> [UInt8]
    ) throws(DiagnosticList) {
        self.definition = definition
        var findings: [Diagnostic] = []
        var files: [String: [UInt8]] = [:]
        var schemas: [String: Schema] = [:]
        func add(_ reference: FileReference) -> [UInt8]? {
            if let known = files[reference.path] { return known }
            do throws(FileProblem) {
                let bytes = try read(reference.path)
                files[reference.path] = bytes
                return bytes
            } catch {
                findings.append(
                    Diagnostic(at: reference.location, "\(reference.path): \(error.text)"))
                return nil
            }
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
    package static func findModules(in folder: String) -> [(name: String, path: String)] {
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
}
