import Foundation
import TestKit
import Testing

/// `tidewheel types`: stubs for editors; `RECORD=1` writes the golden text anew.
@Suite struct TypesTests {
    @Test func `the stubs of the example look as recorded`() throws {
        let folder = TemporaryFolder()
        let example = Tool.root + "/examples/video-pipeline"
        for part in ["pipeline.yaml", "rules", "schemas", "lookups"] {
            try FileManager.default.copyItem(
                atPath: "\(example)/\(part)", toPath: "\(folder.path)/\(part)")
        }
        let run = try Tool.run("types", folder.path)
        #expect((run.status, run.errors) == (0, ""))
        let wrote =
            "wrote types/tidewheel.lua\nwrote .luarc.json\nwrote types/pipeline.schema.json\n"
        #expect(run.output == "\(wrote)added the line \(modeline) to pipeline.yaml\n")
        let text = folder.text("types/tidewheel.lua")
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/types.lua.txt"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        #expect(try text == String(contentsOfFile: golden, encoding: .utf8))
        let settings = try JSONSerialization.jsonObject(
            with: Data(folder.text(".luarc.json").utf8))
        #expect((settings as? [String: Any])?["runtime.version"] as? String == "Lua 5.4")
        #expect(try Tool.run("types", folder.path).output == wrote, "ours may be written anew")
    }

    private let modeline = "# yaml-language-server: $schema=types/pipeline.schema.json"

    @Test func `the schema is JSON, and pipeline.yaml names it once`() throws {
        let folder = TemporaryFolder()
        #expect(try Tool.run("new", folder("p")).status == 0)
        let text = folder.text("p/pipeline.yaml")
        #expect(text.hasPrefix(modeline + "\n"))
        let schema = try JSONSerialization.jsonObject(
            with: Data(folder.text("p/types/pipeline.schema.json").utf8))
        let parts = try #require(schema as? [String: Any])
        #expect(parts["$schema"] as? String == "https://json-schema.org/draft/2020-12/schema")
        #expect((parts["$defs"] as? [String: Any])?["sink.file"] != nil)
        #expect(try Tool.run("types", folder("p")).status == 0)
        #expect(folder.text("p/pipeline.yaml") == text)
    }

    @Test func `a file keeps its line ends, its mark and its mode when it gets the line`() throws {
        let folder = TemporaryFolder()
        let text = "\u{FEFF}queues: {}\r\n"
        folder.write(text, to: "pipeline.yaml")
        let path = folder("pipeline.yaml")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        #expect(try Tool.run("types", folder.path).status == 0)
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let expected = [0xEF, 0xBB, 0xBF] + Array((modeline + "\r\nqueues: {}\r\n").utf8)
        #expect(bytes == expected)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
    }

    @Test func `a link is told and not replaced`() throws {
        let folder = TemporaryFolder()
        folder.write("queues: {}\n", to: "shared.yaml")
        try FileManager.default.createSymbolicLink(
            atPath: folder("pipeline.yaml"), withDestinationPath: "shared.yaml")
        let run = try Tool.run("types", folder.path)
        #expect(run.output.hasSuffix("put this line at the top of pipeline.yaml:\n\(modeline)\n"))
        #expect(folder.text("shared.yaml") == "queues: {}\n")
    }

    @Test func `a settings file of somebody else stays as it is`() throws {
        let folder = TemporaryFolder()
        #expect(try Tool.run("new", folder("p")).status == 0)
        folder.write("{}\n", to: "p/.luarc.json")
        let run = try Tool.run("types", folder("p"))
        #expect(run.status == 0)
        #expect(
            run.output == "wrote types/tidewheel.lua\nwrote types/pipeline.schema.json\n")
        #expect(run.errors.contains(".luarc.json was not written by tidewheel"))
        #expect(folder.text("p/.luarc.json") == "{}\n")
    }
}
