import Foundation
import Records
import TestKit
import Testing

/// Handlers beside a stream, and what is said of them.
@Suite(.timeLimit(.minutes(30))) struct HandlerRunTests {
    private let folder = TemporaryFolder()

    private func write(_ pipeline: String, handler: String) {
        folder.write(pipeline, to: "pipeline.yaml")
        folder.write(handler, to: "rules/work.lua")
    }

    private func tool(_ arguments: String...) throws -> Tool.Outcome {
        try Tool.run(arguments: arguments + ["--folder", folder.path])
    }

    private func size(_ queue: String) throws -> Int {
        try tool("queue", "peek", queue, "--max", "1000").output.split(separator: "\n").count
    }

    private static let stream = """
        source: {file: {path: in.jsonl}}
        time: {field: at, format: rfc3339}
        sinks: [{from: source, queue: jobs}]

        """

    private func feed(_ count: Int) {
        let lines = (0..<count).map { "{\"n\":\($0),\"at\":\"2026-01-01T00:00:00Z\"}\n" }
        folder.write(lines.joined(), to: "in.jsonl")
    }

    @Test(arguments: [1, 3])
    func `a run to the end waits until handlers have done what came of it`(workers: Int) throws {
        write(
            Self.stream + """
                queues: {jobs: {}, more: {}, done: {}}
                handlers:
                  - {queue: jobs, script: rules/work.lua, concurrency: 2}
                  - {queue: more, script: rules/more.lua}
                """, handler: "function process(m) emit({n = m.n}, 'more') end")
        folder.write("function process(m) emit({n = m.n}, 'done') end", to: "rules/more.lua")
        feed(200)
        let run = try tool("run", "--once", "--workers", "\(workers)")
        #expect(run.status == 0, "\(run.errors)")
        #expect(try [size("jobs"), size("more"), size("done")] == [0, 0, 200])
    }

    @Test(
        arguments: [
            "", "time: {field: at, format: rfc3339}\n",
            "time: {field: at, format: epoch_ms, out_of_orderness: 5s}\n",
        ])
    func `messages are taken as they are, whatever time records have`(time: String) throws {
        write(
            "queues: {jobs: {}, done: {}}\nsource: {file: {path: in.jsonl}}\n" + time
                + "sinks: [{from: source, file: {path: out.jsonl}}]\n"
                + "handlers: [{queue: jobs, script: rules/work.lua}]\n",
            handler: "function process(m) emit({n = m.n}, 'done') end")
        folder.write("", to: "in.jsonl")
        for payload in [#"{"n":1}"#, #"{"n":2,"at":"never"}"#, #"{"n":3,"at":null}"#] {
            #expect(try tool("queue", "publish", "jobs", payload).status == 0)
        }
        let run = try tool("run", "--once")
        #expect(run.status == 0 && !run.errors.contains("warning"), "\(run.errors)")
        #expect(try [size("jobs"), size("done")] == [0, 3])
    }

    @Test func `a handler that fails is told of, though not each time`() throws {
        write(
            Self.stream + """
                queues: {jobs: {max_attempts: 1}}
                handlers: [{queue: jobs, script: rules/work.lua}]
                """, handler: "function process(m)\n  error('no luck')\nend")
        feed(300)
        let run = try tool("run", "--once")
        #expect(run.status == 0)
        #expect(try size("jobs.dead") == 300)
        for words in ["the handler of jobs failed on the message ", "of the queue jobs is dead ("] {
            let lines = run.errors.split(separator: "\n").filter { $0.contains(words) }
            // Each line stands for itself and those that it counts.
            let told = lines.map { line in
                1 + (line.firstMatch(of: /and (\d+) more like it/).flatMap { Int($0.1) } ?? 0)
            }
            #expect(told.reduce(0, +) == 300, "\(run.errors)")
            #expect(lines.count < 60 && lines.allSatisfy { $0.contains(" warning ") })
            #expect(lines.allSatisfy { $0.contains("rules/work.lua:2: no luck") })
        }
    }

    @Test func `a retry that comes soon is waited for`() throws {
        write(
            Self.stream + """
                queues: {jobs: {retry: 1500ms}}
                handlers: [{queue: jobs, script: rules/work.lua}]
                """,
            handler: "function process(m, meta) if meta.attempt == 1 then error('once') end end")
        feed(2)
        let run = try tool("run", "--once")
        #expect(run.status == 0 && run.errors.contains("waiting: the queue jobs has 2 waiting for"))
        #expect(try size("jobs") == 0)
    }

    @Test(arguments: [true, false])
    func `what waits for long, or for a person, is said and left`(hasSource: Bool) throws {
        write(
            (hasSource ? Self.stream : "") + """
                queues: {jobs: {}, other: {}}
                handlers:
                  - {queue: jobs, script: rules/work.lua}
                  - {queue: other, script: rules/work.lua}
                """, handler: "function process(m) end")
        feed(0)
        #expect(try tool("queue", "publish", "jobs", "{}", "--delay", "2h").status == 0)
        #expect(try tool("queue", "publish", "jobs", "{}").status == 0)
        #expect(try tool("queue", "publish", "other", "{}").status == 0)
        #expect(try tool("queue", "pause", "other").status == 0)
        let run = try tool("run", "--once")
        #expect(run.status == 0)
        #expect(
            run.errors.contains(
                " warning the queue jobs has 1 scheduled; the queue other has 1 ready and paused; "
                    + "that is left for a later run"), "\(run.errors)")
        #expect(try [size("jobs"), size("other")] == [1, 1])
    }
}
