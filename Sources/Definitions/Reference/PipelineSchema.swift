public import Connecting
package import Records

/// The JSON Schema (draft 2020-12) of a configuration file, made from the specification of its top.
///
/// It accepts everything that is read without a finding. What it cannot know is whether files are
/// there, whether names are declared elsewhere, and how two amounts compare.
public struct PipelineSchema {
    private var definitions: [Field] = []
    private var known: Set<String> = []
    private let top: SectionSpecification

    /// The schema of `pipeline.yaml` with these connectors.
    public init(_ catalogue: Catalogue) { top = .pipeline(catalogue) }

    /// The schema of another file.
    package init(top: SectionSpecification) { self.top = top }

    /// The line of `pipeline.yaml` by which editors find the schema.
    public static let modeline = "# yaml-language-server: $schema=types/pipeline.schema.json"

    /// The JSON text.
    public var text: String {
        var schema = self
        return String(decoding: PrettyJSON.bytes(of: schema.value), as: UTF8.self)
    }

    /// The schema as a value.
    package var value: Value {
        mutating get {
            let name = define(top)
            let variable: Value = [
                "type": "string", "pattern": .string(Self.variable),
                "description": "a variable of the environment",
            ]
            return [
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$comment": "Written by `tidewheel types`, which writes it anew.",
                "title": .string(top.name),
                "$ref": .string("#/$defs/\(name)"),
                "$defs": .object([Field("variable", variable)] + definitions),
            ]
        }
    }

    /// Anything may hold variables, and what they stand for is not known to an editor.
    private static let variable = "\\$\\{"

    private static func orVariable(_ pattern: String) -> Value {
        .string(pattern + "|" + variable)
    }

    // MARK: Sections

    /// Adds a section to the definitions, and those that it refers to.
    private mutating func define(_ section: SectionSpecification) -> String {
        guard known.insert(section.name).inserted else { return section.name }
        let place = definitions.count
        definitions.append(Field(section.name, .null))
        var properties: [Field] = []
        for key in section.keys { properties.append(Field(key.name, schema(of: key))) }
        let required = section.keys.filter(\.isRequired).map { Value.string($0.name) }
        var fields = [
            Field("description", .string(section.summary)),
            Field("type", section.isNullAllowed ? ["object", "null"] : "object"),
            Field("properties", .object(properties)),
        ]
        if !required.isEmpty { fields.append(Field("required", .array(required))) }
        fields.append(Field("additionalProperties", false))
        if !section.rules.isEmpty {
            fields.append(Field("allOf", .array(section.rules.map(\.schema))))
        }
        definitions[place].value = .object(fields)
        return section.name
    }

    private mutating func schema(of key: KeySpecification) -> Value {
        var fields: [Field] = []
        if case .object(let form) = schema(of: key.form) { fields = form }
        fields.append(Field("description", .string(key.summary)))
        if let usual = key.usual?.value { fields.append(Field("default", usual)) }
        fields.append(Field("examples", [yaml(key.example)]))
        return .object(fields)
    }

    // MARK: Values

    private mutating func schema(of form: ValueForm) -> Value {
        switch form {
        case .text: ["type": ["string", "number", "boolean"], "minLength": 1]
        case .scalar: ["type": ["string", "number", "boolean"]]
        case .name(let form): form.schema(orVariable: Self.orVariable)
        case .character:
            [
                "type": ["string", "integer"], "minimum": 0, "maximum": 9,
                "pattern": Self.orVariable("^[\\u0000-\\u0009\\u000b-\\u0021\\u0023-\\u007f]$"),
                "patternErrorMessage": .string(form.words),
            ]
        case .flag: ["type": ["boolean", "string"], "pattern": .string(Self.variable)]
        case .onlyTrue:
            [
                "type": ["boolean", "string"], "pattern": .string(Self.variable),
                "not": ["const": false],
            ]
        case .integer, .number: bounds(of: form)
        case .percentage: matching("^0*(100(\\.0+)?|[0-9]{1,2}(\\.[0-9]+)?)%$", form)
        case .duration(let duration): matching(QuantityPattern.of(duration), form)
        case .size(let range): matching(QuantityPattern.of(range), form)
        case .pattern(let pattern, _): matching(pattern, form)
        case .choice(let words):
            ["anyOf": [["enum": .array(words.map { .string($0) })], ["$ref": "#/$defs/variable"]]]
        case .texts:
            ["anyOf": [schema(of: .text("")), list(schema(of: .text("")), false)]]
        case .list(let item, let isEmptyAllowed): list(schema(of: item), isEmptyAllowed)
        case .map(let form): schema(of: form)
        case .section(let section): ["$ref": .string("#/$defs/\(define(section()))")]
        case .oneOf: ["anyOf": .array(form.choices.map { schema(of: $0) })]
        case .anything: [:]
        }
    }

    private func matching(_ pattern: String, _ form: ValueForm) -> Value {
        [
            "type": "string", "pattern": Self.orVariable(pattern),
            "patternErrorMessage": .string("must be \(form.words)"),
        ]
    }

    private func bounds(of form: ValueForm) -> Value {
        var fields: [Field] = []
        switch form {
        case .integer(let range):
            fields.append(Field("type", ["integer", "string"]))
            fields.append(Field("minimum", .integer(Int64(range.lowerBound))))
            if range.upperBound < .max {
                fields.append(Field("maximum", .integer(Int64(range.upperBound))))
            }
        case .number(let range):
            fields.append(Field("type", ["number", "string"]))
            for (name, bound) in [("minimum", range.lowerBound), ("maximum", range.upperBound)]
            where bound.isFinite {
                fields.append(Field(name, UsualValue.number(bound).value ?? .number(bound)))
            }
        default: break
        }
        fields.append(Field("pattern", .string(Self.variable)))
        fields.append(Field("patternErrorMessage", .string("must be \(form.words)")))
        return .object(fields)
    }

    private func list(_ items: Value, _ isEmptyAllowed: Bool) -> Value {
        var fields = [Field("type", "array"), Field("items", items)]
        if !isEmptyAllowed { fields.append(Field("minItems", 1)) }
        return .object(fields)
    }

    private mutating func schema(of form: MapForm) -> Value {
        var fields = [Field("type", form.isNullAllowed ? ["object", "null"] : "object")]
        if let names = form.names {
            fields.append(Field("propertyNames", names.schema { .string($0) }))
        } else if !form.isEmptyAllowed {
            fields.append(Field("propertyNames", ["minLength": 1]))
        }
        if !form.isEmptyAllowed { fields.append(Field("minProperties", 1)) }
        fields.append(Field("additionalProperties", schema(of: form.value)))
        return .object(fields)
    }
}

extension NameForm {
    /// The schema of a text that is such a name.
    fileprivate func schema(orVariable: (String) -> Value) -> Value {
        var fields = [
            Field("type", ["string", "boolean"]),
            Field("pattern", orVariable("^[A-Za-z_][A-Za-z0-9_\(allowsDots ? "." : "")-]*$")),
        ]
        if !reserved.isEmpty {
            fields.append(Field("not", ["enum": .array(reserved.map { .string($0) })]))
        }
        return .object(fields)
    }
}

extension SectionSpecification {
    /// True when it can be there without a value.
    fileprivate var isNullAllowed: Bool {
        let demands = rules.contains { rule in
            switch rule {
            case .exactlyOne, .atLeastOne, .either: true
            case .atMostOne, .none, .needs, .needsTrue, .excludes: false
            }
        }
        return !demands && !keys.contains(where: \.isRequired)
    }
}

extension KeyRule {
    /// The rule as a schema.
    fileprivate var schema: Value {
        switch self {
        case .exactlyOne(let keys): ["oneOf": .array(keys.map(Self.has))]
        case .atLeastOne(let keys): ["anyOf": .array(keys.map(Self.has))]
        case .none(let keys): ["not": ["anyOf": .array(keys.map(Self.has))]]
        case .atMostOne(let keys, _):
            ["not": ["anyOf": .array(Self.pairs(of: keys))]]
        case .needs(let key, let other): ["if": Self.has(key), "then": Self.has(other)]
        case .needsTrue(let key, let flag, _):
            [
                "if": Self.has(key),
                "then": [
                    "required": [.string(flag)],
                    "properties": [flag: ["not": ["const": false]]],
                ],
            ]
        case .excludes(let key, let others):
            ["if": Self.has(key), "then": KeyRule.none(others).schema]
        case .either(let first, let second):
            [
                "anyOf": [
                    ["allOf": .array(first.map(\.schema))],
                    ["allOf": .array(second.map(\.schema))],
                ]
            ]
        }
    }

    /// What is no mapping has no key.
    private static func has(_ key: String) -> Value {
        ["type": "object", "required": [.string(key)]]
    }

    private static func pairs(of keys: [String]) -> [Value] {
        keys.indices.flatMap { first in
            keys[(first + 1)...].map { second in
                ["type": "object", "required": [.string(keys[first]), .string(second)]]
            }
        }
    }
}
