import Foundation
import Records
import TestKit
import Testing

/// The SQLite file that follows from a store.
@Suite struct CatalogueTests {
    private let folder = TemporaryFolder()

    private func tool(_ arguments: String...) throws -> RunProcess.Finished {
        try RunProcess.run(Tool.binary, arguments, folder: folder.path)
    }

    private func catalogue(_ arguments: String...) throws -> Record {
        let finished = try RunProcess.run(
            Tool.binary, ["store", "catalogue"] + arguments, folder: folder.path)
        #expect(finished.status == 0, "\(finished.errorText)")
        return try Record(json: finished.outputText)
    }

    /// Every row of every table, as the file says.
    private func rows() throws -> [String] {
        let script = """
            import sqlite3, sys
            base = sqlite3.connect(sys.argv[1])
            for (table,) in base.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall():
                if table.startswith("sqlite_"): continue
                for row in base.execute(f"SELECT * FROM {table} ORDER BY 1"):
                    print(table, row)
            """
        let finished = try RunProcess.run(
            "python3", ["-c", script, folder("data/catalogue.sqlite")])
        #expect(finished.status == 0, "\(finished.errorText)")
        return finished.outputText.split(separator: "\n").map(String.init)
    }

    private func killMessage(_ payload: String) throws {
        _ = try tool("queue", "publish", "jobs", payload)
        let received = try Record(json: try tool("queue", "receive", "jobs").outputText)
        let receipt = try #require(received["receipt"]?.text)
        _ = try tool("queue", "nack", "jobs", receipt, "--error", "no good")
    }

    @Test func `what is added bit by bit is what is written anew, and deleting loses nothing`()
        throws
    {
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, file: {path: out.jsonl}}]
            queues: {jobs: {max_attempts: 1}}
            """, to: "pipeline.yaml")
        folder.write(
            "function process(r) if r.bad then error(\"bad\") end end", to: "rules/shape.lua")
        folder.write("{\"bad\":1}\n{\"n\":1}\n{\"bad\":2}\n", to: "in.jsonl")
        let none = try tool("store", "catalogue", "--data", "nowhere")
        #expect(none.status == 1 && none.errorText.contains("nowhere: there is no store here"))
        #expect(!FileManager.default.fileExists(atPath: folder("nowhere")))
        #expect(try tool("run", ".", "--once").status == 0)
        let first = try catalogue()
        #expect(first["file"] == .string("data/catalogue.sqlite"))
        #expect(first["dead_letters"] == .integer(2) && first["runs"] == .integer(1))
        #expect(first["versions"] == .integer(1) && first["audit"] == .integer(0))
        // Things change in every table: letters go and come, messages die, operators act.
        try killMessage("{\"n\":1}")
        try killMessage("{\"n\":2}")
        _ = try catalogue()
        folder.write(
            "function process(r) if r.bad == 2 then error(\"bad\") end end", to: "rules/shape.lua")
        #expect(try tool("dlq", "replay").status == 0)
        _ = try tool("queue", "redrive", "jobs.dead", "--where", "payload.n == 1")
        _ = try tool("queue", "pause", "jobs")
        let second = try catalogue()
        #expect(second["rebuilt"] == .boolean(false))
        #expect(second["dead_letters"] == .integer(2) && second["versions"] == .integer(2))
        #expect(second["audit"] == .integer(3))
        let added = try rows()
        #expect(added.contains { $0.hasPrefix("runs ") && $0.contains(", 3, 1, 2, None)") })
        #expect(added.contains { $0.contains("'no good'") && $0.contains("'max_attempts'") })
        #expect(try catalogue("--rebuild")["rebuilt"] == .boolean(true))
        #expect(try rows() == added)
        try FileManager.default.removeItem(atPath: folder("data/catalogue.sqlite"))
        #expect(try catalogue()["rebuilt"] == .boolean(true))
        #expect(try rows() == added)
    }

    @Test func `a file that is no catalogue is not written over unless that is wanted`() throws {
        folder.write("queues: {jobs: {}}\n", to: "pipeline.yaml")
        _ = try tool("queue", "purge", "jobs")
        folder.write(
            "this is no database, and it is long enough to tell", to: "data/catalogue.sqlite")
        let refused = try tool("store", "catalogue")
        #expect(refused.status == 1 && refused.errorText.contains("--rebuild"))
        #expect(try catalogue("--rebuild")["audit"] == .integer(1))
    }

    @Test func `a running pipeline writes it, too`() throws {
        let running = try ReloadTests.Running()
        defer { running.process.terminate() }
        let finished = try RunProcess.run(
            Tool.binary, ["store", "catalogue"], folder: running.folder.path)
        #expect(finished.status == 0, "\(finished.errorText)")
        let answer = try Record(json: finished.outputText)
        #expect(answer["runs"] == .integer(1) && answer["versions"] == .integer(1))
    }
}
