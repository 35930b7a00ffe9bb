import Connecting
import Connectors
import Definitions
import TestKit
import Testing

@Suite struct DefinitionTests {
    private func read(
        _ yaml: String, environment: [String: String] = [:]
    ) throws -> Definition {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        folder.write(yaml, to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/a.lua")
        folder.write("{}", to: "schemas/a.json")
        folder.write("id,x\n", to: "users.csv")
        return try readDefinition(
            folder: folder.path, environment: environment, catalogue: .standard)
    }

    @Test func `a full configuration is read, with the settings kept for later`() throws {
        let definition = try read(
            """
            name: video
            sources: {events: {file: {path: "in/*.jsonl"}}}
            time: {field: at, out_of_orderness: 0s, idle_after: 30s, max_future_skew: 1h}
            key: user_id
            partitions: 4
            lookups: {users: {file: users.csv, key: id, refresh: 5s}}
            stages:
              - {name: check, validate: {schema: schemas/a.json, rules: rules/a.lua}}
              - {name: shape, enrich: rules/a.lua, budget: 50ms, lookups: [users]}
              - {name: side, from: check.odd, route: rules/a.lua}
            sinks:
              - {from: shape, file: {path: out/x.jsonl}}
              - {from: dead_letters, stdout: {}}
              - {name: rest, null: {}}
            reload:
              watch: true
              shadow: 10
              max_difference: 2.5%
              probation: {records: 5, error_rate: 50%}
            limits: {script_memory: 1MiB, record: 64KiB, depth: 10, emitted: 1MiB, state_memory: 1GiB}
            delivery: at_least_once
            commit: {every: 1s, records: 10}
            checkpoint: {every: 10m}
            """)
        #expect(definition.source?.name == "events")
        #expect(definition.lookups.map(\.refreshNanoseconds) == [5_000_000_000])
        #expect(definition.stages.map(\.lookups) == [[], ["users"], []])
        #expect(
            definition.stages.map(\.from) == [
                .source, .stage(0, output: nil), .stage(0, output: "odd"),
            ])
        #expect(definition.sinks.map(\.name) == ["shape", "dead_letters", "rest"])
        #expect(
            definition.sinks.map(\.from) == [
                .stage(1, output: nil), .deadLetters, .stage(2, output: nil),
            ])
        #expect(definition.sinks[0].fromLocation.description == "pipeline.yaml:12:12")
        #expect(definition.time?.field == "at")
        #expect(definition.time?.outOfOrdernessMilliseconds == 0)
        #expect(definition.time?.maxFutureSkewMilliseconds == 3_600_000)
        #expect(definition.delivery == .atLeastOnce)
        #expect(definition.checkpointNanoseconds == 600_000_000_000)
        #expect(definition.reload?.maxDifference == 0.025)
        #expect(definition.reload?.probationErrorRate == 0.5)
        #expect(definition.limits.depth == 10)
        #expect(definition.limits.emitted == 1 << 20)
        #expect(definition.commit.records == 10)
    }

    @Test func `what is left out has the value of the contract`() throws {
        let definition = try read("source: {file: {path: x}}\nsinks: [{null: {}}]\n")
        #expect(definition.name == "pipeline")
        #expect(definition.source?.name == "source")
        #expect(definition.partitions == 16)
        #expect(definition.limits.scriptMemory == 64 << 20)
        #expect(definition.limits.record == 16 << 20)
        #expect(definition.limits.depth == 1000)
        #expect(definition.limits.stateMemory == 4 << 30)
        #expect(definition.limits.emitted == 64 << 20)
        #expect(definition.commit.records == 5000)
        #expect(definition.commit.everyNanoseconds == 200_000_000)
        #expect(definition.delivery == .exactlyOnce)
        #expect(definition.sinks.map(\.from) == [.source])
    }

    @Test(arguments: [
        ("${A}", "one"), ("x${A}y${B}", "xoneytwo"), ("${C:-three}", "three"),
        ("${E:-four}", "four"), ("$${A}", "${A}"), ("a$b", "a$b"), ("${C:-}z", "z"),
        ("${Y}", "a: [b, c] # d"),
    ])
    func `environment values are put in as text`(written: String, read value: String) throws {
        let environment = ["A": "one", "B": "two", "E": "", "Y": "a: [b, c] # d"]
        let definition = try read(
            "name: \"\(written)\"\nsource: {file: {path: x}}\nsinks: [{null: {}}]\n",
            environment: environment)
        #expect(definition.name == value)
    }

    @Test func `a plain scalar stays plain when a value is put in`() throws {
        let definition = try read(
            "partitions: ${N}\nsource: {file: {path: x}}\nsinks: [{null: {}}]\n",
            environment: ["N": "8"])
        #expect(definition.partitions == 8)
    }
}
