internal import Connecting
internal import Records
internal import Scripting

/// What the Lua language server needs to know about the rules of a pipeline.
public struct TypeStubs {
    /// The first line of the stubs, by which they are known as written by us.
    public static let mark = "---@meta tidewheel"
    private let plan: Plan

    /// Begins with the rules of a folder.
    public init(_ plan: Plan) { self.plan = plan }

    /// `types/tidewheel.lua`: every host function, and a class for each schema.
    public var stubs: String {
        var text = """
            \(Self.mark)
            -- Written by `tidewheel types`, which writes it anew.

            ---What drop, route and reject give; it takes effect by being returned.
            ---@class Verdict

            ---JSON's null.
            ---@class Null

            ---A record, or a value nested in one.
            ---@class Record
            ---@field copy fun(self: Record): Record
            ---@field [string] any

            ---@class Meta
            ---@field id string
            ---@field source string
            ---@field file string
            ---@field position integer
            ---@field line integer
            ---@field time integer?
            ---@field key any
            ---@field partition integer
            ---@field stage string
            ---@field rule_set string
            ---@field attempt integer
            ---@field headers table<string, string>?

            """
        for stage in plan.definition.stages {
            guard case .files(.some(let schema), _) = stage.work else { continue }
            let part = SchemaClasses(path: schema.path, text: plan.ruleSet.bytes(of: schema.path))
            if !text.contains("---@class \(part.name):") { text += part.text }
        }
        for entry in RuleAPI.entries where Self.groups.contains(entry.group) {
            text += Self.stub(entry)
        }
        return text
    }

    /// `.luarc.json`.
    public var settings: String {
        """
        {
          "comment": "written by `tidewheel types`",
          "runtime.version": "Lua 5.4",
          "runtime.path": ["rules/lib/?.lua"],
          "runtime.builtin": {
            "io": "disable", "os": "disable", "debug": "disable", "package": "disable",
            "coroutine": "disable", "bit32": "disable", "ffi": "disable", "jit": "disable"
          },
          "workspace.library": ["types"],
          "diagnostics.globals": ["process", "generate", "on_timer", "migrate", "state_version"],
          "diagnostics.disable": ["lowercase-global"]
        }

        """
    }

    /// The groups of what is ours; the language server knows Lua's own libraries.
    private static let groups = ["What a rule returns", "Data from the engine", "Values"]

    private static let results = [
        "drop": "Verdict", "route": "Verdict", "reject": "Verdict", "snooze": "Verdict",
        "lookup": "any",
        "state.get": "any", "state.incr": "number", "now": "integer", "json.encode": "string",
        "json.decode": "any", "json.array": "table", "time.parse": "integer?",
        "time.format": "string", "hash": "string|integer", "round": "number",
    ]

    private static let parameters = [
        "reason": "string", "name": "string", "record": "table|Record", "output": "string",
        "table": "string", "key": "string|number", "field": "string", "value": "any",
        "text": "string", "number": "number", "digits": "integer", "milliseconds": "integer",
        "at": "integer|string|nil", "by": "number", "algorithm": "string", "module": "string",
    ]

    private static func stub(_ entry: RuleAPIEntry) -> String {
        // The language server has a better idea of what a module returns.
        if entry.name == "require" { return "" }
        let words = "\n---\(entry.summary)\n"
        switch entry.name {
        case "null": return words + "---@type Null\nnull = nil\n"
        case "state", "json", "time":
            return words + "---@class \(entry.name)lib\n\(entry.name) = {}\n"
        default: break
        }
        var lines = ""
        var names: [String] = []
        for (name, isOptional) in arguments(of: entry.signature) {
            names.append(name)
            var type = parameters[name] ?? "any"
            // Only there a table is no name of a lookup.
            if entry.name == "json.array" { type = "table" }
            if name == "options" { type = "{ttl: string|number}" }
            lines += "---@param \(name)\(isOptional ? "?" : "") \(type)\n"
        }
        if let result = results[entry.name] { lines += "---@return \(result)\n" }
        let name =
            entry.name.hasPrefix("state.") ? entry.name.replacing(".", with: ":") : entry.name
        return words + lines + "function \(name)(\(names.joined(separator: ", "))) end\n"
    }

    /// The arguments in a signature, and which of them may be left out.
    private static func arguments(of signature: String) -> [(name: String, isOptional: Bool)] {
        guard let open = signature.firstIndex(of: "(") else { return [] }
        var arguments: [(String, Bool)] = []
        var depth = 0
        var braces = 0
        var word = ""
        for character in signature[signature.index(after: open)...] {
            if braces == 0, character.isLetter || character.isNumber || character == "_" {
                word.append(character)
                continue
            }
            if !word.isEmpty { arguments.append((word, depth > 0)) }
            word = ""
            switch character {
            case "[": depth += 1
            case "]": depth -= 1
            case "{":
                if braces == 0 { arguments.append(("options", depth > 0)) }
                braces += 1
            case "}": braces -= 1
            case "…" where braces == 0: arguments.append(("...", false))
            default: break
            }
        }
        return arguments
    }
}

/// The classes of one schema: one for the record, and one for each object nested in it.
private struct SchemaClasses {
    /// `Video` for `schemas/video.schema.json`.
    let name: String
    private(set) var text = ""
    private var classes: [String] = []

    init(path: String, text bytes: [UInt8]?) {
        var file = path.split(separator: "/").last.map(String.init) ?? path
        for ending in [".json", ".schema"] where file.hasSuffix(ending) {
            file = String(file.dropLast(ending.count))
        }
        name = file.split { !($0.isLetter || $0.isNumber) }.map {
            $0.prefix(1).uppercased() + $0.dropFirst()
        }.joined()
        var reader = JSONReader(bytes ?? [])
        guard case .object(let schema)? = try? reader.readDocument() else { return }
        add(name, Record(schema))
        text = classes.joined()
    }

    private mutating func add(_ name: String, _ schema: Record) {
        var required: [String] = []
        if case .array(let names)? = schema["required"] { required = names.map(\.text) }
        var lines = "\n---@class \(name): Record\n"
        if case .object(let properties)? = schema["properties"] {
            for property in properties {
                guard case .object(let inner) = property.value else { continue }
                let type = type(of: Record(inner), name: "\(name).\(property.name)")
                let mark = required.contains(property.name) ? "" : "?"
                let key =
                    isName(property.name, others: [])
                    ? property.name + mark
                    : "[\(String(decoding: Value.string(property.name).json, as: UTF8.self))]"
                lines += "---@field \(key) \(type)\n"
            }
        }
        classes.append(lines)
    }

    private mutating func type(of schema: Record, name: String) -> String {
        if case .array(let choices)? = schema["enum"], !choices.isEmpty {
            return choices.map { choice in
                choice == .null ? "Null" : String(decoding: choice.json, as: UTF8.self)
            }.joined(separator: "|")
        }
        var types: [String] = []
        if case .array(let several)? = schema["type"] { types = several.map(\.text) }
        if case .string(let one)? = schema["type"] { types = [one] }
        if types.isEmpty { return "any" }
        return types.map { type in
            switch type {
            case "null": return "Null"
            case "array":
                guard case .object(let items)? = schema["items"] else { return "any[]" }
                let item = self.type(of: Record(items), name: name + "[]")
                return item.contains("|") ? "(\(item))[]" : item + "[]"
            case "object":
                guard schema["properties"] != nil else { return "Record" }
                let inner = name.replacing("[]", with: "_item")
                add(inner, schema)
                return inner
            default: return type
            }
        }.joined(separator: "|")
    }
}
