/// Which fields of its records a rule reads and writes, and which tables it looks into, from its
/// text alone.
public struct RuleReading: Sendable {
    /// One use of a field.
    public struct Use: Sendable, Hashable {
        /// `meta.source` for `r.meta.source`.
        public var field: String
        /// The line, counted from 1.
        public var line: Int
        /// Whether it is set there.
        public var isWritten: Bool
    }

    /// Fields in the order of the text; of `r.meta.source` only the whole.
    public var fields: [Use] = []
    /// Lookup tables that are named, with the line.
    public var lookups: [(name: String, line: Int)] = []
    /// Modules that are required by name.
    public var modules: [String] = []
    /// Whether fields are used whose names are only known at run time.
    public var isIncomplete = false

    /// Reads a script.
    public init(of script: [UInt8]) {
        let facts = LuaParser.facts(of: script)
        isIncomplete = facts.makesOtherRecords || facts.problem != nil
        for (index, use) in facts.fields.enumerated() {
            let next = index + 1 < facts.fields.count ? facts.fields[index + 1] : nil
            let isStep =
                next.map {
                    $0.path.count == use.path.count + 1 && $0.path.starts(with: use.path)
                        && $0.place.line == use.place.line && !use.isAssigned
                } ?? false
            guard !isStep else { continue }
            fields.append(
                Use(
                    field: use.path.joined(separator: "."), line: use.place.line,
                    isWritten: use.isAssigned))
        }
        for call in facts.calls {
            guard let name = call.arguments.first?.literal else { continue }
            if call.name == "lookup" { lookups.append((name, call.place.line)) }
            if call.name == "require" { modules.append(name) }
        }
    }
}
