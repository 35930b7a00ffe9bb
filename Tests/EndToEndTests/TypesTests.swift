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
        #expect(run.output == "wrote types/tidewheel.lua\nwrote .luarc.json\n")
        let text = folder.text("types/tidewheel.lua")
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/types.lua.txt"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        #expect(try text == String(contentsOfFile: golden, encoding: .utf8))
        let settings = try JSONSerialization.jsonObject(
            with: Data(folder.text(".luarc.json").utf8))
        #expect((settings as? [String: Any])?["runtime.version"] as? String == "Lua 5.4")
        #expect(try Tool.run("types", folder.path).output == run.output, "ours may be written anew")
    }

    @Test func `a settings file of somebody else stays as it is`() throws {
        let folder = TemporaryFolder()
        #expect(try Tool.run("new", folder("p")).status == 0)
        folder.write("{}\n", to: "p/.luarc.json")
        let run = try Tool.run("types", folder("p"))
        #expect((run.status, run.output) == (0, "wrote types/tidewheel.lua\n"))
        #expect(run.errors.contains(".luarc.json was not written by tidewheel"))
        #expect(folder.text("p/.luarc.json") == "{}\n")
    }
}
