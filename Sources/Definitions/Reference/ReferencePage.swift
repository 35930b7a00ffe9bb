public import Connecting
internal import Scripting

/// A page of `tidewheel docs`, made from specifications.
public struct ReferencePage: Sendable {
    /// What is typed to see it.
    public var name: String
    /// What it is about, in a few words.
    public var summary: String
    private var body: Body

    private enum Body: Sendable {
        case sections([SectionSpecification], after: String)
        case text(@Sendable () -> String)
    }

    /// Every page, for a program with these connectors.
    public static func all(_ catalogue: Catalogue) -> [ReferencePage] {
        [
            page("lua", "everything a rule may call") { RuleAPI.markdown() },
            page(
                "pipeline", "the top of pipeline.yaml, lookups, limits, commits and reloads",
                [
                    .pipeline(catalogue), .lookup, .limits, .commit, .checkpoint, .durability,
                    .reload, .probation,
                ]),
            page(
                "sources", "where records come from",
                [.source(catalogue)] + catalogue.sources.map(\.section)),
            page("stages", "what is done with records", [.stage, .validate]),
            page(
                "windows", "time, windows and aggregates",
                [
                    .time, .aggregate, .window, .hopping, .session, .count, .rolling, .global,
                    .emit, .compute,
                ], after: AggregateReference.text),
            page(
                "sinks", "where rows go",
                [.sink(catalogue)] + catalogue.sinks.flatMap(\.section.withNested)),
            page(
                "queues", "queues, handlers, exchanges and schedules",
                [.queue, .retry, .handler, .exchange, .route, .headerRule, .schedule]),
            page("store", "where queues, state and positions are kept", [.store]),
            page(
                "tests", "tests of rules and of whole pipelines",
                [
                    .ruleTestFile, .ruleTest, .ruleTestState, .pipelineTestFile, .pipelineTest,
                ]),
            page("running", "log lines, signals, reloads and the control socket") {
                RunningReference.markdown
            },
            page("errors", "the codes of findings") { FindingCode.markdown },
        ]
    }

    private static func page(
        _ name: String, _ summary: String, _ sections: [SectionSpecification], after: String = ""
    ) -> ReferencePage {
        ReferencePage(name: name, summary: summary, body: .sections(sections, after: after))
    }

    private static func page(
        _ name: String, _ summary: String, _ text: @escaping @Sendable () -> String
    ) -> ReferencePage {
        ReferencePage(name: name, summary: summary, body: .text(text))
    }

    /// The sections that it shows.
    package var sections: [SectionSpecification] {
        if case .sections(let sections, _) = body { return sections }
        return []
    }

    /// The page as Markdown.
    public var markdown: String {
        switch body {
        case .text(let text): return text()
        case .sections(let sections, let after):
            let title = name.prefix(1).uppercased() + name.dropFirst()
            return "# \(title): \(summary)\n" + sections.map(\.markdown).joined() + after
        }
    }
}

extension SectionSpecification {
    /// A heading, what the section is for, and each key under a heading of its own.
    fileprivate var markdown: String {
        var text = "\n## \(name)\n\n\(summary)\n"
        let notes = rules.map(\.sentence)
        if !notes.isEmpty { text += "\n" + notes.joined(separator: " ") + "\n" }
        return text + keys.map { "\n### \($0.name)\n\n\($0.markdown)" }.joined()
    }
}

extension SectionSpecification {
    /// How a key is found from the top of its file, such as `commit.every`.
    func path(of key: KeySpecification) -> String {
        name == "pipeline.yaml" ? key.name : "\(name).\(key.name)"
    }
}

extension KeySpecification {
    /// How it is written, what it is for, and which values it takes.
    var markdown: String {
        var values = "Takes \(form.words)"
        if isRequired { values += "; required" }
        if let text = usual?.text { values += "; default `\(text)`" }
        if case .described(let words)? = usual { values += "; without it: \(words)" }
        return "    \(name): \(example)\n\n\(summary) \(values).\n"
    }
}

extension KeyRule {
    /// The rule as a sentence.
    fileprivate var sentence: String {
        switch self {
        case .needs(let key, let other): "\(key) goes with \(other)."
        case .needsTrue(let key, let flag, let why): "\(key) needs \(flag): true, since \(why)."
        case .excludes(let key, let others): "\(key) does not go with \(Self.list(others))."
        case .exactlyOne, .atMostOne, .atLeastOne, .none, .either: "It has \(demand)."
        }
    }

    /// What a section has by this rule.
    private var demand: String {
        switch self {
        case .exactlyOne(let keys): "exactly one of \(Self.list(keys))"
        case .atMostOne(let keys, _): "at most one of \(Self.list(keys))"
        case .atLeastOne(let keys):
            keys.count == 1 ? keys[0] : "at least one of \(Self.list(keys))"
        case .none(let keys): "none of \(Self.list(keys))"
        case .either(let first, let second):
            [first, second].map { $0.map(\.demand).joined(separator: ", and ") }
                .joined(separator: "; or ")
        case .needs, .needsTrue, .excludes: sentence
        }
    }

    private static func list(_ keys: [String]) -> String { keys.joined(separator: ", ") }
}

extension SectionSpecification {
    /// The section, and those that its keys hold.
    fileprivate var withNested: [SectionSpecification] {
        var all = [self]
        for case .section(let section) in keys.flatMap(\.form.choices) {
            all += section().withNested
        }
        return all
    }
}
