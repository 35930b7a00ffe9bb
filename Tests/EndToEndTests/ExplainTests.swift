import Foundation
import Records
import TestKit
import Testing

/// `tidewheel explain` and `lineage`, on a pipeline that runs and on one that does not.
@Suite(.timeLimit(.minutes(30))) struct ExplainTests {
    private static let input = [
        #"{"i":0,"user":"u1","kind":"plain"}"#, #"{"i":1,"user":"u1","kind":"drop"}"#,
        #"{"i":2,"user":"u2","kind":"side"}"#, #"{"i":3,"user":"u2","kind":"fail"}"#,
        #"{"i":"x","user":"u2"}"#, #"{"i":5,"#, #"{"i":6,"user":"u1","kind":"two","meta":{"a":1}}"#,
        #"{"i":7,"user":"u1","kind":"late fail"}"#,
    ]

    /// Where each record begins.
    private static func position(_ index: Int) -> Int {
        input[..<index].reduce(0) { $0 + $1.utf8.count + 1 }
    }

    private func id(_ index: Int) -> String { "in.jsonl:\(Self.position(index))" }

    private func folder(follow: Bool) -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            name: explained
            source: {file: {path: in.jsonl, follow: \(follow)}}
            key: user
            lookups: {regions: {file: regions.csv, key: user}}
            stages:
              - {name: check, validate: {schema: schemas/s.json}}
              - {name: shape, transform: rules/shape.lua}
              - {name: last, enrich: rules/last.lua, lookups: [regions]}
            sinks:
              - {from: last, file: {path: out.jsonl}}
              - {from: shape.side, file: {path: side.jsonl}}
              - {from: dead_letters, file: {path: dead.jsonl}}

            """, to: "pipeline.yaml")
        folder.write(
            "{\"properties\": {\n  \"i\": {\"type\": \"integer\"},\n  \"user\": {}}}",
            to: "schemas/s.json")
        folder.write("user,region\nu1,eu\nu2,us\n", to: "regions.csv")
        folder.write(
            """
            function process(r, meta)
              if r.kind == "drop" then return drop("unwanted") end
              r.n = state:incr("n")
              if r.kind == "side" then return route("side") end
              if r.kind == "fail" then error("no good") end
              if r.kind == "two" then
                r.meta.a = r.meta.a + 1
                emit({i = 60, user = r.user})
              end
            end

            """, to: "rules/shape.lua")
        folder.write(
            """
            function process(r)
              r.region = lookup("regions", r.user, "region")
              if r.kind == "late fail" then return reject("late", "kind") end
              r.kind = nil
            end

            """, to: "rules/last.lua")
        folder.write(Self.input.joined(separator: "\n") + "\n", to: "in.jsonl")
        return folder
    }

    private func explain(_ folder: TemporaryFolder, _ id: String, _ more: String...) throws
        -> RunProcess.Finished
    {
        try RunProcess.run(Tool.binary, ["explain", id] + more, folder: folder.path)
    }

    private func records(_ text: String) -> [Record] {
        text.split(separator: "\n").compactMap { try? Record(json: String($0)) }
    }

    private func check(_ text: String, _ name: String) throws {
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(text == recorded, "RECORD=1 accepts the new text of \(name)")
    }

    @Test func `a record of a file is explained without a store`() throws {
        let folder = folder(follow: false)
        var text = ""
        for index in Self.input.indices {
            let run = try explain(folder, id(index))
            #expect(run.status == 0, "\(run.errorText)")
            text += run.outputText + "\n"
        }
        try check(text, "explain.txt")
        // Nothing was written.
        #expect(!FileManager.default.fileExists(atPath: folder("data")))
        #expect(!FileManager.default.fileExists(atPath: folder("out.jsonl")))
    }

    @Test func `what is told is what happens`() throws {
        let folder = folder(follow: false)
        let run = try Tool.run("run", folder.path, "--once", "--summary", folder("s.json"))
        #expect(run.status == 0, "\(run.errors)")
        let before = folder.text("out.jsonl")
        let dead = try explain(folder, id(3), "--format", "json")
        let lines = records(dead.outputText)
        #expect(lines[0]["found_in"] == "the dead letters")
        let stage = try #require(lines.first { $0["stage"] == "shape" })
        #expect(stage["outcome"] == "dead" && stage["reason"] == "rules/shape.lua:5: no good")
        #expect(stage["line"] == 5 && stage["file"] == "rules/shape.lua")
        #expect(lines.last?["outcome"] == "dead")
        // The state is that of the last commit: u2 has been counted once.
        let side = records(try explain(folder, id(2), "--format", "json").outputText)
        let shape = try #require(side.first { $0["stage"] == "shape" })
        #expect(shape["outcome"] == "routed" && shape["to"] == ["sink shape.side"])
        let change: Value = ["path": "n", "after": 2]
        #expect(shape["changes"] == [change], "\(shape)")
        // Rules that were never loaded do not count, and the store is as it was.
        folder.write("function process(r) return drop(\"all\") end\n", to: "rules/shape.lua")
        let again = records(try explain(folder, id(0), "--format", "json").outputText)
        #expect(again.last?["outcome"] == "delivered")
        #expect(again[0]["rule_set"] == lines[0]["rule_set"])
        #expect(folder.text("out.jsonl") == before)
        let letters = try RunProcess.run(Tool.binary, ["dlq", "ls"], folder: folder.path)
        #expect(records(letters.outputText).count == 4)
    }

    @Test func `a running pipeline explains with what it has read last`() throws {
        let folder = folder(follow: true)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path]
        try process.run()
        defer {
            process.terminate()
            process.waitUntilExit()
        }
        // Letters are listed once they are committed. The last record is one of them, so the state
        // that all records have left is committed as well.
        let areKept = wait {
            let letters = try? RunProcess.run(Tool.binary, ["dlq", "ls"], folder: folder.path)
            return letters.map { records($0.outputText).count } == 4
        }
        #expect(areKept)
        #expect(folder.text("out.jsonl").split(separator: "\n").count == 3)
        let two = records(try explain(folder, id(6), "--format", "json").outputText)
        #expect(two.first?["found_in"] == "the last records of the running pipeline")
        let shape = try #require(two.first { $0["stage"] == "shape" })
        #expect(shape["outcome"] == "changed")
        let added: Value = ["path": "n", "after": 3]
        let changed: Value = ["path": "meta.a", "before": 1, "after": 2]
        #expect(Set([added, changed]) == Set(items(shape["changes"])), "\(shape)")
        #expect(items(shape["emitted"]).count == 1)
        #expect(two.last?["sinks"] == ["last"])
        #expect(try explain(folder, id(3)).outputText.contains("the dead letters"))
        let unknown = try explain(folder, "in.jsonl:1")
        #expect(unknown.status == 1 && unknown.output.isEmpty)
        #expect(
            unknown.errorText.contains("4 dead letters, the last 8 records of the running pipeline")
                && unknown.errorText.contains("in.jsonl, in which no record begins at byte 1"),
            "\(unknown.errorText)")
    }

    private func items(_ value: Value?) -> [Value] {
        if case .array(let items)? = value { items } else { [] }
    }

    private func wait(_ condition: () -> Bool) -> Bool {
        let deadline = Date() + 20
        while Date() < deadline {
            if condition() { return true }
            RunLoop.current.run(until: Date() + 0.02)
        }
        return condition()
    }

    @Test func `an unknown id says what was looked through`() throws {
        let folder = folder(follow: false)
        for (id, text) in [
            ("nothing", "0 dead letters, no file, since the id is not FILE:POSITION"),
            ("away.jsonl:0", "no file away.jsonl, since there is none"),
            ("in.jsonl:999999", "no record begins at byte 999999"), ("", "0 dead letters"),
            ("pipeline.yaml:", "since the id is not FILE:POSITION"),
        ] {
            let run = try explain(folder, id)
            #expect(run.status == 1 && run.output.isEmpty)
            #expect(run.errorText.hasPrefix("error: there is no record \"\(id)\"; looked through"))
            #expect(run.errorText.contains(text), "\(run.errorText)")
        }
    }

    @Test func `lineage looks as recorded`() throws {
        let folder = folder(follow: false)
        var text = ""
        for arguments in [[], ["shape"], ["meta"], ["i"], ["region"], ["user"]] {
            let run = try RunProcess.run(
                Tool.binary, ["lineage"] + arguments, folder: folder.path)
            #expect(run.status == 0, "\(run.errorText)")
            text += "> lineage \(arguments.joined(separator: " "))\n\(run.outputText)\n"
        }
        try check(text, "lineage.txt")
        let unknown = try RunProcess.run(Tool.binary, ["lineage", "regin"], folder: folder.path)
        #expect(unknown.status == 1 && unknown.errorText.contains("did you mean \"region\""))
        let graph = try RunProcess.run(
            Tool.binary, ["lineage", "--format", "json"], folder: folder.path)
        let lines = records(graph.outputText)
        let edges = lines.filter { $0["what"] == "edge" }
        let ids = Set(lines.filter { $0["what"] == "node" }.compactMap { $0["id"]?.text })
        #expect(edges.count == 7)
        // Every edge is between nodes.
        #expect(
            edges.allSatisfy {
                ids.contains($0["from"]?.text ?? "") && ids.contains($0["to"]?.text ?? "")
            })
        let nowhere = try RunProcess.run(
            Tool.binary, ["lineage", "--folder", "nowhere"], folder: folder.path)
        #expect(nowhere.status == 2 && nowhere.errorText.contains("pipeline.yaml"))
    }
}
