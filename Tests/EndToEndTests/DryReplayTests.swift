import Foundation
import Records
import TestKit
import Testing

/// `dlq replay --dry-run`: what the rules of today would make of the letters, and nothing changes.
@Suite(.timeLimit(.minutes(30))) struct DryReplayTests {
    private static let mended = """
        function process(r)
          if r.v == null then return drop("nothing") end
          if type(r.v) == "boolean" then return reject("not for us", "v") end
          r.v = tonumber(r.v) or 2
          r.total = state:incr("total", r.v)
        end
        """

    private func folder() throws -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages:
              - {name: check, validate: {schema: schema.json}}
              - {name: shape, transform: rules/shape.lua}
            sinks: [{from: shape, file: {path: out.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write("{\"properties\": {\"w\": {\"type\": \"number\"}}}", to: "schema.json")
        folder.write(
            "function process(r)\n  assert(math.type(r.v), \"no number\")\n"
                + "  r.total = state:incr(\"total\", r.v)\nend\n",
            to: "rules/shape.lua")
        let lines = [
            "{\"v\":1}", "{\"v\":\"2\"}", "{\"v\":\"two\",\"a\":[1,{\"b\":2.50}]}", "{\"v\":\"7\"}",
            "{\"v\":null}", "{\"v\":false}", "{\"v\":4,\"w\":\"x\"}", "{bad", "{\"v\":\"8\"}",
        ]
        folder.write(lines.map { $0 + "\n" }.joined(), to: "in.jsonl")
        #expect(try tool(folder, "run", ".", "--once").status == 0)
        return folder
    }

    private func tool(_ folder: TemporaryFolder, _ arguments: String...) throws -> Tool.Outcome {
        let run = try RunProcess.run(Tool.binary, arguments, folder: folder.path, input: [])
        return Tool.Outcome(status: run.status ?? -1, output: run.outputText, errors: run.errorText)
    }

    /// Every file below the folder with its bytes.
    private func contents(_ folder: TemporaryFolder) -> [String: Data] {
        var found: [String: Data] = [:]
        let files = FileManager.default.enumerator(atPath: folder.path)
        while let name = files?.nextObject() as? String {
            if let bytes = FileManager.default.contents(atPath: folder(name)) {
                found[name] = bytes
            }
        }
        return found
    }

    private func check(_ text: String, _ name: String) throws {
        let shown = text.replacing(/rule set [0-9a-f]{12}/, with: "rule set …")
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(shown.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(shown == recorded, "RECORD=1 accepts the new text of \(name)")
    }

    @Test func `it says what the rules fix, with samples, and changes nothing`() throws {
        let folder = try folder()
        folder.write(Self.mended, to: "rules/shape.lua")
        let before = contents(folder)
        let text = try tool(folder, "dlq", "replay", "--dry-run", "--format", "text")
        #expect(text.status == 0 && text.errors == "")
        try check(text.output, "replay-dry-run.txt")
        let dry = try tool(folder, "dlq", "replay", "--dry-run")
        #expect(dry.status == 0)
        try check(dry.errors, "replay-dry-run.txt")
        let answer = try Record(json: dry.output.trimmingCharacters(in: .newlines))
        #expect(
            answer.fields.prefix(5).map { "\($0.name) \($0.value.text)" } == [
                "total 8", "delivered 4", "dropped 1", "dead 3", "dry_run true",
            ])
        guard case .array(let groups)? = answer["samples"], case .object(let first)? = groups.first,
            case .array(let records)? = Record(first)["records"],
            case .object(let sample)? = records.first
        else { return #expect(Bool(false), "\(dry.output)") }
        #expect(records.count == 3 && Record(first)["count"] == 4)
        #expect(Record(sample)["before"] == ["v": "2"])
        #expect(Record(sample)["after"] == ["v": 2, "total": 3])
        #expect(contents(folder) == before, "a dry run has changed a file")
        let one = try tool(folder, "dlq", "replay", "in.jsonl:8", "--dry-run")
        #expect(one.errors.hasPrefix("the current rules fix 1 of 1: 1 delivered, 0 dropped ("))
    }

    @Test func `without letters, and with wrong ids`() throws {
        let folder = try folder()
        #expect(try tool(folder, "dlq", "purge").status == 0)
        let none = try tool(folder, "dlq", "replay", "--dry-run")
        #expect(none.errors == "there are no dead letters\n" && none.output.contains("\"total\":0"))
        let wrong = try tool(folder, "dlq", "replay", "x", "--dry-run")
        #expect(wrong.status == 1 && wrong.output == "" && wrong.errors.contains("dlq ls"))
    }

    @Test func `a running pipeline answers for the rules that run`() throws {
        let running = try RunningPipeline()
        running.folder.write(
            "function process(r) if r.i % 2 == 1 then error(\"odd\") end r.version = 1 end",
            to: "rules/shape.lua")
        #expect(try running.tool("reload").status == 0)
        try running.add(20, from: 0)
        // Rows can be seen before the commit that holds the letters.
        #expect(running.wait { (try? running.letters().count) == 10 })
        #expect(running.rows.count == 10)
        let same = try running.tool("dlq", "replay", "--dry-run")
        #expect(same.errors.hasPrefix("the current rules fix 0 of 10: 0 delivered, 0 dropped, 10 "))
        running.folder.write(ReloadTests.good, to: "rules/shape.lua")
        #expect(try running.tool("reload").status == 0)
        let better = try running.tool("dlq", "replay", "--dry-run", "--format", "text")
        #expect(better.output.hasPrefix("the current rules fix 10 of 10: 10 delivered"))
        #expect(better.output.contains("    version: nothing -> 1\n"))
        #expect(running.rows.count == 10)
        #expect(try running.tool("dlq", "ls").output.split(separator: "\n").count == 10)
        _ = try running.stop()
    }
}
