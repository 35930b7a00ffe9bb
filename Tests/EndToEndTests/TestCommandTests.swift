import Foundation
import Records
import TestKit
import Testing

/// `tidewheel test` as a user runs it; `RECORD=1` writes the golden texts anew.
@Suite struct TestCommandTests {
    static let rule = """
        function process(r, meta)
          if r.status == "queued" then return drop("queued") end
          r.processing_time_ms = r.processing_time * 1000
          r.status = r.status:upper()
          r.region = lookup("users", r.user_id, "region") or null
          if r.user_tier == "premium" then return route("premium") end
        end

        """

    static let tests = """
        rule: shape.lua
        now: 2026-11-23T15:00:00Z
        lookups: {users: [{user_id: u1, region: eu}]}
        tests:
          - name: converts to ms
            in: {status: completed, processing_time: 2.5, user_id: u1}
            out: {status: COMPLETED, processing_time: 2.5, processing_time_ms: 2500, user_id: u1, region: eu}
          - {name: queued is dropped, in: {status: queued}, dropped: queued}
          - {name: bad type, in: {status: 7, processing_time: 1}, error: "attempt to index"}
          - {name: wrong value, in: {status: a, processing_time: 1}, contains: {status: a, region: eu}}
          - {name: wrong reason, in: {status: queued}, dropped: other}
          - {name: an error, in: {status: 7, processing_time: 1}, out: {status: 7}}

        """

    private func folder(tests: String = tests) -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            source: {file: {path: "in/*.jsonl"}}
            lookups: {users: {file: lookups/users.csv, key: user_id}}
            stages: [{name: shape, transform: rules/shape.lua}]
            sinks: [{from: shape, null: {}}]

            """, to: "pipeline.yaml")
        folder.write("user_id,region\nu1,us\n", to: "lookups/users.csv")
        folder.write(Self.rule, to: "rules/shape.lua")
        folder.write(tests, to: "rules/shape.test.yaml")
        return folder
    }

    private func check(_ text: String, _ name: String) throws {
        let golden = "\(Tool.root)/Tests/EndToEndTests/Golden/\(name)"
        if ProcessInfo.processInfo.environment["RECORD"] != nil {
            try Data(text.utf8).write(to: URL(fileURLWithPath: golden))
        }
        let recorded = try String(contentsOfFile: golden, encoding: .utf8)
        #expect(text == recorded, "RECORD=1 accepts the new text of \(name)")
    }

    @Test func `failing tests look as recorded`() throws {
        let folder = folder()
        let run = try Tool.run("test", folder.path, "--coverage")
        #expect(run.status == 1)
        #expect(run.errors == "")
        try check(run.output, "test-failures.txt")
    }

    @Test func `a broken test file is one screen on stderr`() throws {
        let folder = folder(tests: "rule: shape.lua\ntests:\n  - {name: a, in: {x: 1}, otu: {}}\n")
        let run = try Tool.run("test", folder.path)
        #expect(run.status == 2)
        #expect(run.output == "")
        try check(run.errors, "test-broken.txt")
    }

    @Test func `as JSON there is an object for each test`() throws {
        let folder = folder()
        let run = try Tool.run("test", folder.path, "--format", "json")
        let rows = try run.output.split(separator: "\n").map { try Record(json: String($0)) }
        #expect(rows.map { $0["name"]?.text }.count == 6)
        #expect(
            rows.map { $0["status"]?.text } == ["passed", "passed", "passed"]
                + Array(repeating: "failed", count: 3))
        #expect(rows[3]["line"] == 10)
    }

    @Test func `JUnit holds what a build server shows`() throws {
        let folder = folder(
            tests:
                "rule: shape.lua\ntests:\n  - {name: \"a <b> & \\\"c\\\"\", in: {}, dropped: x}\n")
        let run = try Tool.run("test", folder.path, "--junit", folder("junit.xml"))
        #expect(run.status == 1)
        let document = try XMLText(folder.text("junit.xml"))
        #expect(document.text.contains("<testsuites name=\"tidewheel\" tests=\"1\" failures=\"1\""))
        #expect(document.text.contains("name=\"a &lt;b&gt; &amp; &quot;c&quot;\""))
    }

    @Test func `one name, no name, and no tests at all`() throws {
        let folder = folder()
        let one = try Tool.run("test", folder.path, "-k", "queued")
        #expect((one.status, one.output) == (0, "1 passed, 5 left out\n"))
        let none = try Tool.run("test", folder.path, "-k", "absent")
        #expect((none.status, none.output) == (0, ""))
        #expect(none.errors == "no name of the 6 tests contains \"absent\"\n")
    }

    @Test func `update writes what came out, and the tests pass`() throws {
        let folder = folder()
        let run = try Tool.run("test", folder.path, "--update")
        #expect(run.errors == "updated rules/shape.test.yaml\n")
        #expect(run.status == 1, "an error never becomes what is expected")
        #expect(
            folder.text("rules/shape.test.yaml").contains("contains: {status: A, region: null}"))
        let again = try Tool.run("test", folder.path, "-k", "wrong")
        #expect(again.status == 0)
    }

    @Test func `a thousand tests take no time to speak of`() throws {
        let cases = (0..<1000).map {
            "  - {name: case \($0), in: {status: a, processing_time: \($0)}, "
                + "contains: {status: A, processing_time_ms: \($0 * 1000)}}\n"
        }
        let folder = folder(tests: "rule: shape.lua\ntests:\n" + cases.joined())
        let run = try Tool.run("test", folder.path, "--junit", folder("junit.xml"))
        #expect((run.status, run.output) == (0, "1000 passed\n"))
        // The debug build beside the tests is many times slower.
        guard Tool.binary.contains("release") else { return }
        let report = try XMLText(folder.text("junit.xml")).text
        let seconds = report.firstMatch(of: /errors="0" time="([0-9.e-]+)">/).map {
            Double($0.1) ?? 9
        }
        // Alone it takes a quarter of a second; here other tests run beside it.
        #expect(try #require(seconds) < 4)
    }

    @Test func `a watch runs the tests again when a file changes`() throws {
        let folder = folder()
        let terminal = try #require(
            PseudoTerminal(
                Tool.binary,
                ["test", folder.path, "--watch", "--junit", folder("report.xml")],
                environment: [:]))
        #expect(terminal.wait(for: "3 failed, 3 passed"))
        // The report lies in the folder, and is no reason to run again.
        #expect(!terminal.wait(for: "3 failed, 3 passed", milliseconds: 300))
        folder.write(
            "rule: shape.lua\ntests: [{name: a, in: {}, error: x}]\n", to: "rules/new.test.yaml")
        #expect(terminal.wait(for: "4 failed, 3 passed"))
        folder.write("rule: shape.lua\ntests: []\n", to: "rules/shape.test.yaml")
        #expect(terminal.wait(for: "at least one test"))
        terminal.type("\u{3}")
        #expect(terminal.waitForEnd() == nil, "the signal ends it")
    }

    @Test(arguments: [
        "video-pipeline", "web-sessions", "clean-csv", "embedded/transform/pipeline",
        "embedded/operating/pipeline", "benchmarks/transform", "benchmarks/window",
        "benchmarks/validate",
    ])
    func `the tests of every example pass`(name: String) throws {
        let run = try Tool.run("test", "\(Tool.root)/examples/\(name)")
        #expect(run.status == 0, "\(run.output)\(run.errors)")
        #expect(run.output.contains(" passed"))
    }
}

/// An XML text that is well-formed.
struct XMLText {
    let text: String

    init(_ text: String) throws {
        self.text = text
        var open: [Substring] = []
        for tag in text.matches(of: /<(\/?)([A-Za-z-]+)((?:[^<>"]|"[^"<]*")*?)(\/?)>/) {
            if tag.1 == "/" {
                #expect(open.popLast() == tag.2)
            } else if tag.4.isEmpty {
                open.append(tag.2)
            }
        }
        #expect(open.isEmpty)
    }
}
