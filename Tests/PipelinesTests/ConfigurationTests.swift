import Connectors
import Pipelines
import Stages
import TestKit
import Testing

@Suite struct ConfigurationTests {
    private static let start = "source: {file: {path: in.jsonl}}\n"
    private static let end = "sinks: [{null: {}}]\n"

    private func findings(_ yaml: String) -> [String] {
        let folder = TemporaryFolder()
        folder.write(yaml, to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/a.lua")
        folder.write("id,x\n1,2\n", to: "users.csv")
        do {
            _ = try readDefinition(
                folder: folder.path, environment: ["HOME": "/h", "EMPTY": ""], catalogue: .standard)
            return []
        } catch {
            return error.findings.map { "\($0.location.line):\($0.location.column): \($0.message)" }
        }
    }

    /// `<S>` stands for a sound source, `<E>` for sound sinks.
    private static let wrong: [(String, String)] = [
        ("", "1:1: the file is empty"), ("source: [", "YAML"), ("- a\n", "1:1: pipeline.yaml must be a mapping"),
        ("<E>", "1:1: pipeline.yaml needs the key \"source\""), ("<S>", "needs the key \"sinks\""),
        ("<S><E>sorce: 1\n", "3:1: unknown key \"sorce\" in pipeline.yaml; did you mean \"source\"?"),
        ("source: {fil: {path: x}}\n<E>", "1:10: unknown key \"fil\" in source; did you mean \"file\"?"),
        ("source: {file: {pth: x}}\n<E>", "1:17: unknown key \"pth\" in source.file; did you mean \"path\"?"),
        ("source: {file: {path: x, follow: maybe}}\n<E>", "1:34: \"follow\" must be true or false"),
        ("<S>sinks: [{nul: {}}]\n", "2:10: unknown key \"nul\" in sink; did you mean \"null\"?"),
        ("<S>sinks: []\n", "2:8: \"sinks\" must be a list of at least one sink"),
        ("<S>sinks: [{null: {}, stdout: {}}]\n", "2:20: sink names two connectors"),
        ("<S>sinks: [{null: {}}, {stdout: {}}]\n", "there is already a sink \"source\""),
        ("<S>sinks: [{from: nope, null: {}}]\n", "2:16: there is no stage \"nope\" before this"),
        ("<S>stages: [{name: a, transform: rules/b.lua}]\n<E>", "2:31: rules/b.lua: no such file"),
        ("<S>stages: [{name: a, transform: rules}]\n<E>", "2:31: rules: is a directory"),
        ("<S>stages: [{name: a, transfrom: rules/a.lua}]\n<E>", "unknown key \"transfrom\""),
        ("<S>stages: [{name: a}]\n<E>", "the stage does nothing"),
        ("<S>stages: [{transform: rules/a.lua}]\n<E>", "2:10: stage needs the key \"name\""),
        ("<S>stages: [{name: a, transform: rules/a.lua}, {name: a, transform: rules/a.lua}]\n<E>",
            "2:52: there is already a stage \"a\""),
        ("<S>stages: [{name: 1 x, transform: rules/a.lua}]\n<E>", "a name has letters"),
        ("<S>stages: [{name: source, transform: rules/a.lua}]\n<E>", "the engine's own name"),
        ("<S>stages: [{name: a, transform: rules/a.lua, budget: 0s}]\n<E>", "\"budget\" must be a duration above zero"),
        ("<S>stages: [{name: a, transform: rules/a.lua, budget: 5}]\n<E>", "\"budget\" must be a duration"),
        ("<S>stages: [{name: a, transform: rules/a.lua, lookups: [x]}]\n<E>", "there is no lookup \"x\""),
        ("<S>stages: [{name: a, transform: rules/a.lua, enrich: rules/a.lua}]\n<E>", "a stage has one of"),
        ("<S>stages: [{name: a, validate: {}}]\n<E>", "2:30: validate needs a schema"),
        ("<S>stages: {a: 1}\n<E>", "\"stages\" must be a list"),
        ("<S>lookups: {u: {file: users.csv}}\n<E>", "lookups.u needs the key \"key\""),
        ("<S>lookups: {u: {file: gone.csv, key: id}}\n<E>", "2:21: gone.csv: no such file"),
        ("<S>limits: {record: 0B}\n<E>", "2:18: \"record\" must be a size above zero"),
        ("<S>limits: {depth: -1}\n<E>", "\"depth\" must be a whole number"),
        ("<S>commit: {every: 5 parsecs}\n<E>", "\"every\" must be a duration"),
        ("<S>partitions: 0\n<E>", "\"partitions\" must be a whole number from 1 to 32768"),
        ("<S>name: ${NOPE}\n<E>", "2:7: the environment variable NOPE is not set"),
        ("<S>name: \"${NOPE\"\n<E>", "without its \"}\""),
        ("<S><S><E>", "2:1: the key \"source\" is given twice"),
        ("source: {file: {path: a, path: b}}\n<E>", "1:26: the key \"path\" is given twice"),
        ("<S>queues: {}\n<E>", "2:1: \"queues\" is not in this version yet"),
        ("source: {file: {path: x}, generate: {script: y}}\n<E>", "source names two connectors"),
        ("sources: {a: {file: {path: x}}, b: {file: {path: y}}}\n<E>", "several sources are not in this version"),
        ("<S>sinks: [{file: {path: o}}, {name: b, file: {path: o}}]\n", "another sink already writes to \"o\""),
        ("<S>a: &x 1\nb: *x\n<E>", "unknown key"),
    ]

    @Test(arguments: wrong)
    func `a wrong configuration is told with its place`(yaml: String, expected: String) {
        let text = yaml.replacing("<S>", with: Self.start).replacing("<E>", with: Self.end)
        let found = findings(text)
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    @Test func `a full configuration is read`() throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            name: ${NAME:-video}
            source: {file: {path: "in/*.jsonl", format: jsonl}}
            key: user_id
            partitions: 4
            lookups: {users: {file: users.csv, key: id, refresh: 5s}}
            stages:
              - {name: check, validate: {rules: rules/a.lua}}
              - {name: shape, transform: rules/a.lua, budget: 50ms}
              - {name: side, from: check, route: rules/a.lua, lookups: [users]}
              - {name: letters, from: dead_letters, transform: rules/a.lua}
            sinks:
              - {from: shape, file: {path: "${OUT:-out/x.jsonl}"}}
              - {from: side.left, name: left, null: {}}
              - {from: letters, stdout: {}}
            limits: {script_memory: 1MiB, record: 64KiB, depth: 10, state_memory: 1GiB}
            commit: {records: 10, every: 1s}
            """, to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/a.lua")
        folder.write("id,x\n", to: "users.csv")
        let definition = try readDefinition(
            folder: folder.path, environment: [:], catalogue: .standard)
        #expect(definition.name == "video")
        #expect(definition.stages.map(\.name) == ["check", "shape", "side", "letters"])
        #expect(definition.stages[2].from == .stage(0, output: nil))
        #expect(definition.stages[1].budgetNanoseconds == 50_000_000)
        #expect(definition.sinks.map(\.name) == ["shape", "left", "letters"])
        #expect(definition.sinks[1].from == .stage(2, output: "left"))
        #expect(definition.limits.record == 64 << 10)
    }
}
