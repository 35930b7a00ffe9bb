import Foundation
import Records
import TestKit
import Testing

/// `tidewheel lint`: the catalogue of mistakes; `RECORD=1` writes the golden texts anew.
@Suite struct LintTests {
    static let pipeline = """
        source: {file: {path: "in/*.jsonl"}}
        key: user_id
        lookups: {users: {file: lookups/users.csv, key: user_id}}
        stages:
          - {name: check, validate: {schema: schemas/order.json}}
          - {name: shape, transform: rules/shape.lua}
        sinks:
          - {from: shape, null: {}}
          - {from: shape.large, name: large, null: {}}

        """

    static let rule = """
        local geo = require "geo"
        function process(r, meta)
          r.region = lookup("users", r.user_id, "region") or geo.none
          if r.price > 10 then return route("large") end
        end

        """

    /// A clean folder in which one thing is replaced.
    private func folder(
        _ file: String = "", _ old: String = "", _ new: String = ""
    ) -> TemporaryFolder {
        let folder = TemporaryFolder()
        let files = [
            "pipeline.yaml": Self.pipeline, "rules/shape.lua": Self.rule,
            "rules/lib/geo.lua": "local geo = {}\ngeo.none = null\nreturn geo\n",
            "rules/shape.test.yaml":
                "rule: shape.lua\ntests:\n  - {name: a, in: {price: 11}, routed: large}\n",
            "lookups/users.csv": "user_id,region\nu1,eu\n",
            "schemas/order.json": """
            {"properties": {"user_id": {"type": "string"}, "price": {"type": "number"},
             "meta": {"properties": {"source": {}}}}}

            """,
        ]
        for (name, text) in files {
            let changed = name == file ? text.replacing(old, with: new) : text
            #expect(name != file || changed != text)
            folder.write(changed, to: name)
        }
        return folder
    }

    static let mistakes: [(file: String, old: String, new: String)] = [
        ("pipeline.yaml", "transform", "tranform"),
        ("pipeline.yaml", "rules/shape.lua", "rules/shap.lua"),
        ("pipeline.yaml", "shape.large", "shape.larg"),
        ("pipeline.yaml", "key: user_id}}", "key: usr_id}}"),
        ("schemas/order.json", "\"number\"", "\"numbr\""),
        ("rules/shape.lua", "r.price > 10", "r.price >> > 10"),
        ("rules/shape.lua", "\nend", "\n"),
        ("rules/shape.lua", "process", "proces"),
        ("rules/shape.lua", "lookup(\"users\"", "lokup(\"users\""),
        ("rules/shape.lua", "  r.region", "  print(r) r.region"),
        ("rules/shape.lua", "  r.region", "  total = 1 r.region"),
        ("rules/shape.lua", "  r.region", "  drop = 1 r.region"),
        ("rules/shape.lua", "  r.region", "  r.x = json.encod(r) r.region"),
        ("rules/shape.lua", "  r.region", "  state.incr(\"a\") r.region"),
        ("rules/shape.lua", "r.user_id, \"region\"", ""),
        ("rules/shape.lua", "return route", "return route(\"large\", 1) or route"),
        ("rules/shape.lua", "\"users\"", "\"usrs\""),
        ("rules/shape.lua", "\"region\"", "\"regon\""),
        ("rules/shape.lua", "require \"geo\"", "require \"gео\""),
        ("rules/shape.lua", "require \"geo\"", "require \"lib/geo.lua\""),
        ("rules/shape.lua", "return route", "route"),
        ("rules/shape.lua", "r.price", "r.prize"),
        ("rules/shape.lua", "r.price", "r.meta.sorce"),
        ("rules/shape.lua", "r.price", "r.weight"),
        ("rules/shape.lua", "  r.region", "  local old = r.price r.region"),
        ("rules/shape.lua", "  r.region", "  if meta then return false end r.region"),
        ("rules/shape.test.yaml", "routed", "ruoted"),
        ("rules/shape.test.yaml", "shape.lua", "shap.lua"),
    ]

    @Test func `the catalogue of mistakes looks as recorded, one finding for each`() throws {
        var catalogue = ""
        for mistake in Self.mistakes {
            let folder = folder(mistake.file, mistake.old, mistake.new)
            let run = try Tool.run("lint", folder.path)
            let json = try Tool.run("lint", folder.path, "--format", "json")
            #expect(run.output == "")
            let findings = try json.output.split(separator: "\n").map {
                try Record(json: String($0))
            }
            #expect(findings.count == 1, "\(mistake): \(json.output)")
            let isError = findings.contains { $0["severity"] == "error" }
            #expect(run.status == (isError ? 1 : 0) && json.status == run.status)
            catalogue += run.errors + "\n"
        }
        try check(catalogue, "lint-catalogue.txt")
    }

    private func check(_ text: String, _ name: String) throws {
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(text == recorded, "RECORD=1 accepts the new text of \(name)")
    }

    @Test(arguments: ["text", "json", "github"])
    func `a clean folder gives nothing`(format: String) throws {
        let folder = folder()
        let run = try Tool.run("lint", folder.path, "--format", format)
        #expect((run.status, run.output, run.errors) == (0, "", ""))
    }

    @Test func `a rule without tests and state without a key are warnings`() throws {
        let folder = folder("pipeline.yaml", "key: user_id\n", "")
        folder.write(
            "rule: other.lua\ntests: [{name: a, in: {}, out: {}}]\n", to: "rules/shape.test.yaml")
        folder.write("function process(r) end\n", to: "rules/other.lua")
        folder.write(
            Self.rule.replacing("  r.region", with: "  state:incr(\"a\") r.region"),
            to: "rules/shape.lua")
        let run = try Tool.run("lint", folder.path, "--format", "json")
        #expect(run.status == 0)
        #expect(run.output.matches(of: /TW0105|TW0302/).count == 2, "\(run.output)")
    }

    @Test func `annotations name the file from where the command runs`() throws {
        let folder = folder("rules/shape.lua", "r.price", "r.prize")
        let run = try Tool.run("lint", folder.path, "--format", "github")
        #expect(
            run.output
                == "::error file=\(folder.path)/rules/shape.lua,line=4,col=8,title=TW0212::"
                + "no schema knows the field \"prize\"; did you mean \"price\"?\n")
    }

    @Test(arguments: [
        "video-pipeline", "web-sessions", "embedded/transform/pipeline", "embedded/queue/pipeline",
        "embedded/operating/pipeline", "benchmarks/copy", "benchmarks/transform",
        "benchmarks/window", "benchmarks/validate",
    ])
    func `every example is clean`(name: String) throws {
        let run = try Tool.run(
            "lint", "\(Tool.root)/examples/\(name)", "--format", "json",
            environment: ["INPUT": "in", "OUTPUT": "out", "INVALID": "invalid"])
        #expect((run.status, run.output, run.errors) == (0, "", ""))
    }

    @Test func `what new makes is clean, and its tests pass`() throws {
        let folder = TemporaryFolder()
        #expect(try Tool.run("new", folder("p")).status == 0)
        let lint = try Tool.run("lint", folder("p"), "--format", "json")
        #expect((lint.status, lint.output, lint.errors) == (0, "", ""))
        let test = try Tool.run("test", folder("p"))
        #expect((test.status, test.output) == (0, "2 passed\n"))
    }
}
