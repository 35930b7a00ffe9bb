import Foundation
import Records
import TestKit
import Testing

/// Looking into a running pipeline through its control socket.
@Suite(.timeLimit(.minutes(30))) struct LookingTests {
    private typealias Running = ReloadTests.Running

    /// Runs a verb while records pass.
    private func whileFeeding(
        _ running: Running, _ arguments: [String], from start: Int = 0
    ) throws -> (outcome: Tool.Outcome, next: Int) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = arguments + ["--data", running.folder("data")]
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        var next = start
        #expect(
            running.wait {
                try? running.add(20, from: next)
                next += 20
                return !process.isRunning
            })
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let problems = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (
            Tool.Outcome(
                status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
                errors: String(decoding: problems, as: UTF8.self)), next
        )
    }

    private func records(_ text: String) -> [Record] {
        text.split(separator: "\n").compactMap { try? Record(json: String($0)) }
    }

    private func number(_ record: Record?, _ name: String) -> Double {
        record?[name]?.double ?? .nan
    }

    private func load(_ rule: String, _ running: Running) throws {
        running.folder.write(rule, to: "rules/shape.lua")
        let reload = try running.tool("reload", "--force")
        #expect(reload.status == 0, "\(reload.errors)")
    }

    private static let busy = """
        function process(r)
          if r.i % 4 == 0 then return drop("four") end
          if r.i % 100 == 1 then error("one") end
          local sum = 0
          for i = 1, 3000 do
            sum = sum + i % 7
          end
          r.sum = sum
        end
        """

    @Test(arguments: [1, 2])
    func `top measures stages while somebody looks`(workers: Int) throws {
        let running = try Running(workers: workers)
        try load(Self.busy, running)
        let (outcome, next) = try whileFeeding(
            running, ["top", "--interval", "1s", "-n", "3", "--format", "json"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let stages = records(outcome.output).filter { $0["what"] == "stage" }
        #expect(stages.count == 3 && stages.allSatisfy { $0["name"] == "shape" })
        // In a second of a busy machine nothing may have been called.
        let stage = stages.last { $0["p50_us"] != .null }
        let seen = number(stage, "records")
        #expect(seen >= 20 && seen <= Double(next))
        #expect(number(stage, "calls") == seen)
        // One of four is dropped and one of a hundred fails, whichever records were looked at; more
        // would take the rules back.
        #expect(abs(number(stage, "dropped") - seen / 4) <= 3)
        #expect(abs(number(stage, "errors") - seen / 100) <= 2)
        #expect(number(stage, "p50_us") > 0)
        #expect(number(stage, "p50_us") <= number(stage, "p99_us"))
        #expect(number(stage, "p99_us") <= number(stage, "max_us"))
        #expect(number(stage, "budget_ms") == 50)
        let share = number(stage, "max_us") / 50_000
        #expect(abs(number(stage, "max_of_budget") - share) < 0.001)
        let table = try running.tool("top", "--interval", "10ms", "--format", "text")
        #expect(table.output.contains("P99/MAX OF BUDGET"), "\(table.output)")
        let summary = try running.stop()
        #expect(summary["read"] == .integer(Int64(next)))
    }

    @Test func `profile shows hot lines, and an endless loop is stopped meanwhile`() throws {
        let running = try Running()
        let rule = Self.busy.replacing(
            "local sum = 0",
            with: "while r.i % 400 == 5 do pcall(function() while true do end end) end "
                + "local sum = 0"
        )
        try load(rule, running)
        let folded = running.folder("profile.folded")
        let (outcome, next) = try whileFeeding(
            running,
            ["profile", "shape", "--seconds", "1", "--folded", folded, "--format", "json"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let lines = records(outcome.output)
        let head = try #require(lines.first { $0["what"] == "profile" })
        let samples = number(head, "samples")
        #expect(samples > 10 && number(head, "calls") > 0)
        let shares = lines.filter { $0["what"] == "line" }
        #expect(shares.reduce(0) { $0 + number($1, "samples") } == samples)
        #expect(shares.contains { $0["place"] == "rules/shape.lua:4" && number($0, "share") > 0.1 })
        #expect(shares.allSatisfy { $0["source"]?.text.isEmpty == false })
        let stacks = running.folder.text("profile.folded").split(separator: "\n")
        let counts = stacks.compactMap { Int($0.split(separator: " ").last ?? "") }
        #expect(counts.count == stacks.count && counts.reduce(0, +) == Int(samples))
        #expect(stacks.allSatisfy { $0.hasPrefix("shape;rules/shape.lua:") })
        #expect(stacks.contains { $0.contains(";pcall;") }, "\(stacks)")
        // Every record that loops is one dead letter, and all others go on.
        let loops = (0..<next).filter { $0 % 400 == 5 }.count
        let fails = (0..<next).filter { $0 % 4 != 0 && $0 % 100 == 1 }.count
        let passed = (0..<next).filter { $0 % 4 != 0 && $0 % 100 != 1 && $0 % 400 != 5 }.count
        #expect(running.wait { running.rows.count == passed })
        #expect(running.wait { (try? running.letters().count) == loops + fails })
        let letters = try running.letters()
        #expect(
            letters.contains { $0["reason"]?.text.contains("budget of 50 ms exceeded") == true })
        let summary = try running.stop()
        #expect(summary["dead_letters"] == .integer(Int64(loops + fails)))
    }

    @Test func `a tap shows and saves what a condition is true of`() throws {
        let running = try Running()
        let (outcome, next) = try whileFeeding(
            running,
            [
                "tap", "shape", "-n", "4", "--where", "r.i % 10 == 3", "--save",
                running.folder("seen.jsonl"),
            ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let rows = records(outcome.output)
        #expect(rows.count == 4)
        #expect(rows.allSatisfy { number($0, "i").truncatingRemainder(dividingBy: 10) == 3 })
        #expect(outcome.errors.contains(/^saw [\d,]+, showed 4/))
        #expect(running.folder.text("seen.jsonl") == outcome.output)
        _ = try running.stop()
        // What was saved is a fixture.
        let repl = try Tool.run(
            arguments: [
                "repl", running.folder.path, "--stage", "shape", "--input",
                running.folder("seen.jsonl"),
            ], input: Data("r.version\n".utf8))
        #expect(repl.output.hasPrefix("4 records\n") && repl.output.contains("1 : integer"))
        let again = try Tool.run(
            "run", running.folder.path, "--once", "--fresh", "--overwrite", "--input",
            running.folder("seen.jsonl"))
        #expect(again.status == 0, "\(again.errors)")
        #expect(running.rows.filter { number($0, "i") >= 0 }.count >= 4)
        #expect(next > 0)
    }

    @Test(arguments: [
        ("r.i >", "--where: Lua: unexpected symbol near ')'"),
        ("x.i > 1", "--where:1:1: undefined global \"x\""),
        ("os.exit(1)", "\"os\" is not available here"),
        ("", "--where: Lua: unexpected symbol near ')'"),
    ])
    func `a bad condition is one clear error`(condition: String, message: String) throws {
        let running = try Running()
        let tap = try running.tool("tap", "shape", "--where", condition)
        #expect(tap.status == 2 && tap.output.isEmpty)
        #expect(tap.errors.hasPrefix("error: ") && tap.errors.contains(message), "\(tap.errors)")
        #expect(tap.errors.split(separator: "\n").count == 2)
    }

    @Test func `a condition that fails is said once, and never stops the pipeline`() throws {
        let running = try Running()
        let condition = "r.i % 2 == 0 and (r.none > 1) or r.i == 41 or r.i % 7 == 5"
        let (outcome, _) = try whileFeeding(
            running, ["tap", "shape", "-n", "3", "--where", condition])
        #expect(outcome.status == 0 && records(outcome.output).count == 3)
        #expect(outcome.errors.contains("the condition failed for"), "\(outcome.errors)")
        #expect(outcome.errors.contains("--where:1: attempt to compare"))
        // The looker's own budget, not the worker's.
        let (endless, next) = try whileFeeding(
            running,
            [
                "tap", "shape", "-n", "1", "--where",
                "r.i % 2 == 1 or string.rep('a', 30):find(('a-'):rep(30) .. 'b')",
            ],
            from: 1000)
        #expect(endless.status == 0)
        #expect(
            running.wait { (running.rows.last.map { number($0, "i") } ?? 0) == Double(next - 1) })
        #expect(try running.stop()["dead_letters"] == 0)
    }

    @Test func `what a tap takes is still counted as dropped`() throws {
        let running = try Running()
        try load("function process(r) return route(\"nowhere\") end", running)
        let (outcome, next) = try whileFeeding(running, ["tap", "shape.nowhere", "-n", "30"])
        #expect(records(outcome.output).count == 30)
        let summary = try running.stop()
        #expect(number(summary, "read") >= 30 && number(summary, "read") <= Double(next))
        let drops: Value = .object([
            Field("no sink for shape.nowhere", summary["read"] ?? .null)
        ])
        #expect(summary["dropped"] == drops, "\(summary)")
    }

    @Test func `lookers see a version that comes while they look`() throws {
        let running = try Running()
        let tap = Process()
        tap.executableURL = URL(fileURLWithPath: Tool.binary)
        tap.arguments = [
            "tap", "shape", "-n", "1", "--where", "r.version == 2", "--data",
            running.folder("data"),
        ]
        let output = Pipe()
        tap.standardOutput = output
        try tap.run()
        try running.add(50, from: 0)
        #expect(running.wait { running.rows.count == 50 })
        try load("function process(r) r.version = 2 end", running)
        var next = 50
        #expect(
            running.wait {
                try? running.add(5, from: next)
                next += 5
                return !tap.isRunning
            })
        if tap.isRunning { kill(tap.processIdentifier, SIGKILL) }
        let rows = output.fileHandleForReading.readDataToEndOfFile()
        #expect(records(String(decoding: rows, as: UTF8.self)).count == 1)
    }

    @Test func `mistakes of use are one clear message`() throws {
        let running = try Running()
        let wrong: [(arguments: [String], status: Int32, text: String)] = [
            (["profile", "shap"], 1, "did you mean \"shape\""),
            (["profile", "shape", "--seconds", "0"], 2, "--seconds must be from"),
            (["top", "--interval", "1x"], 2, "--interval must be a time"),
            (["top", "-n", "0"], 2, "above zero"),
            (["tap", "shape", "--save", "x.csv"], 2, "NAME.jsonl"),
            (["tap", "shape", "--save", "nowhere/x.jsonl"], 1, "(--save)"),
        ]
        for (arguments, status, text) in wrong {
            let outcome = try Tool.run(
                arguments: arguments + ["--data", running.folder("data")])
            #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
            #expect(outcome.errors.contains(text), "\(arguments): \(outcome.errors)")
        }
        _ = try running.stop()
        for verb in [["top"], ["profile", "shape"], ["tap", "shape"]] {
            let outcome = try Tool.run(arguments: verb + ["--data", running.folder("data")])
            #expect(outcome.status == 1 && outcome.errors.contains("no pipeline runs"))
        }
    }

    @Test(arguments: [1, 3])
    func `eight may tap at once, each what it asked for`(workers: Int) throws {
        let running = try Running(
            "reload: {watch: false, probation: {error_rate: 100%}}", workers: workers)
        let points = [
            "shape.in", "shape", "shape.dead", "shape.side", "shape.in", "shape", "shape.out",
            "shape.in",
        ]
        running.folder.write(
            """
            function process(r)
              if r.i % 5 == 4 then error("four") end
              emit({i = r.i, side = true}, "side")
              r.seen = true
              return r
            end
            """, to: "rules/shape.lua")
        #expect(try running.tool("reload", "--force").status == 0)
        var taps: [(process: Process, file: String)] = []
        for (number, point) in points.enumerated() {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Tool.binary)
            process.arguments = ["tap", point, "-n", "6", "--folder", running.folder.path]
            let file = running.folder("tap\(number)")
            running.folder.write("", to: "tap\(number)")
            process.standardOutput = FileHandle(forWritingAtPath: file)
            process.standardError = FileHandle.nullDevice
            try process.run()
            taps.append((process, file))
        }
        defer { for tap in taps where tap.process.isRunning { tap.process.terminate() } }
        var next = 0
        try #require(
            running.wait {
                try? running.add(10, from: next)
                next += 10
                return taps.allSatisfy { !$0.process.isRunning }
            })
        for (tap, point) in zip(taps, points) {
            #expect(tap.process.terminationStatus == 0)
            let rows = records(try String(contentsOfFile: tap.file, encoding: .utf8))
            #expect(rows.count == 6, "\(point)")
            for row in rows {
                let isRight =
                    switch point {
                    case "shape.in": row["seen"] == nil && row["side"] == nil
                    case "shape.dead": row["kind"] != nil
                    case "shape.side": row["side"] == true
                    default: row["seen"] == true
                    }
                #expect(isRight, "\(point): \(row)")
            }
        }
        // What nobody takes is dropped, and counted once, however many looked at it.
        let emitted = next - next / 5
        #expect(running.wait { running.rows.count == emitted })
        let summary = try running.stop()
        let dropped = summary["dropped"]?.text ?? ""
        #expect(dropped == "{\"no sink for shape.side\":\(emitted)}")
    }

    @Test func `the ninth tap is told that there are eight`() throws {
        let running = try Running()
        let taps = try (0..<8).map { number in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Tool.binary)
            process.arguments = ["tap", "shape", "--folder", running.folder.path]
            running.folder.write("", to: "tap\(number)")
            process.standardOutput = FileHandle(forWritingAtPath: running.folder("tap\(number)"))
            process.standardError = FileHandle.nullDevice
            try process.run()
            return process
        }
        var next = 0
        #expect(
            running.wait {
                try? running.add(1, from: next)
                next += 1
                return taps.indices.allSatisfy { !running.folder.text("tap\($0)").isEmpty }
            })
        let ninth = try running.tool("tap", "shape")
        #expect(ninth.status == 1)
        #expect(ninth.errors.contains("8 others have taps on this pipeline already"))
        for tap in taps { kill(tap.processIdentifier, SIGKILL) }
        for tap in taps { tap.waitUntilExit() }
        // Those that were killed give their places back.
        #expect(
            running.wait {
                let (tap, end) =
                    (try? whileFeeding(running, ["tap", "shape", "-n", "1"], from: next))
                    ?? (Tool.Outcome(status: 1, output: "", errors: ""), next)
                next = end
                return tap.status == 0
            })
        _ = try running.stop()
    }
}
