import Foundation
import Records
import TestKit
import Testing

/// The ten minutes of the README, literally: its commands in a fresh folder, and what it promises.
@Suite(.timeLimit(.minutes(30))) struct TutorialTests {
    private let folder = TemporaryFolder()
    private let readme: String

    init() throws {
        let text = try String(contentsOfFile: Tool.root + "/README.md", encoding: .utf8)
        let start = try #require(text.range(of: "## Ten minutes"))
        let rest = text[start.upperBound...]
        readme = String(rest[..<(rest.range(of: "\n## ")?.lowerBound ?? rest.endIndex)])
    }

    /// Runs a command line that the README has to contain.
    @discardableResult
    private func run(_ command: String, in place: String = "/orders") throws -> Tool.Outcome {
        #expect(readme.contains(command), "the README no longer says: \(command)")
        return try shell(command, in: place)
    }

    private func shell(_ command: String, in place: String = "/orders") throws -> Tool.Outcome {
        let tools = URL(fileURLWithPath: Tool.binary).deletingLastPathComponent().path
        let script = "PATH=\"\(tools):$PATH\"; cd '\(folder.path)\(place)' && \(command)"
        return try Tool.run("-c", script, executable: "/bin/sh")
    }

    private func edit(_ old: String, _ new: String, in file: String = "rules/shape.lua") {
        let text = folder.text("orders/\(file)")
        #expect(text.contains(old))
        folder.write(text.replacing(old, with: new), to: "orders/\(file)")
    }

    @Test func `a rule breaks, is mended, tested and replaced, and nothing is lost`() throws {
        #expect(try run("tidewheel new orders && cd orders", in: "").status == 0)
        #expect(try run("tidewheel run --once").status == 0)
        #expect(try run("cat out/orders.jsonl").output.contains("\"total\":7.5"))

        edit("r.price", "r.prise")
        let lint = try run("tidewheel lint")
        #expect(lint.errors.contains("rules/shape.lua:5:") && lint.errors.contains("\"price\"?"))
        try run(
            "echo '{\"order_id\":\"o6\",\"status\":\"open\",\"price\":4,\"quantity\":2}' "
                + ">>input/orders.jsonl")
        #expect(try run("tidewheel run --once").status == 0)
        let listed = try run("tidewheel dlq ls").output.split(separator: "\n")
        #expect(listed.count == 3 && listed[2].contains("rules/shape.lua:5"))
        let shown = try run("tidewheel dlq show input/orders.jsonl:284").output
        #expect(shown.contains("rules/shape.lua:5: r.prise=nil r.quantity=2"))

        edit("r.prise", "r.price")
        #expect(readme.contains("tidewheel repl --input dlq:input/orders.jsonl:284"))
        let session = try shell(
            "printf ':run\\n:save an order of two\\n' "
                + "| tidewheel repl --input dlq:input/orders.jsonl:284")
        let answers = session.output.split(separator: "\n").map(String.init)
        for answer in answers.dropFirst(1) {
            #expect(readme.contains(answer), "the README no longer shows: \(answer)")
        }
        #expect(answers.last == "saved \"an order of two\" in rules/shape.test.yaml")

        #expect(try run("tidewheel test").output == "3 passed\n")
        let dry = try run("tidewheel dlq replay --dry-run")
        #expect(dry.errors.hasPrefix("the current rules fix 1 of 3"))
        #expect(readme.contains("the current rules fix 1 of 3"))
        let replay = try run("tidewheel dlq replay")
        #expect(replay.output.contains("\"total\":3,\"delivered\":1,\"dropped\":0,\"dead\":2"))
        #expect(try run("cat out/orders.jsonl").output.contains("\"o6\",\"status\":\"OPEN\""))
    }

    @Test func `rules are changed while it runs`() throws {
        #expect(try run("tidewheel new orders && cd orders", in: "").status == 0)
        #expect(readme.contains("follow: true") && readme.contains("tidewheel run &"))
        edit("jsonl\"}", "jsonl\", follow: true}", in: "pipeline.yaml")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder("orders")]
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        let deadline = Date() + 20
        while folder.text("orders/out/orders.jsonl").split(separator: "\n").count < 2,
            Date() < deadline
        { RunLoop.current.run(until: Date() + 0.01) }
        edit("r.price * r.quantity", "r.price * r.quantity * 1")
        let reload = try run("tidewheel reload")
        #expect(reload.status == 0 && reload.output.contains("\"tests\":\"2 of 2 passed\""))
        #expect(reload.output.contains("5 records: 5 same"))
        let versions = try run("tidewheel versions").output.split(separator: "\n")
        #expect(versions.count == 2)
        let first = try Record(json: Array(versions[0].utf8))["version"]?.text ?? ""
        #expect(readme.contains("tidewheel rollback"))
        #expect(try shell("tidewheel rollback \(first)").output.contains("\"active\""))
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }
}
