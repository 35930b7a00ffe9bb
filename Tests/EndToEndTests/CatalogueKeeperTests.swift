import Foundation
import Records
import TestKit
import Testing

/// The catalogue of a pipeline that runs: nobody asks for it, and it is there.
@Suite(.timeLimit(.minutes(30))) struct CatalogueKeeperTests {
    private static let rule = """
        function process(r)
          if r.user == "u0" then error("bad " .. r.i) end
        end
        """
    private static let settings = "reload: {watch: false}\nstore: {catalogue: 50ms}"

    private static func start(_ settings: String = settings) throws -> RunningPipeline {
        try RunningPipeline(settings, files: ["rules/shape.lua": rule])
    }

    /// What SQL says about the file; nil when it cannot be asked.
    private static func ask(_ folder: TemporaryFolder, _ query: String) throws -> String? {
        let script = """
            import sqlite3, sys
            base = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
            print(*base.execute(sys.argv[2]).fetchone())
            """
        let finished = try RunProcess.run(
            "python3", ["-c", script, folder("data/catalogue.sqlite"), query])
        guard finished.status == 0 else { return nil }
        return finished.outputText.trimmingCharacters(in: .newlines)
    }

    private static func letters(_ running: RunningPipeline) -> String? {
        try? ask(running.folder, "SELECT count(*), max(error) FROM dead_letters")
    }

    @Test func `dead letters of a running pipeline are in it, and it comes back when deleted`()
        throws
    {
        let running = try Self.start()
        #expect(running.wait { Self.letters(running) == "0 None" })
        try running.add(3, from: 0)
        #expect(running.wait { Self.letters(running)?.hasPrefix("1 ") == true })
        #expect(Self.letters(running)?.contains("bad 0") == true)
        try FileManager.default.removeItem(atPath: running.folder("data/catalogue.sqlite"))
        #expect(running.wait { Self.letters(running)?.hasPrefix("1 ") == true })
        // What an operator does about it shows as well.
        #expect(try running.tool("dlq", "purge").status == 0)
        #expect(running.wait { Self.letters(running) == "0 None" })
        _ = try running.stop()
        let runs = "SELECT count(*), sum(ended_at IS NULL), sum(read) FROM runs"
        #expect(
            try Self.ask(running.folder, runs) == "1 0 3", "the end of the run is the last of it")
        #expect(!running.errors.contains(" warning "), "\(running.errors)")
    }

    @Test func `a reader that locks it holds up nothing, and is told of once`() throws {
        let running = try Self.start()
        #expect(running.wait { Self.letters(running) == "0 None" })
        let reader = Process()
        reader.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        reader.arguments = [
            "python3", "-c",
            """
            import sqlite3, sys
            base = sqlite3.connect(sys.argv[1], isolation_level=None)
            base.execute("BEGIN")
            base.execute("SELECT count(*) FROM runs").fetchone()
            print("reading", flush=True)
            sys.stdin.readline()
            """, running.folder("data/catalogue.sqlite"),
        ]
        let (input, output) = (Pipe(), Pipe())
        reader.standardInput = input
        reader.standardOutput = output
        try reader.run()
        #expect(!output.fileHandleForReading.availableData.isEmpty)
        try running.add(7, from: 0)
        #expect(running.wait { running.rows.count == 6 })
        #expect(running.wait { running.errors.contains("locked") })
        // The stream goes on, also with more dead letters.
        try running.add(7, from: 7)
        #expect(running.wait { running.rows.count == 12 })
        #expect(running.wait { (try? running.letters().count) == 2 })
        #expect(Self.letters(running) == "0 None", "what is read stays as it was")
        try input.fileHandleForWriting.close()
        #expect(running.wait { Self.letters(running)?.hasPrefix("2 ") == true })
        reader.waitUntilExit()
        _ = try running.stop()
        let told = running.errors.split(separator: "\n").filter { $0.contains("catalogue") }
        #expect(told.count == 1, "\(running.errors)")
    }

    @Test func `a file that is no catalogue is left alone`() throws {
        let running = try Self.start("reload: {watch: false}\nstore: {catalogue: 2s}")
        let text = "this is no database, and it is long enough to tell"
        running.folder.write(text, to: "data/catalogue.sqlite")
        #expect(running.wait { running.errors.contains("--rebuild") })
        try running.add(2, from: 1)
        #expect(running.wait { running.rows.count == 2 })
        _ = try running.stop()
        #expect(running.folder.text("data/catalogue.sqlite") == text)
    }

    @Test(arguments: [
        ("", true), ("store: {catalogue: off}", false), ("store: {catalogue: 1ms}", true),
    ])
    func `a run that is shorter than the period leaves it as well, unless it is off`(
        settings: String, isThere: Bool
    ) throws {
        let folder = TemporaryFolder()
        folder.write(
            "source: {file: {path: in.jsonl}}\nsinks: [{file: {path: out.jsonl}}]\n" + settings,
            to: "pipeline.yaml")
        folder.write("{\"n\":1}\n{\"n\":\n", to: "in.jsonl")
        #expect(try Tool.run("run", folder.path, "--once").status == 0)
        let path = folder("data/catalogue.sqlite")
        #expect(FileManager.default.fileExists(atPath: path) == isThere)
        guard isThere else { return }
        #expect(try Self.ask(folder, "SELECT count(*) FROM dead_letters") == "1")
        #expect(try Self.ask(folder, "SELECT read FROM runs WHERE ended_at NOT NULL") == "2")
    }
}
