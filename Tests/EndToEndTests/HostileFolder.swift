import Foundation
import TestKit

/// A pipeline folder that is made to crash or hang whoever reads it.
struct HostileFolder: Sendable {
    var name: String
    var files: [String: String]
    /// Pipes that nobody writes into.
    var pipes: [String] = []

    private static let rule = "function process(r) end\n"
    private static let record = "{\"a\":1,\"t\":\"2026-01-01T00:00:00Z\"}\n"

    private static func yaml(_ stage: String, _ rest: String = "") -> String {
        """
        name: hostile
        source: {file: {path: in.jsonl}}
        time: {field: t}
        stages:
          - \(stage)
        sinks:
          - {from: s, file: {path: out.jsonl}}
        \(rest)

        """
    }

    private static func transform(
        _ name: String, rule: String = rule, yaml rest: String = "", test: String? = nil,
        record: String = record
    ) -> HostileFolder {
        var files = [
            "pipeline.yaml": yaml("{name: s, transform: rules/s.lua}", rest), "rules/s.lua": rule,
            "in.jsonl": record,
        ]
        files["rules/s.test.yaml"] = test
        return HostileFolder(name: name, files: files)
    }

    private static func schema(
        _ name: String, _ schema: String, record: String = record
    ) -> HostileFolder {
        HostileFolder(
            name: name,
            files: [
                "pipeline.yaml": yaml("{name: s, validate: {schema: schemas/s.json}}"),
                "schemas/s.json": schema, "in.jsonl": record,
            ])
    }

    private static func times(_ text: String, _ count: Int) -> String {
        String(repeating: text, count: count)
    }

    private static func list(_ count: Int, _ item: (Int) -> String) -> String {
        (0..<count).map(item).joined(separator: ",")
    }

    private static func test(_ value: String) -> String {
        "rule: s.lua\ntests:\n  - {name: deep, in: {a: \(value)}, out: {a: \(value)}}\n"
    }

    static let settings = [
        transform("lists in lists", yaml: "x: " + times("[", 50_000) + times("]", 50_000)),
        transform("lists that never end", yaml: "x: " + times("[", 200_000)),
        transform("mappings in mappings", yaml: "x: " + times("{a: ", 20_000) + times("}", 20_000)),
        transform(
            "blocks in blocks",
            yaml: "x:\n" + (1..<1500).map { times(" ", $0) + "a:\n" }.joined()),
        transform("the same key again and again", yaml: "x:\n" + times("  k: 1\n", 20_000)),
        transform("a very long text", yaml: "x: \"" + times("a", 8_000_000) + "\""),
        transform("variables in variables", yaml: "x: \"" + times("${A:-", 20_000) + "\""),
        transform("a test of lists in lists", test: test(times("[", 50_000))),
        transform("a test that is deep", test: test(times("[", 900) + times("]", 900))),
        transform("a test that is deep in names", test: test(times("{a: ", 900) + times("}", 900))),
        transform(
            "the same test again and again",
            test: "rule: s.lua\ntests:\n" + times("  - a\n", 30_000)),
    ]

    static let scripts = [
        transform("parentheses", rule: "x=" + times("(", 100_000) + "1" + times(")", 100_000)),
        transform("tables", rule: "x=" + times("{", 100_000) + times("}", 100_000)),
        transform("blocks", rule: times("do ", 100_000) + times("end ", 100_000)),
        transform(
            "functions", rule: "x=" + times("function() return ", 50_000) + times(" end", 50_000)),
        transform("negations", rule: "x=" + times("not ", 200_000) + "1"),
        transform("powers", rule: "x=" + times("2^", 200_000) + "1"),
        transform("texts in a row", rule: "x=" + times("'a'..", 200_000) + "'a'"),
        transform("calls in a row", rule: "x=f" + times("()", 200_000)),
        transform("members in a row", rule: "function process(r) local x=r" + times(".a", 200_000)),
        transform(
            "conditions in a row",
            rule: "function process(r) if r.a then " + times("elseif r.b then ", 50_000) + "end end"
        ),
        transform("an endless text", rule: rule + "--[[" + times("x", 10_000_000)),
        transform("an endless load", rule: "while true do end"),
        transform("a load without end of memory", rule: "local t = {} while true do t = {t} end"),
        transform(
            "a record that is as deep as may be",
            rule: "function process(r) local x = r while x.a do x = x.a end x.b = 1 end",
            record: times("{\"a\":", 998) + "{}" + times("}", 998) + "\n"),
        transform(
            "a record of many fields", record: "{" + list(500_000) { "\"f\($0)\":1" } + "}\n"),
    ]

    static let schemas = [
        schema("schemas in schemas", times("{\"items\":", 100_000) + "{}" + times("}", 100_000)),
        schema(
            "many properties", "{\"properties\":{" + list(200_000) { "\"p\($0)\":{}" } + "}}"),
        schema(
            "many names that are required",
            "{\"required\":[" + list(400_000) { "\"p\($0)\"" } + "]}"),
        schema(
            "many properties for many fields",
            "{\"properties\":{" + list(20_000) { "\"p\($0)\":{}" } + "},"
                + "\"additionalProperties\":false}",
            record: "{" + list(100_000) { "\"q\($0)\":1" } + "}\n"),
        schema(
            "an enum of a large object",
            "{\"properties\":{\"a\":{\"enum\":[{" + list(100_000) { "\"p\($0)\":1" } + "}]}}}",
            record: "{\"a\":{" + list(100_000) { "\"p\(99_999 - $0)\":1" } + "}}\n"),
        schema("a pattern that multiplies", #"{"properties":{"a":{"pattern":"(a{1000}){1000}"}}}"#),
        schema(
            "a pattern in a pattern",
            "{\"properties\":{\"a\":{\"pattern\":\"" + times("(", 50_000) + times(")", 50_000)
                + "\"}}}"),
        schema(
            "a pattern that other engines hang on",
            #"{"properties":{"a":{"pattern":"(x+x+)+y|(a?){300}a{300}b$"}}}"#,
            record: "{\"a\":\"" + times("a", 2_000_000) + "\"}\n"),
        schema("a keyword without end", "{\"" + times("q", 8_000_000) + "\":1}"),
        schema("a bound without end", "{\"minimum\":" + times("9", 8_000_000) + "}"),
    ]

    private static func aggregate(_ name: String, _ part: String, _ body: String) -> HostileFolder {
        func text(of function: String) -> String { function == part ? body : "" }
        return HostileFolder(
            name: name,
            files: [
                "pipeline.yaml": yaml(
                    "{name: s, aggregate: {key: [a], window: {tumbling: 60s}, "
                        + "compute: {x: rules/x.lua}}}"),
                "rules/x.lua": """
                return {
                  init = function() \(text(of: "init")) return {n = 0} end,
                  add = function(a, r) \(text(of: "add")) a.n = a.n + 1 return a end,
                  result = function(a) \(text(of: "result")) return a.n end,
                  merge = function(a, b) \(text(of: "merge")) return {n = a.n + b.n} end,
                }
                """, "in.jsonl": record,
            ])
    }

    static let aggregates = ["init", "add", "result", "merge"].flatMap { part in
        [
            aggregate("an endless \(part)", part, "while true do end"),
            aggregate(
                "\(part) without end of memory", part, "local t = {} while true do t = {t} end"),
        ]
    }

    static let pipes: [HostileFolder] = {
        let sound = transform("sound").files
        func without(_ path: String, _ files: [String: String] = sound) -> HostileFolder {
            var rest = files
            rest[path] = nil
            return HostileFolder(name: "a pipe as \(path)", files: rest, pipes: [path])
        }
        var looking = sound
        looking["pipeline.yaml"]? += "lookups: {u: {file: lookups/u.csv, key: a}}\n"
        return [
            without("pipeline.yaml"), without("rules/s.lua"), without("rules/lib/m.lua"),
            without("rules/s.test.yaml"), without("lookups/u.csv", looking),
            without("schemas/s.json", schema("sound", "{}").files),
            without("rules/x.lua", aggregate("sound", "", "").files),
        ]
    }()

    /// Writes it all.
    func make() -> TemporaryFolder {
        let folder = TemporaryFolder()
        for (path, text) in files { folder.write(text, to: path) }
        for path in pipes {
            folder.write("", to: path)
            unlink(folder(path))
            mkfifo(folder(path), 0o600)
        }
        return folder
    }
}
