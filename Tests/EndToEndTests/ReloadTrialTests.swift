import Foundation
import Records
import TestKit
import Testing

/// The trial of a new version ends in time, whatever the version does, and is in nobody's way.
@Suite(.timeLimit(.minutes(30))) struct ReloadTrialTests {
    private static let endless = "function process(r) while true do end end"
    private static let failing = """
        function process(r)
          if r.i % 50 == 1 then error("no") end
        end
        """

    @Test func `rules that fail on records of the past are not switched in`() throws {
        let running = try RunningPipeline("reload: {watch: false, shadow: 200}")
        try running.pass(200)
        let active = try running.versions().last?["version"]
        running.folder.write("function process(r) error('always') end", to: "rules/shape.lua")
        var reload = try running.tool("reload")
        #expect(reload.status == 1)
        #expect(reload.errors.contains("200 new errors"))
        #expect(reload.errors.contains("max_new_errors"))
        #expect(reload.errors.contains("refused at the step shadow"))
        running.folder.write(Self.failing, to: "rules/shape.lua")
        reload = try running.tool("reload")
        #expect(reload.status == 1 && reload.errors.contains("more than 1.0% fail"))
        #expect(try running.versions().last { $0["state"] == "active" }?["version"] == active)
        reload = try running.tool("reload", "--force")
        #expect(reload.status == 0, "\(reload.errors)")
        _ = try running.stop()
    }

    @Test func `as many new errors as pipeline yaml allows are let in`() throws {
        let running = try RunningPipeline("reload: {watch: false, shadow: 200, max_new_errors: 5%}")
        try running.pass(200)
        running.folder.write(Self.failing, to: "rules/shape.lua")
        let reload = try running.tool("reload")
        #expect(reload.status == 0 && reload.output.contains("4 new errors"), "\(reload.errors)")
        _ = try running.stop()
    }

    @Test func `a trial ends after its time`() throws {
        let running = try RunningPipeline(
            "reload: {watch: false, shadow: 1000, timeout: 300ms}")
        try running.pass(1000)
        running.folder.write(Self.endless, to: "rules/shape.lua")
        let began = Date()
        let reload = try running.tool("reload")
        #expect(reload.status == 1)
        #expect(reload.errors.contains("took longer than 0.3 s (reload.timeout)"))
        #expect(reload.errors.contains("records: "))
        // Each of a thousand records would take its budget of 50 ms.
        #expect(Date().timeIntervalSince(began) < 25)
        try running.pass(10)
        _ = try running.stop()
    }

    /// Starts a reload that would take long, and returns once it is being tried.
    private func propose(_ rule: String, _ running: RunningPipeline) throws -> (Process, Pipe) {
        running.folder.write(rule, to: "rules/shape.lua")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["reload", "--data", running.folder("data")]
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        let before = running.processorTime
        try process.run()
        // Nothing else works there, so it is the trial that takes the time.
        #expect(running.wait { running.processorTime > before + 0.2 })
        return (process, errors)
    }

    @Test func `a newer reload takes the place of one that is being tried`() throws {
        let running = try RunningPipeline("reload: {watch: false, shadow: 1000, timeout: 1h}")
        try running.pass(1000)
        let (process, errors) = try propose(Self.endless, running)
        running.folder.write(ReloadTests.good + "\n-- mended\n", to: "rules/shape.lua")
        let reload = try running.tool("reload")
        #expect(reload.status == 0 && reload.output.contains(#""result":"active""#))
        process.waitUntilExit()
        let text = String(
            decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(process.terminationStatus == 1)
        #expect(text.contains("a newer reload took its place"), "\(text)")
        try running.pass(10)
        _ = try running.stop()
    }

    @Test func `a trial ends when whoever asked for it has gone`() throws {
        let running = try RunningPipeline("reload: {watch: false, shadow: 1000, timeout: 1h}")
        try running.pass(1000)
        let (process, _) = try propose(Self.endless, running)
        kill(process.processIdentifier, SIGKILL)
        #expect(
            running.wait {
                let rows = try? running.versions()
                return rows?.last?["reason"]?.text.contains("has gone") == true
            })
        try running.pass(10)
        _ = try running.stop()
    }
}

extension RunningPipeline {
    /// Seconds of processor time that it has taken so far.
    var processorTime: Double {
        let path = "/proc/\(process.processIdentifier)/stat"
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12])
        else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
