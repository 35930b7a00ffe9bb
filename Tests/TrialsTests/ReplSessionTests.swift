import Connecting
import Connectors
import Definitions
import Engine
import TestKit
import Testing
import Trials

@Suite struct ReplSessionTests {
    private let folder = TemporaryFolder()

    private func session() throws -> ReplSession {
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages:
              - {name: check, validate: {schema: schemas/video.json}}
              - {name: shape, transform: rules/shape.lua}
            sinks: [{from: shape, null: {}}]

            """, to: "pipeline.yaml")
        folder.write(
            "{\"properties\": {\"seconds\": {}, \"meta\": {\"properties\": {\"source\": {}}}}}",
            to: "schemas/video.json")
        folder.write("function process(r) r.ms = r.seconds * 1000 end\n", to: "rules/shape.lua")
        let path = folder.path
        return try ReplSession(
            stage: nil,
            load: {
                do throws(DiagnosticList) {
                    let definition = try readDefinition(
                        folder: path, environment: [:], catalogue: .standard)
                    return .success(try Plan(definition))
                } catch {
                    return .failure(PipelineError(exitCode: 2, "\(error.findings)"))
                }
            },
            open: { input in
                input == .file("none")
                    ? .failure(PipelineError(exitCode: 1, "none: no such file"))
                    : .success([ReplRecord(text: Array("{\"seconds\":1,\"size\":2}".utf8))])
            })
    }

    @Test func `words are completed from commands, fields, libraries and globals`() throws {
        let session = try session()
        _ = session.execute(":load some")
        #expect(session.completions(of: ":s") == [":save", ":show", ":stage", ":state"])
        #expect(session.completions(of: ":run c") == ["check"])
        #expect(session.completions(of: "x + r.s") == ["r.seconds", "r.size"])
        #expect(session.completions(of: "r.meta.") == ["r.meta.source"])
        #expect(session.completions(of: "json.e") == ["json.encode"])
        #expect(session.completions(of: "f(state:g") == ["state:get"])
        #expect(session.completions(of: "loo") == ["lookup"])
        #expect(session.completions(of: "zzz") == [])
    }

    @Test func `an edit runs the record again as it was before the last run`() throws {
        let session = try session()
        #expect(session.execute(":load none") == ["error: none: no such file"])
        _ = session.execute(":load some")
        #expect(session.execute(":run") == ["{\"seconds\":1,\"size\":2,\"ms\":1000}"])
        folder.write("function process(r) r.ms = r.seconds * 2000 end\n", to: "rules/shape.lua")
        #expect(session.runAgain() == ["{\"seconds\":1,\"size\":2,\"ms\":2000}"])
        #expect(session.execute(":lineage") == ["shape: changed ms"])
        #expect(session.execute("r.ms") == ["2000 : integer"])
        #expect(session.execute("r = {a = 1}") == [])
        #expect(session.execute(":show") == ["{\"a\":1}"])
        #expect(session.execute("r = 5") == ["error: repl:1: r must be a record"])
        #expect(session.execute(":show") == ["{\"a\":1}"])
        #expect(!session.isFinished)
        #expect(session.execute(":quit") == [])
        #expect(session.isFinished)
    }

    @Test func `what an expression stores is seen by rules, and the other way round`() throws {
        let session = try session()
        folder.write("function process(r) r.n = state:incr(\"n\") end\n", to: "rules/shape.lua")
        _ = session.execute(":load some")
        #expect(session.execute("state:set(\"n\", 41)") == [])
        #expect(session.execute(":run") == ["{\"seconds\":1,\"size\":2,\"n\":42}"])
        #expect(session.execute("state:get(\"n\")") == ["42 : integer"])
        #expect(session.execute(":state") == ["n = 42"])
        #expect(
            session.execute("state:set(\"n\", 7) error(\"undone\")").first?.hasPrefix("error")
                == true)
        #expect(session.execute(":state") == ["n = 42"])
    }
}
