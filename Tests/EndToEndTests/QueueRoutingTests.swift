import Foundation
import Records
import TestKit
import Testing

/// Exchanges, schedules, retries and redrives in pipeline.yaml, as a user meets them.
@Suite struct QueueRoutingTests {
    private let folder = TemporaryFolder()

    private func tool(_ arguments: String..., input: String = "") throws -> RunProcess.Finished {
        try RunProcess.run(
            Tool.binary, arguments, folder: folder.path, input: Array(input.utf8))
    }

    private func records(_ finished: RunProcess.Finished) throws -> [Record] {
        try finished.outputText.split(separator: "\n").map { try Record(json: String($0)) }
    }

    private func payloads(_ queue: String) throws -> [String] {
        try records(try tool("queue", "peek", queue, "--max", "100")).map {
            $0["payload"]?.text ?? ""
        }
    }

    private func write(_ yaml: String, _ rules: [String: String] = [:]) {
        folder.write(yaml, to: "pipeline.yaml")
        for (name, text) in rules { folder.write(text, to: "rules/\(name).lua") }
    }

    private static let exchange = """
        queues: {notify: {}, archive: {}, express: {}, big: {}, rest: {}}
        exchanges:
          videos:
            topic_field: kind
            routes:
              - {topic: "video.*.done", queue: notify}
              - {topic: "video.#", queue: [archive]}
              - {headers: {tier: premium, size: {min: 10}}, queue: express}
              - {rule: rules/big.lua, queue: big}
            alternate: rest
          strict: {routes: [{topic: a, queue: rest}]}

        """

    private static let big = "function match(message) return message.payload.size > 1000 end"

    @Test func `messages go where topics, headers and scripts say`() throws {
        write(Self.exchange, ["big": Self.big])
        let sent = try tool("queue", "publish", "videos", #"{"kind":"video.eu.done","size":1}"#)
        let answer = try #require(try records(sent).first)
        guard case .object(let places)? = answer["queues"] else {
            Issue.record("no queues in \(answer)")
            return
        }
        #expect(places.map(\.name) == ["notify", "archive"] && places[0].value == answer["id"])
        _ = try tool("queue", "publish", "videos", #"{"size":2}"#, "--topic", "video.x.y.done")
        _ = try tool(
            "queue", "publish", "videos", #"{"size":3}"#, "--header", "tier=premium", "--header",
            "size=10")
        _ = try tool("queue", "publish", "videos", #"{"size":4}"#, "--header", "tier=premium")
        let lines = try tool(
            "queue", "publish", "videos", "-", "--batch", "2",
            input: "{\"size\":5000}\n{\"size\":5}\n{\"kind\":\"video\",\"size\":6}\n")
        #expect(try records(lines).map { $0["line"] } == [.integer(1), .integer(2), .integer(3)])
        #expect(try payloads("notify") == [#"{"kind":"video.eu.done","size":1}"#])
        #expect(
            try payloads("archive") == [
                #"{"kind":"video.eu.done","size":1}"#, #"{"size":2}"#,
                #"{"kind":"video","size":6}"#,
            ])
        #expect(try payloads("express") == [#"{"size":3}"#])
        #expect(try payloads("big") == [#"{"size":5000}"#])
        #expect(try payloads("rest") == [#"{"size":4}"#, #"{"size":5}"#])
        // Bytes that go to several queues are in the log once.
        let log = try Data(contentsOf: URL(fileURLWithPath: folder("data/journal/00000001.seg")))
        let text = Data(#"{"kind":"video.eu.done","size":1}"#.utf8)
        let first = try #require(log.range(of: text))
        #expect(log.range(of: text, in: first.upperBound..<log.endIndex) == nil)
    }

    @Test func `what no route takes is refused, and scripts that fail are told`() throws {
        write(Self.exchange, ["big": Self.big])
        let refused = try tool("queue", "publish", "strict", "{}", "--topic", "b")
        #expect(refused.status == 1 && refused.output.isEmpty)
        #expect(refused.errorText.contains("no route of \"strict\" takes the message"))
        let failed = try tool("queue", "publish", "videos", #"{"n":1}"#)
        #expect(failed.status == 0 && failed.errorText.contains("rules/big.lua:1"))
        #expect(try payloads("rest") == [#"{"n":1}"#])
        let wrong = try tool("queue", "publish", "rest", "{}", "--topic", "b")
        #expect(wrong.status == 2 && wrong.errorText.contains("exchanges"))
        let lines = try tool("queue", "publish", "strict", "-", input: "{}\n{}\n")
        #expect(lines.status == 1)
        #expect(lines.outputText.contains("{\"line\":1,\"error\":\"no route of"))
    }

    @Test func `a pipeline publishes to an exchange, and handlers do`() throws {
        write(
            """
            queues: {odd: {}, even: {}, all: {}, out: {}}
            exchanges:
              numbers:
                routes: [{rule: rules/odd.lua, queue: [odd, all]}, {queue: all}]
            source: {file: {path: in.jsonl}}
            sinks: [{from: source, queue: numbers}]
            handlers: [{queue: odd, script: rules/work.lua}]

            """,
            [
                "odd": "function match(message) return message.payload.n % 2 == 1 end",
                "work": "function process(r) emit({n = r.n * 2}, \"numbers\") end",
            ])
        folder.write("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n", to: "in.jsonl")
        let ran = try tool("run", ".", "--once")
        #expect(ran.status == 0, "\(ran.errorText)")
        #expect(try payloads("all").prefix(3) == [#"{"n":1}"#, #"{"n":2}"#, #"{"n":3}"#])
        // What handlers had no time for is done by a run without records.
        folder.write(
            try String(contentsOfFile: folder("pipeline.yaml"), encoding: .utf8)
                .split(separator: "\n").filter { !$0.hasPrefix("source") && !$0.hasPrefix("sinks") }
                .joined(separator: "\n"), to: "pipeline.yaml")
        let again = try tool("run", ".", "--once")
        #expect(again.status == 0, "\(again.errorText)")
        #expect(try payloads("odd").isEmpty)
        #expect(try payloads("all").suffix(2).sorted() == [#"{"n":2}"#, #"{"n":6}"#])
    }

    @Test func `a schedule ticks once a second, and what was missed comes late and once`() throws {
        write(
            """
            queues: {ticks: {}, work: {}}
            schedules:
              s: {cron: "* * * * * *", zone: Europe/Berlin, queue: ticks, payload: {a: [1, x]}}
            handlers: [{queue: work, script: rules/work.lua}]

            """, ["work": "function process(r) end"])
        #expect(try tool("run", ".", "--once").status == 0)
        #expect(try payloads("ticks").isEmpty)
        // The store knows when the schedule began; time passes until a tick was missed.
        let deadline = Date() + 20
        while try payloads("ticks").isEmpty, Date() < deadline {
            #expect(try tool("run", ".", "--once").status == 0)
        }
        let found = try records(try tool("queue", "peek", "ticks", "--max", "100"))
        #expect(found.first?["payload"]?.text == #"{"a":[1,"x"]}"#)
        let ids = found.compactMap { $0["id"]?.text }
        #expect(Set(ids).count == ids.count && ids.allSatisfy { $0.hasPrefix("cron:s:") })
    }

    @Test func `a tick waits for room in its queues, and the pipeline goes on`() throws {
        write(
            """
            queues: {small: {max_size: 1}, other: {}, ticks: {}, work: {}, done: {}}
            exchanges: {both: {routes: [{queue: [small, other]}]}}
            schedules:
              s: {cron: "* * * * * *", queue: both, missed: all}
              free: {cron: "* * * * * *", queue: ticks, missed: all}
            handlers: [{queue: work, script: rules/work.lua}]

            """, ["work": "function process(r) emit(r, \"done\") end"])
        _ = try tool("queue", "publish", "small", "{}")
        // What has room ticks all the same; each such tick is one that the other missed.
        #expect(
            wait {
                _ = try? tool("run", ".", "--once")
                return (try? payloads("ticks").count >= 2) == true
            })
        _ = try tool("queue", "publish", "work", "{}")
        let ran = try tool("run", ".", "--once")
        #expect(ran.status == 0, "\(ran.errorText)")
        #expect(try payloads("done").count == 1 && payloads("other").isEmpty)
        _ = try tool("queue", "purge", "small")
        #expect(try tool("run", ".", "--once").status == 0)
        // There is room for one of those that were missed.
        #expect(try payloads("other").count == 1 && payloads("small").count == 1)
    }

    @Test func `a script says when a message comes again, also for nack`() throws {
        write(
            "queues: {jobs: {retry: rules/retry.lua}}\n",
            [
                "retry": """
                function retry(message, attempt, error)
                  if error == "gone" then return nil end
                  if error == "odd" then return {} end
                  if error == "broken" then return message.nothing.there end
                  return message.payload.wait * attempt
                end
                """
            ])
        func fail(_ payload: String, _ error: String) throws -> RunProcess.Finished {
            _ = try tool("queue", "publish", "jobs", payload)
            let received = try records(try tool("queue", "receive", "jobs"))
            let receipt = try #require(received.first?["receipt"]?.text)
            return try tool("queue", "nack", "jobs", receipt, "--error", error)
        }
        #expect(try fail(#"{"wait":5000}"#, "x").status == 0)
        let waiting = try #require(try records(try tool("queue", "peek", "jobs")).first)
        #expect(waiting["state"] == .string("retrying"))
        let due = try #require(waiting["due_at"]?.text)
        let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        #expect(try Date(due, strategy: format).timeIntervalSinceNow > 4000)
        #expect(try fail("{}", "gone").status == 0)
        let dead = try #require(try records(try tool("queue", "peek", "jobs.dead")).first)
        #expect(dead["reason"] == .string("given_up"))
        for error in ["broken", "odd"] {
            let told = try fail("{}", error)
            #expect(told.status == 0 && told.errorText.contains("rules/retry.lua"))
            #expect(told.errorText.contains("1000 ms, doubled each time"))
        }
        folder.write("function retry(message) return end end", to: "rules/retry.lua")
        folder.write(
            "queues: {jobs: {retry: rules/retry.lua}}\nhandlers: [{queue: jobs, script: "
                + "rules/work.lua}]\n", to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/work.lua")
        let refused = try tool("run", ".", "--once")
        #expect(refused.status == 2 && refused.errorText.contains("rules/retry.lua:1:"))
    }

    @Test func `lint and a reload know the functions that queues ask`() throws {
        write(Self.exchange, ["big": "function mach(message) return unknown.size end"])
        let found = try tool("lint", ".")
        #expect(found.status == 1)
        #expect(found.errorText.contains("rules/big.lua:1:1"), "\(found.errorText)")
        #expect(found.errorText.contains("defines no function match(message)"))
        // A running pipeline refuses rules whose functions are gone, and goes on with the old ones.
        write(
            Self.exchange + "handlers: [{queue: big, script: rules/work.lua}]\n",
            ["big": Self.big, "work": "function process(r) emit(r, \"rest\") end"])
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.binary)
        process.arguments = ["run", folder.path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer { process.terminate() }
        #expect(wait { FileManager.default.fileExists(atPath: folder("data/control.sock")) })
        folder.write("function mach(message) end", to: "rules/big.lua")
        let refused = try tool("reload")
        #expect(refused.status == 1)
        #expect(refused.errorText.contains("rules/big.lua"), "\(refused.errorText)")
        _ = try tool("queue", "publish", "videos", #"{"size":5000}"#)
        #expect(wait { (try? payloads("rest")) == [#"{"size":5000}"#] })
        folder.write(
            "function match(message) return message.payload.size == 1 end", to: "rules/big.lua")
        #expect(try tool("reload").status == 0)
        _ = try tool("queue", "publish", "videos", #"{"size":5000,"n":2}"#)
        _ = try tool("queue", "publish", "videos", #"{"size":1}"#)
        #expect(wait { (try? payloads("rest").count) == 3 })
    }

    /// Waits until something is so; bounded.
    private func wait(_ condition: () -> Bool) -> Bool {
        let deadline = Date() + 20
        while Date() < deadline {
            if condition() { return true }
            RunLoop.current.run(until: Date() + 0.02)
        }
        return condition()
    }

    @Test func `a handler that snoozes sees the message again as the same delivery`() throws {
        write(
            """
            queues: {jobs: {max_attempts: 2}, out: {}}
            handlers: [{queue: jobs, script: rules/work.lua}]

            """,
            [
                "work": """
                local seen = 0
                function process(r, meta)
                  seen = seen + 1
                  emit({n = seen, attempt = meta.attempt}, "out")
                  if seen < 5 then return snooze("20ms") end
                end
                """
            ])
        _ = try tool("queue", "publish", "jobs", "{}")
        let ran = try tool("run", ".", "--once")
        #expect(ran.status == 0, "\(ran.errorText)")
        // What was emitted before a snooze is not there.
        #expect(try payloads("out") == [#"{"attempt":1,"n":5}"#])
        #expect(try payloads("jobs.dead").isEmpty)
        write(
            "source: {file: {path: in.jsonl}}\nstages: [{name: a, transform: rules/a.lua}]\n"
                + "sinks: [{from: dead_letters, stdout: {}}]\n",
            ["a": "function process(r) return snooze(1) end"])
        folder.write("{}\n", to: "in.jsonl")
        let letter = try tool("run", ".", "--once", "--fresh")
        #expect(letter.outputText.contains("snooze works only in the script of a queue's handler"))
    }

    @Test func `a redrive is filtered and mapped by Lua, running or not`() throws {
        write("queues: {jobs: {max_attempts: 1}}\n")
        for number in 1...4 {
            _ = try tool("queue", "publish", "jobs", "{\"n\": \(number), \"s\":1.50}")
            let received = try records(try tool("queue", "receive", "jobs"))
            let receipt = try #require(received.first?["receipt"]?.text)
            _ = try tool("queue", "nack", "jobs", receipt, "--error", "e\(number)")
        }
        let dry = try tool("queue", "redrive", "jobs.dead", "--where", "payload.n > 2", "--dry-run")
        #expect(dry.outputText == "{\"redriven\":2,\"dry_run\":true}\n")
        folder.write(
            """
            function map(message)
              if message.attempts[1].error == "e4" then return drop("no use") end
              message.payload.n = message.payload.n * 10
            end
            """, to: "fix.lua")
        let mapped = try tool(
            "queue", "redrive", "jobs.dead", "--where", "payload.n > 2", "--map", "fix.lua",
            "--rate", "1000/s")
        #expect(mapped.outputText == "{\"redriven\":1,\"dropped\":1}\n")
        // What the script left alone is byte for byte what it was.
        let back = try tool("queue", "peek", "jobs").outputText
        #expect(back.contains("\"payload\":{\"n\": 30, \"s\":1.50}"))
        #expect(try payloads("jobs").count == 1 && payloads("jobs.dead").count == 2)
        let failed = try tool("queue", "redrive", "jobs.dead", "--where", "payload.x.y == 1")
        #expect(failed.status == 1 && failed.errorText.contains("failed on 2 messages"))
        for wrong in [["--where", "payload.n =="], ["--map", "none.lua"], ["--rate", "0"]] {
            let refused = try RunProcess.run(
                Tool.binary, ["queue", "redrive", "jobs.dead"] + wrong, folder: folder.path)
            #expect(refused.status == 2 && refused.output.isEmpty, "\(wrong)")
        }
        #expect(try payloads("jobs.dead").count == 2)
    }

    @Test func `a store keeps its number of partitions`() throws {
        let yaml = """
            source: {file: {path: in.jsonl}}
            sinks: [{from: source, stdout: {}}]

            """
        write(yaml)
        folder.write("{}\n", to: "in.jsonl")
        #expect(try tool("run", ".", "--once").status == 0)
        write(yaml + "partitions: 8\n")
        let refused = try tool("run", ".", "--once", "--log-level", "warning")
        #expect(refused.status == 2 && refused.output.isEmpty)
        #expect(
            refused.errorText == """
                pipeline.yaml:3:13: error: `partitions` is 8, but the store in data was made \
                with 16; write `partitions: 16`, or begin a new store with --data

                """)
        write(yaml + "partitions: 16\n")
        #expect(try tool("run", ".", "--once").status == 0)
    }
}
