import Foundation
import Records
import TestKit
import Testing

/// What a restart makes of rules on disk that were refused or rolled back.
@Suite struct HeldRulesTests {
    private func rule(_ version: Int) -> String {
        "function process(r) r.version = \(version) end\n"
    }

    /// Appends a line and runs to the end; the version that the last row is of.
    private func once(
        _ folder: TemporaryFolder, _ arguments: String...
    ) throws -> (version: Value?, errors: String) {
        folder.write(folder.text("in.jsonl") + "{}\n", to: "in.jsonl")
        let run = try Tool.run(arguments: ["run", folder.path, "--once"] + arguments)
        #expect(run.status == 0, "\(run.errors)")
        let last = folder.text("out.jsonl").split(separator: "\n").last.map(String.init) ?? "{}"
        return (try Record(json: last)["version"], run.errors)
    }

    @Test func `what was rolled back stays away over restarts, until it is asked for`() throws {
        let running = try RunningPipeline(files: ["rules/shape.lua": rule(1)])
        let folder = running.folder
        folder.write(rule(2), to: "rules/shape.lua")
        #expect(try running.tool("reload").status == 0)
        let versions = try running.tool("versions").output.split(separator: "\n")
        let old = try Record(json: String(versions[0]))["version"]?.text ?? ""
        #expect(try running.tool("rollback", old).status == 0)
        _ = try running.stop()
        let held = try once(folder)
        #expect(held.version == 1)
        #expect(held.errors.contains("were refused or rolled back; \(old) runs on"))
        #expect(try once(folder).version == 1, "also the second time")
        // Files that changed since take effect, as before.
        folder.write(rule(3), to: "rules/shape.lua")
        let changed = try once(folder)
        #expect(changed.version == 3 && !changed.errors.contains("warning"))
        folder.write(rule(2), to: "rules/shape.lua")
        #expect(try once(folder).version == 3)
        #expect(try once(folder, "--load-disk").version == 2)
        #expect(try once(folder).version == 2, "what was asked for is no longer held")
    }

    @Test(arguments: ["function process(r) r.version = ", "function process(r) r.version = 9 end"])
    func `what was refused does not come in by a restart`(refused: String) throws {
        let running = try RunningPipeline(files: [
            "rules/shape.lua": rule(1),
            "rules/shape.test.yaml":
                "rule: shape.lua\ntests: [{name: one, in: {}, out: {version: 1}}]\n",
        ])
        running.folder.write(refused, to: "rules/shape.lua")
        #expect(try running.tool("reload").status == 1)
        _ = try running.stop()
        let held = try once(running.folder)
        #expect(held.version == 1)
        #expect(held.errors.contains("--load-disk"))
    }

    @Test func `a reload is refused by a test of the whole pipeline`() throws {
        let running = try RunningPipeline(files: [
            "rules/shape.lua": rule(1),
            "tests/all.yaml": "tests: [{name: whole, in: [{}], out: [{version: 1}]}]\n",
        ])
        running.folder.write(rule(2), to: "rules/shape.lua")
        let reload = try running.tool("reload")
        #expect(reload.status == 1)
        #expect(reload.errors.contains("tests/all.yaml:1") && reload.errors.contains("whole"))
        _ = try running.stop()
    }
}
