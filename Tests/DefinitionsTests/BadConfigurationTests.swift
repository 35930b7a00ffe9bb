import Connecting
import Connectors
import Definitions
import TestKit
import Testing

/// Every way to get `pipeline.yaml` wrong, and the whole answer to it: place, words, and no more.
@Suite struct BadConfigurationTests {
    /// `<S>` stands for a sound source in a line of its own, `<E>` for a sound sink, `<T>` for a
    /// sound list of stages.
    struct Case: Sendable, CustomTestStringConvertible {
        let yaml: String
        let expected: [String]
        var testDescription: String { expected.first ?? yaml }

        init(_ yaml: String, _ expected: String...) { self.init(yaml, expected) }

        init(_ yaml: String, _ expected: [String]) {
            self.yaml = yaml.replacing("<S>", with: "source: {file: {path: in.jsonl}}\n")
                .replacing("<E>", with: "sinks: [{null: {}}]\n")
                .replacing("<T>", with: "stages: [{name: a, transform: rules/a.lua}]\n")
            self.expected = expected
        }
    }

    static let structure: [Case] = [
        Case("", "1:1: the file is empty"),
        Case("# nothing but a comment\n", "1:1: the file is empty"),
        Case("- a\n", "1:1: pipeline.yaml must be a mapping of keys"),
        Case("just text\n", "1:1: pipeline.yaml must be a mapping of keys"),
        Case("<S><E>\tkey: a\n", "3:1: YAML: found character that cannot start any token"),
        Case("source: [\n", "2:1: YAML: did not find expected node content"),
        Case(
            "source: {file: {path: ${IN}}}\n<E>",
            "1:24: YAML: did not find expected ',' or '}'; a value with ${ needs quotes"),
        Case(
            "<S><E>---\na: 1\n",
            "3:1: YAML: expected a single document in the stream but found another document"),
        Case(
            "<S><E>name: &n x\nkey: *n\n",
            "3:7: anchors and aliases are not supported; write the value out"),
        Case("<S><E>name: *n\n", "3:7: YAML: found undefined alias"),
        Case("<S><E>partitions: !odd 4\n", "3:13: tags such as !odd are not supported"),
        Case("<S><E>? [a]\n: 1\n", "3:3: a key must be a text"),
        Case("<S><E>name: \"a\u{1}\"\n", "3:9: YAML: control characters are not allowed"),
        Case("<S><S><E>", "2:1: the key \"source\" is given twice in this mapping"),
        Case(
            "name: a\n<T><S><E>name: b\nname: c\n",
            "5:1: the key \"name\" is given twice in this mapping",
            "6:1: the key \"name\" is given twice in this mapping"),
        Case(
            "source: {file: {path: a, 'path': b, folow: true}}\n<E>commit: {every: "
                + "1s, every: 2s}\n",
            "1:26: the key \"path\" is given twice in this mapping",
            "1:37: unknown key \"folow\" in source.file; did you mean \"follow\"?",
            "3:21: the key \"every\" is given twice in this mapping"),
        Case(
            "<S><E>stages:\n  - name: a\n    name: b\n    transform: rules/a.lua\n",
            "5:5: the key \"name\" is given twice in this mapping"),
        Case(
            "<S><E>\"key\": a\nkey: b\n'key': c\n",
            "4:1: the key \"key\" is given twice in this mapping",
            "5:1: the key \"key\" is given twice in this mapping"),
        Case("<E>", "1:1: pipeline.yaml needs the key \"source\""),
        Case("<S>", "1:1: pipeline.yaml needs the key \"sinks\""),
        Case(
            "<S><E>sorce: 1\n",
            "3:1: unknown key \"sorce\" in pipeline.yaml; did you mean \"source\"?"),
        Case("<S><E>zebra: 1\n", "3:1: unknown key \"zebra\" in pipeline.yaml"),
        Case(
            "<S><E>queues: {jobs: {max_sise: 3}}\n",
            "3:17: unknown key \"max_sise\" in queues.jobs; did you mean \"max_size\"?"),
        Case(
            "<S><E>queues: {jobs: {lease: 30}}\n",
            "3:24: \"lease\" must be a duration above zero, such as 500ms, 2s or 10m; 30 needs a unit"
        ),
        Case(
            "<S><E>handlers: [{queue: job, script: pipeline.yaml}]\nqueues: {jobs: {}}\n",
            "3:20: there is no queue \"job\" under queues; did you mean \"jobs\"?"),
        Case(
            "<S><E>store: {catalogue: often}\n",
            "3:20: \"catalogue\" must be off, or a duration such as 5s or 1m"),
        Case("<S><E>store: {segment: 1KiB}\n", "3:18: \"segment\" must be from 1MiB to 1GiB"),
    ]

    static let connectors: [Case] = [
        Case(
            "source: {file: {pth: x}}\n<E>",
            "1:17: unknown key \"pth\" in source.file; did you mean \"path\"?"),
        Case(
            "source: {fil: {path: x}}\n<E>",
            "1:10: unknown key \"fil\" in source; did you mean \"file\"?"),
        Case("source: file\n<E>", "1:9: source must be a mapping, such as {file: …}"),
        Case("source: {file: 7}\n<E>", "1:16: source.file must be a mapping of keys"),
        Case("source: {}\n<E>", "1:9: source names no connector: one of file, generate, queue"),
        Case(
            "source: {file: {path: x, follow: maybe}}\n<E>",
            "1:34: \"follow\" must be true or false"),
        Case(
            "source: {file: {path: x}, generate: {script: rules/a.lua}}\n<E>",
            "1:27: source names two connectors; one is allowed"),
        Case(
            "sources: {a: {file: {path: x}}, a: {file: {path: y}}}\n<E>",
            "1:33: the key \"a\" is given twice in this mapping"),
        Case(
            "sources: {a: {file: {path: x}}, b: {file: {path: y}}}\n<T><E>",
            "2:17: there is already a source \"a\""),
        Case(
            "sources: {a: {file: {path: x}}, source: {fil: {}}}\n<E>",
            "1:33: \"source\" is the engine's own name",
            "1:42: unknown key \"fil\" in source; did you mean \"file\"?"),
        Case(
            "sources: {}\n<E>",
            "1:10: \"sources\" must map names to sources, such as {events: {file: …}}"),
        Case("<S>sources: {}\n<E>", "2:1: give source or sources, not both"),
        Case(
            "sources: {1a: {file: {path: x}}}\n<E>",
            "1:11: \"1a\": a name has letters, digits, _ and -, and begins with a letter or _"),
        Case("<S>sinks: []\n", "2:8: \"sinks\" must be a list of at least one sink"),
        Case("<S>sinks: {null: {}}\n", "2:8: \"sinks\" must be a list of at least one sink"),
        Case("<S>sinks: [null]\n", "2:9: sink must be a mapping, such as {file: …}"),
        Case(
            "<S>sinks: [{nul: {}}]\n",
            "2:10: unknown key \"nul\" in sink; did you mean \"null\"?"),
        Case(
            "<S>sinks: [{from: source}]\n",
            "2:9: sink names no connector: one of file, stdout, null, queue"),
        Case(
            "<S>sinks: [{null: {}, stdout: {}}]\n",
            "2:20: sink names two connectors; one is allowed"),
        Case(
            "<S>sinks: [{null: {}}, {stdout: {}}]\n",
            "2:21: there is already a sink \"source\"; give this one a name of its own"),
        Case(
            "<S>sinks: [{name: a, null: {}}, {name: a, stdout: {}}]\n",
            "2:37: there is already a sink \"a\"; give this one a name of its own"),
        Case(
            "<S>sinks: [{file: {path: o/x}}, {name: b, file: {path: ./o//x}}]\n",
            "2:53: another sink already writes to \"./o//x\""),
        Case(
            "<S>sinks: [{from: nope, null: {}}]\n",
            "2:16: there is no stage \"nope\" before this"),
        Case(
            "<S>sinks: [{stdout: {key_field: k}}]\n",
            "2:19: \"key_field\" needs \"outbox: true\": rows that go out at once have no stable key"
        ),
        Case(
            "<S>sinks: [{stdout: {outbox: false, key_field: 7}}, {name: b, stdout: {outbox: 1}}]\n",
            "2:34: \"key_field\" needs \"outbox: true\": rows that go out at once have no stable key",
            "2:77: \"outbox\" must be true or false"),
        Case(
            "<S>sinks: [{stdout: {outbox: true, key_field: k}}]\ndurability: memory\n",
            "2:27: an outbox needs a store, and \"durability: memory\" keeps none; choose disk, "
                + "{disk-within: 100ms} or os-cache"),
        Case("<S>sinks: [{from: ., null: {}}]\n", "2:16: \".\" must be STAGE or STAGE.OUTPUT"),
        Case("<S><T>sinks: [{from: a., null: {}}]\n", "3:16: \"a.\" must be STAGE or STAGE.OUTPUT"),
        Case(
            "<S>sinks: [{from: source.x, null: {}}]\n",
            "2:16: \"source\" has no named outputs"),
    ]

    static let stages: [Case] = [
        Case("<S>stages: {a: 1}\n<E>", "2:9: \"stages\" must be a list"),
        Case(
            "<S>stages: [a]\n<E>",
            "2:10: a stage must be a mapping, such as {name: shape, transform: rules/shape.lua}"),
        Case(
            "<S>stages: [{name: a, transform: rules/b.lua}]\n<E>", "2:31: rules/b.lua: no such file"
        ),
        Case(
            "<S>stages: [{name: a, transform: rules}]\n<E>",
            "2:31: rules: is a directory, not a file"),
        Case(
            "<S>stages: [{name: a, transform: [x]}]\n<E>",
            "2:31: \"transform\" must be a text that is not empty"),
        Case(
            "<S>stages: [{name: a, transfrom: rules/a.lua}]\n<E>",
            "2:20: unknown key \"transfrom\" in stage; did you mean \"transform\"?"),
        Case(
            "<S>stages: [{name: a}]\n<E>",
            "2:17: the stage does nothing: it needs validate, transform, enrich, route, aggregate"),
        Case("<S>stages: [{transform: rules/a.lua}]\n<E>", "2:10: stage needs the key \"name\""),
        Case(
            "<S>stages: [{name: a, transform: rules/a.lua}, {name: a, route: rules/a.lua}]\n<E>",
            "2:52: there is already a stage \"a\""),
        Case(
            "<S>stages: [{name: 1 x, transform: rules/a.lua}]\n<E>",
            "2:17: \"1 x\": a name has letters, digits, _ and -, and begins with a letter or _"),
        Case(
            "<S>stages: [{name: source, transform: rules/a.lua}]\n<E>",
            "2:17: \"source\" is the engine's own name"),
        Case(
            "<S>stages: [{name: a, transform: rules/a.lua, enrich: rules/a.lua}]\n<E>",
            "2:44: a stage has one of validate, transform, enrich, route, aggregate"),
        Case(
            "<S>stages: [{name: a, validate: {}}]\n<E>",
            "2:30: validate needs a schema, rules, or both"),
        Case(
            "<S>stages: [{name: a, validate: s.json}]\n<E>",
            "2:30: validate must be a mapping of keys"),
        Case(
            "<S>stages: [{name: a, validate: {schema: s.json, rules: rules/b.lua}}]\n<E>",
            "2:39: s.json: no such file", "2:54: rules/b.lua: no such file"),
        Case(
            "<S>stages: [{name: a, transform: rules/a.lua, from: b}, {name: b, "
                + "route: rules/a.lua}]\n<E>",
            "2:50: there is no stage \"b\" before this; stages run in the order written"),
        Case(
            "<S>stages: [{name: check, route: rules/a.lua}, {name: b, from: chek, "
                + "route: rules/a.lua}]\n<E>",
            "2:61: there is no stage \"chek\" before this; did you mean \"check\"?"),
        Case(
            "<S>stages: [{name: a, transform: rules/a.lua, budget: 0s}]\n<E>",
            "2:52: \"budget\" must be a duration above zero, such as 500ms, 2s or 10m"),
        Case(
            "<S>stages: [{name: a, transform: rules/a.lua, budget: 5}]\n<E>",
            "2:52: \"budget\" must be a duration above zero, such as 500ms, 2s or "
                + "10m; 5 needs a unit"
        ),
        Case(
            "<S>stages: [{name: a, transform: rules/a.lua, budget: 61s}]\n<E>",
            "2:52: \"budget\" can be 60s at most"),
        Case(
            "<S>lookups: {users: {file: users.csv, key: id}}\n"
                + "stages: [{name: a, transform: rules/a.lua, lookups: [users, user]}]\n<E>",
            "3:61: there is no lookup \"user\"; did you mean \"users\"?"),
    ]

    static let values: [Case] = [
        Case("<S>lookups: {u: {file: users.csv}}\n<E>", "2:14: lookups.u needs the key \"key\""),
        Case("<S>lookups: {u: {file: gone.csv, key: id}}\n<E>", "2:21: gone.csv: no such file"),
        Case("<S>lookups: [u]\n<E>", "2:10: \"lookups\" must map names to files"),
        Case(
            "<S>limits: {record: 0B}\n<E>",
            "2:18: \"record\" must be a size above zero, such as 64KiB or 16MiB"),
        Case("<S>limits: {record: 2GiB}\n<E>", "2:18: \"record\" can be 1GiB at most"),
        Case(
            "<S>limits: {script_memory: 64}\n<E>",
            "2:25: \"script_memory\" must be a size above zero, such as 64KiB or "
                + "16MiB; 64 needs a unit"
        ),
        Case(
            "<S>limits: {depth: -1}\n<E>", "2:17: \"depth\" must be a whole number from 1 to 5000"
        ),
        Case(
            "<S>limits: {record: 1MiB, emitted: 64KiB}\n<E>",
            "2:33: \"emitted\" cannot be less than \"record\", 1048576 bytes"),
        Case(
            "<S>partitions: 0\n<E>", "2:13: \"partitions\" must be a whole number from 1 to 32768"),
        Case(
            "<S>partitions: 1.5\n<E>", "2:13: \"partitions\" must be a whole number from 1 to 32768"
        ),
        Case(
            "<S>partitions: \"4\"\n<E>",
            "2:13: \"partitions\" must be a whole number from 1 to 32768"),
        Case(
            "<S>commit: {every: 5 parsecs}\n<E>",
            "2:17: \"every\" must be a duration above zero, such as 500ms, 2s or 10m"),
        Case(
            "<S>commit: {records: 0}\n<E>",
            "2:19: \"records\" must be a whole number from 1 to 10000000"),
        Case("<S>key: [a]\n<E>", "2:6: \"key\" must be a text that is not empty"),
        Case(
            "<S>time: {fild: at}\n<E>",
            "2:8: unknown key \"fild\" in time; did you mean \"field\"?"),
        Case(
            "<S>time: {field: at, out_of_orderness: -1s}\n<E>",
            "2:37: \"out_of_orderness\" must be a duration, such as 500ms, 2s or 10m"),
        Case(
            "<S>delivery: exactly_onse\n<E>",
            "2:11: \"delivery\" must be one of exactly_once, at_least_once, "
                + "at_most_once; did you mean \"exactly_once\"?"
        ),
        Case("<S>checkpoint: {}\n<E>", "2:13: checkpoint needs the key \"every\""),
        Case(
            "<S>reload: {max_difference: 101%}\n<E>",
            "2:26: \"max_difference\" must be a percentage from 0% to 100%, such as 5%"),
        Case(
            "<S>reload: {probation: {error_rate: 5}}\n<E>",
            "2:34: \"error_rate\" must be a percentage from 0% to 100%, such as 5%"),
        Case(
            "<S>name: ${NOPE}\n<E>",
            "2:7: the environment variable NOPE is not set; set it, or write ${NOPE:-default}"),
        Case("<S>name: \"${HOME\"\n<E>", "2:7: \"${\" without its \"}\""),
        Case("<S>name: ${}\n<E>", "2:7: \"${}\" must be ${NAME} or ${NAME:-default}"),
        Case(
            "<S>name: ${A:-${HOME}}\n<E>",
            "2:7: \"${A:-${HOME}\" must be ${NAME} or ${NAME:-default}"),
    ]

    static func findings(
        _ bytes: [UInt8], environment: [String: String] = ["HOME": "/h"]
    ) -> [String] {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        folder.write(bytes, to: "pipeline.yaml")
        folder.write("function process(r) end", to: "rules/a.lua")
        folder.write("id,x\n1,2\n", to: "users.csv")
        do {
            _ = try readDefinition(
                folder: folder.path, environment: environment, catalogue: .standard)
            return []
        } catch {
            return error.findings.map { "\($0.location.line):\($0.location.column): \($0.message)" }
        }
    }

    @Test(arguments: structure + connectors + stages + values)
    func `a wrong configuration gets this answer and no other`(_ wrong: Case) {
        #expect(Self.findings(Array(wrong.yaml.utf8)) == wrong.expected)
    }

    @Test func `a file that is not UTF-8 is told where it ceases to be`() {
        let bytes = Array("name: a\nkey: x".utf8) + [0xFF, 0x0A]
        #expect(
            Self.findings(bytes) == [
                "2:7: the file is not valid UTF-8 from here on; save it as UTF-8"
            ])
    }

    @Test func `a byte order mark and Windows line ends move no place`() {
        let bytes = [0xEF, 0xBB, 0xBF] + Array("nme: a\r\nsource: {null: {}}\r\n".utf8)
        #expect(
            Self.findings(bytes) == [
                "1:1: unknown key \"nme\" in pipeline.yaml; did you mean \"name\"?",
                "1:1: pipeline.yaml needs the key \"sinks\"",
                "2:10: unknown key \"null\" in source",
            ])
    }

    @Test(arguments: ["[", "{a: ", "- "])
    func `endless nesting is an error, not a crash`(_ opening: String) {
        let found = Self.findings(Array(String(repeating: opening, count: 20_000).utf8))
        #expect(found.count == 1)
    }

    @Test func `aliases cannot make a small file large`() {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...60 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        #expect(Self.findings(Array(text.utf8)).count == 61)
    }

    @Test func `a file of repeated keys is given up in time`() {
        let text = String(repeating: "name: a\n", count: 500)
        #expect(Self.findings(Array(text.utf8)).last?.contains("too many keys") == true)
    }

    @Test func `a missing folder, a file for a folder and a missing pipeline file are told`() {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        folder.write("x", to: "file")
        folder.write("x", to: "inner/pipeline.yaml/x")
        for (path, words) in [
            ("none", "no such folder"), ("file", "is not a folder"),
            ("", "has no readable pipeline.yaml"), ("inner", "is a directory, not a file"),
        ] {
            let error = #expect(throws: DiagnosticList.self) {
                try readDefinition(
                    folder: folder(path), environment: [:], catalogue: .standard)
            }
            #expect(error?.findings.count == 1)
            #expect(error?.findings.first?.location.description == "pipeline.yaml:1:1")
            #expect(error?.findings.first?.message.contains(words) == true)
        }
    }
}
