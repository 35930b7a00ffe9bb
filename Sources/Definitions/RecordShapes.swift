internal import Records
package import Scripting
internal import Windowing

/// Which fields records are known to have where they come into a rule.
package struct RecordShapes {
    /// What the rule of each stage gets, after the stage's own schema.
    package private(set) var ruleInputs: [RecordShape] = []
    private var outputs: [RecordShape] = []
    private let plan: Plan

    /// Derives them stage by stage.
    package init(_ plan: Plan) {
        self.plan = plan
        for stage in plan.definition.stages { add(stage) }
    }

    private mutating func add(_ stage: StageDefinition) {
        var shape = RecordShape.open
        // Rows of windows that came too late are records as they were before the window.
        if case .stage(let index, let output) = stage.from, output != "late" {
            shape = outputs[index]
        }
        var result = shape
        switch stage.work {
        case .native: result = .open
        case .aggregate(let aggregate): result = Self.rows(of: aggregate)
        case .files(let schema, let rule):
            if let schema { shape = shape.union(self.shape(ofSchema: schema.path)) }
            result = shape
            if let rule, let text = plan.ruleSet.bytes(of: rule.path) {
                let effects = RuleEffects(of: text)
                for field in effects.fields { result.fields[field] = .open }
                if effects.makesOtherRecords { result = .open }
            }
        }
        ruleInputs.append(shape)
        outputs.append(result)
    }

    /// The fields of a window's rows.
    private static func rows(of aggregate: AggregateStage) -> RecordShape {
        let names =
            aggregate.definition.keys.map { String($0.split(separator: ".").first ?? "") }
            + aggregate.definition.computes.map(\.name) + AggregateStage.reservedNames
            + ["retracted"]
        return RecordShape(fields: Dictionary(names.map { ($0, .open) }) { first, _ in first })
    }

    private func shape(ofSchema path: String) -> RecordShape {
        var reader = JSONReader(plan.ruleSet.bytes(of: path) ?? [])
        guard let schema = try? reader.readDocument() else { return .open }
        return RecordShape(schema: schema)
    }
}

extension RecordShape {
    /// The fields under `properties`; without them nothing is known.
    init(schema: Value) {
        self = .open
        guard case .object(let keywords) = schema,
            case .object(let properties)? = Record(keywords)["properties"]
        else { return }
        fields = Dictionary(properties.map { ($0.name, RecordShape(schema: $0.value)) }) { $1 }
        isOpen = false
    }
}
