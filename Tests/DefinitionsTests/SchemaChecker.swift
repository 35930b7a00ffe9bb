import Records

/// Checks values by a JSON Schema, as far as the schema of `pipeline.yaml` goes.
final class SchemaChecker {
    private let root: Record
    private var patterns: [String: Regex<AnyRegexOutput>] = [:]
    /// Keywords that were met and that nothing is known about.
    private(set) var unknown: Set<String> = []

    init(_ schema: Value) {
        guard case .object(let fields) = schema else { fatalError("a schema is an object") }
        root = Record(fields)
    }

    /// True when the whole schema accepts a value.
    func accepts(_ value: Value) -> Bool { accepts(value, .object(root.fields)) }

    /// The schema under `$defs`.
    func definition(_ name: String) -> Value? {
        guard case .object(let definitions)? = root["$defs"] else { return nil }
        return Record(definitions)[name]
    }

    /// True when a part of the schema accepts a value.
    func accepts(_ value: Value, _ schema: Value) -> Bool {
        if case .boolean(let verdict) = schema { return verdict }
        guard case .object(let fields) = schema else { return false }
        let whole = Record(fields)
        return fields.allSatisfy { accepts(value, $0.name, $0.value, whole) }
    }

    private func accepts(
        _ value: Value, _ keyword: String, _ argument: Value, _ schema: Record
    ) -> Bool {
        switch keyword {
        case "$ref":
            return definition(String(argument.text.dropFirst("#/$defs/".count)))
                .map { accepts(value, $0) } ?? false
        case "allOf": return list(argument).allSatisfy { accepts(value, $0) }
        case "anyOf": return list(argument).contains { accepts(value, $0) }
        case "oneOf": return list(argument).count { accepts(value, $0) } == 1
        case "not": return !accepts(value, argument)
        case "if": return !accepts(value, argument) || accepts(value, schema["then"] ?? true)
        case "type":
            let names = list(argument).isEmpty ? [argument] : list(argument)
            return names.contains { Self.types(of: value).contains($0.text) }
        case "enum": return list(argument).contains(value)
        case "const": return argument == value
        case "then", "$schema", "$comment", "title", "$defs", "description", "default", "examples",
            "patternErrorMessage":
            return true
        default: break
        }
        switch value {
        case .string(let text): return accepts(text, keyword, argument)
        case .integer, .number, .decimal: return accepts(value.double ?? 0, keyword, argument)
        case .array(let items): return accepts(items, keyword, argument)
        case .object(let fields): return accepts(Record(fields), keyword, argument, schema)
        case .null, .boolean: return true
        }
    }

    private func accepts(_ text: String, _ keyword: String, _ argument: Value) -> Bool {
        switch keyword {
        case "minLength": return Double(text.unicodeScalars.count) >= argument.double ?? 0
        case "pattern": return matches(text, argument.text)
        default: return others(keyword)
        }
    }

    private func matches(_ text: String, _ pattern: String) -> Bool {
        if patterns[pattern] == nil { patterns[pattern] = try? Regex(pattern) }
        guard let regex = patterns[pattern] else { fatalError("no regular expression: \(pattern)") }
        return text.contains(regex)
    }

    private func accepts(_ number: Double, _ keyword: String, _ argument: Value) -> Bool {
        switch keyword {
        case "minimum": return number >= argument.double ?? 0
        case "maximum": return number <= argument.double ?? 0
        default: return others(keyword)
        }
    }

    private func accepts(_ items: [Value], _ keyword: String, _ argument: Value) -> Bool {
        switch keyword {
        case "items": return items.allSatisfy { accepts($0, argument) }
        case "minItems": return Double(items.count) >= argument.double ?? 0
        default: return others(keyword)
        }
    }

    private func accepts(
        _ record: Record, _ keyword: String, _ argument: Value, _ schema: Record
    ) -> Bool {
        switch keyword {
        case "required": return list(argument).allSatisfy { record[$0.text] != nil }
        case "minProperties": return Double(record.fields.count) >= argument.double ?? 0
        case "propertyNames":
            return record.fields.allSatisfy { accepts(.string($0.name), argument) }
        case "properties":
            guard case .object(let properties) = argument else { return false }
            return properties.allSatisfy { property in
                record[property.name].map { accepts($0, property.value) } ?? true
            }
        case "additionalProperties":
            var known: [String] = []
            if case .object(let properties)? = schema["properties"] {
                known = properties.map(\.name)
            }
            return record.fields.allSatisfy {
                known.contains($0.name) || accepts($0.value, argument)
            }
        default: return others(keyword)
        }
    }

    /// Keywords of other types say nothing about a value; those that nobody knows are kept.
    private func others(_ keyword: String) -> Bool {
        let known = [
            "minLength", "pattern", "minimum", "maximum", "items", "minItems", "required",
            "minProperties", "propertyNames", "properties", "additionalProperties",
        ]
        if !known.contains(keyword) { unknown.insert(keyword) }
        return true
    }

    private func list(_ value: Value) -> [Value] {
        if case .array(let items) = value { return items }
        return []
    }

    private static func types(of value: Value) -> [String] {
        switch value {
        case .null: ["null"]
        case .boolean: ["boolean"]
        case .integer: ["integer", "number"]
        case .number(let number): number == number.rounded() ? ["integer", "number"] : ["number"]
        case .decimal: ["number"]
        case .string: ["string"]
        case .array: ["array"]
        case .object: ["object"]
        }
    }
}
