import Connecting
import Connectors
import Definitions
import TestKit
import Testing

/// Every way to get routes, schedules and retries wrong: place, words, and no more.
@Suite struct BadQueueTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let yaml: String
        let expected: [String]
        var testDescription: String { expected.first ?? yaml }

        /// `<Q>` stands for a line with two sound queues.
        init(_ yaml: String, _ expected: String...) {
            self.yaml = yaml.replacing("<Q>", with: "queues: {jobs: {}, done: {}}\n")
            self.expected = expected
        }
    }

    static let cases: [Case] = [
        Case(
            "<Q>exchanges: []\n",
            "2:12: \"exchanges\" must map names to routes, such as {videos: {routes: [{topic: "
                + "\"video.#\", queue: jobs}]}}"),
        Case("<Q>exchanges: {a: {}}\n", "2:16: exchanges.a needs the key \"routes\""),
        Case(
            "<Q>exchanges: {a: {routes: []}}\n",
            "2:25: \"routes\" must be a list, such as [{topic: \"video.#\", queue: jobs}]"),
        Case(
            "<Q>exchanges: {jobs: {routes: [{queue: done}]}}\n",
            "2:13: there is already a queue \"jobs\""),
        Case(
            "<Q>exchanges: {a: {routes: [{queue: don}]}}\n",
            "2:34: there is no queue \"don\" under queues; did you mean \"done\"?"),
        Case(
            "<Q>exchanges: {a: {routes: [{queue: done}], alternate: job}}\n",
            "2:53: there is no queue \"job\" under queues; did you mean \"jobs\"?"),
        Case(
            "<Q>exchanges: {a: {routes: [{queue: done, topic: x, rule: rules/a.lua}]}}\n",
            "2:50: a route has one of topic, headers, rule"),
        Case(
            "<Q>exchanges: {a: {routes: [{queue: done, rule: rules/none.lua}]}}\n",
            "2:46: rules/none.lua: no such file"),
        Case(
            "<Q>exchanges: {a: {routes: [{queue: done, match: any}]}}\n",
            "2:40: \"match\" goes with headers"),
        Case(
            "<Q>exchanges: {a: {routes: [{queue: done, headers: {n: {min: 3, max: 2}}}]}}\n",
            "2:59: \"min\" is above max"),
        Case(
            "<Q>exchanges: {a: {routes: [{queue: done, topik: x}]}}\n",
            "2:40: unknown key \"topik\" in route; did you mean \"topic\"?"),
        Case(
            "queues: {jobs: {max_deaths: 0}}\n",
            "1:29: \"max_deaths\" must be a whole number from 1 to 100"),
        Case(
            "queues: {jobs: {dead_letter_queue: .audit}}\n",
            "1:36: queues whose names begin with a dot are the engine's"),
        Case(
            "<Q>schedules: {a: {cron: \"61 * * * *\", queue: jobs}}\n",
            "2:23: \"61 * * * *\" is no schedule; it has five fields, minute hour day month "
                + "weekday, such as \"*/15 * * * *\", or six with seconds in front"),
        Case(
            "<Q>schedules: {a: {cron: \"0 0 30 2 *\", queue: jobs}}\n",
            "2:23: \"0 0 30 2 *\" never happens"),
        Case(
            "<Q>schedules: {a: {cron: \"0 * * * *\", queue: jobz}}\n",
            "2:43: there is no queue or exchange \"jobz\"; did you mean \"jobs\"?"),
        Case(
            "<Q>schedules: {a: {cron: \"0 * * * *\", queue: jobs, zone: Europe/Berlim}}\n",
            "2:55: unknown time zone \"Europe/Berlim\"; did you mean \"Europe/Berlin\"?"),
        Case(
            "<Q>schedules: {a: {cron: \"0 * * * *\", queue: jobs, missed: never}}\n",
            "2:57: \"missed\" must be one of skip, once, all"),
        Case(
            "queues: {jobs: {retry: soon}}\n",
            "1:24: \"retry\" must be a duration such as 30s, a list such as [1s, 10s, 1m], a "
                + "mapping such as {base: 1s, factor: 2, cap: 1h}, or a Lua file"),
        Case(
            "queues: {jobs: {retry: [1s, 2]}}\n",
            "1:24: \"retry\" must be a duration such as 30s, a list such as [1s, 10s, 1m], a "
                + "mapping such as {base: 1s, factor: 2, cap: 1h}, or a Lua file"),
        Case(
            "queues: {jobs: {retry: rules/none.lua}}\n", "1:24: rules/none.lua: no such file"),
        Case(
            "<Q>source: {queue: job}\nsinks: [{from: source, queue: don}]\n",
            "2:17: there is no queue \"job\" under queues; did you mean \"jobs\"?",
            "3:31: there is no queue \"don\" under queues; did you mean \"done\"?"),
        Case(
            "<Q>exchanges: {a: {routes: [{topic: x, queue: done}]}}\nsource: {queue: a}\n"
                + "sinks: [{from: source, queue: a}]\n",
            "3:17: \"a\" is an exchange; a source reads from a queue",
            "4:31: a row that no route of \"a\" takes would stop the pipeline; give the exchange "
                + "an alternate, or a route without condition"),
    ]

    @Test(arguments: cases)
    func `queues that are wrong are told where and why`(given: Case) {
        let folder = TemporaryFolder()
        folder.write(given.yaml, to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/a.lua")
        let found: [String]
        do {
            _ = try readDefinition(folder: folder.path, environment: [:], catalogue: .standard)
            found = []
        } catch {
            found = error.findings.map {
                "\($0.location.line):\($0.location.column): \($0.message)"
            }
        }
        #expect(found == given.expected)
    }

    @Test func `a dead letter queue needs no declaration to be read or routed to`() throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            queues: {jobs: {dead_letter_queue: sick}, done: {}}
            exchanges: {a: {routes: [{queue: [sick, done.dead]}]}}
            source: {queue: sick}
            sinks: [{from: source, queue: a}]
            """, to: "pipeline.yaml")
        let read = try readDefinition(
            folder: folder.path, environment: [:], catalogue: .standard)
        #expect(read.exchanges.first?.routes.first?.queues == ["sick", "done.dead"])
    }
}
