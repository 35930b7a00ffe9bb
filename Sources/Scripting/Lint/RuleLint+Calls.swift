// Whether the functions of the engine are used as they are meant, and known fields are read.
extension RuleLint {
    private static let outcomes = ["drop", "route", "reject", "snooze"]

    mutating func checkCalls(in surroundings: RuleSurroundings, suggest: Suggest) {
        let declared = Set(facts.globals.filter(\.isAssigned).map(\.name))
        for member in facts.members where !declared.contains(Self.base(of: member.name)) {
            checkMember(member, suggest)
        }
        for call in facts.calls where !declared.contains(Self.base(of: call.name)) {
            checkMethod(call, suggest)
            if let signature = LuaSignature.all[call.name],
                let problem = signature.problem(
                    count: call.arguments.count, isOpen: call.arguments.last?.isOpen ?? false)
            {
                add("TW0207", call.place, problem)
                continue
            }
            if call.isStatement, Self.outcomes.contains(call.name) {
                add(
                    "TW0211", call.place,
                    "\(call.name) takes effect by being returned: write return \(call.name)(…)")
            }
            if call.name == "lookup" { checkLookup(call, surroundings, suggest) }
            if call.name == "require" { checkModule(call, surroundings, suggest) }
        }
    }

    private static func base(of name: String) -> String {
        String(name.prefix { $0 != "." && $0 != ":" })
    }

    /// Members that a library of the engine has: `encode` of `json`.
    private func members(of library: String) -> [String] {
        RuleAPI.entries.map(\.name).filter { $0.hasPrefix(library + ".") }
            .map { String($0.dropFirst(library.count + 1)) }
    }

    private mutating func checkMember(_ member: LuaFacts.Member, _ suggest: Suggest) {
        let library = Self.base(of: member.name)
        let known = members(of: library)
        let name = String(member.name.dropFirst(library.count + 1))
        guard !known.isEmpty else { return }
        if library == "state" {
            add(
                "TW0206", member.place,
                "methods of state are called with a colon: write state:\(name)(…)")
        } else if !known.contains(name) {
            add(
                "TW0206", member.place,
                "there is no \(member.name)"
                    + suggest(member.name, known.map { "\(library).\($0)" }))
        }
    }

    private mutating func checkMethod(_ call: LuaFacts.Call, _ suggest: Suggest) {
        guard call.name.contains(":") else { return }
        let library = Self.base(of: call.name)
        let name = String(call.name.dropFirst(library.count + 1))
        let known = members(of: library)
        if library == "state", !known.contains(name) {
            add("TW0206", call.place, "there is no state:\(name)\(suggest(name, known))")
        } else if library != "state", !known.isEmpty {
            add("TW0206", call.place, "write \(library).\(name)(…), with a dot")
        }
    }

    private mutating func checkLookup(
        _ call: LuaFacts.Call, _ surroundings: RuleSurroundings, _ suggest: Suggest
    ) {
        guard let first = call.arguments.first, let name = first.literal else { return }
        guard let columns = surroundings.lookups[name] else {
            let names = surroundings.lookups.keys.sorted()
            add(
                "TW0208", first.place,
                "there is no lookup \"\(name)\" in pipeline.yaml\(suggest(name, names))")
            return
        }
        guard let columns, call.arguments.count > 2, let field = call.arguments[2].literal,
            !columns.contains(field)
        else { return }
        add(
            "TW0209", call.arguments[2].place,
            "the lookup \"\(name)\" has no column \"\(field)\"\(suggest(field, columns))")
    }

    private mutating func checkModule(
        _ call: LuaFacts.Call, _ surroundings: RuleSurroundings, _ suggest: Suggest
    ) {
        guard let first = call.arguments.first, let name = first.literal,
            !surroundings.modules.contains(name)
        else { return }
        let isPath = name.contains("/") || name.hasSuffix(".lua")
        let missing = ": rules/lib/\(name).lua is missing" + suggest(name, surroundings.modules)
        add(
            "TW0210", first.place,
            "there is no module \"\(name)\""
                + (isPath ? "; require takes a name, never a path" : missing))
    }

    mutating func checkFields(in shape: RecordShape, suggest: Suggest) {
        // What the rule itself sets somewhere is known as well.
        var known = shape
        for use in facts.fields where use.isAssigned && use.path.count == 1 {
            known.fields[use.path[0]] = .open
        }
        if shape.isOpen || facts.makesOtherRecords { return }
        var seen: Set<[String]> = []
        for use in facts.fields where !use.isAssigned {
            guard let (index, candidates) = known.unknown(in: use.path),
                seen.insert(Array(use.path[...index])).inserted, index == use.path.count - 1
            else { continue }
            let name = use.path.joined(separator: ".")
            let hint = suggest(use.path[index], candidates)
            add(
                "TW0212", use.place, "no schema knows the field \"\(name)\"\(hint)",
                isError: !hint.isEmpty)
        }
    }
}

/// What a rule does that others have to know about.
public struct RuleEffects: Sendable {
    /// Outputs that it routes or emits to by name.
    public var outputs: Set<String> = []
    /// Whether it may name outputs that cannot be seen here.
    public var namesOtherOutputs = false
    /// Fields that it sets.
    public var fields: [String] = []
    /// Whether records of any shape may come out.
    public var makesOtherRecords = false
    /// Texts in quotes, wherever they stand.
    public var texts: Set<String> = []
    /// Whether it uses the keyed store.
    public var usesState = false
    /// Whether it is no Lua, so that nothing of this is known for sure.
    public var isBroken = false

    /// Reads a script.
    public init(of script: [UInt8]) {
        let facts = LuaParser.facts(of: script)
        texts = facts.texts
        isBroken = facts.problem != nil
        makesOtherRecords = facts.makesOtherRecords || isBroken
        usesState = facts.globals.contains { $0.name == "state" }
        fields = facts.fields.filter { $0.isAssigned && $0.path.count == 1 }.map { $0.path[0] }
        for call in facts.calls {
            let place = call.name == "route" ? 0 : call.name == "emit" ? 1 : nil
            if call.name == "emit" { makesOtherRecords = true }
            guard let place, place < call.arguments.count else { continue }
            if let literal = call.arguments[place].literal {
                outputs.insert(literal)
            } else {
                namesOtherOutputs = true
            }
        }
    }
}
