import Connecting
import Testing

@Suite struct SettingReaderTests {
    private func place(_ line: Int, _ column: Int) -> Location {
        Location(file: "pipeline.yaml", line: line, column: column)
    }

    private func entry(_ line: Int, _ key: String, _ content: Setting.Content) -> Setting.Entry {
        let value = Setting(content, at: place(line, key.count + 3))
        return Setting.Entry(key: key, location: place(line, 1), value: value)
    }

    private func reader(
        _ forms: KeyValuePairs<String, ValueForm>, _ entries: Setting.Entry...,
        rules: [KeyRule] = []
    ) -> SettingReader {
        let keys = forms.map { KeySpecification.optional($0, $1, "A key.", example: "x") }
        let section = SectionSpecification("sink.file", "A section.", keys: keys, rules: rules)
        return SettingReader(Setting(.mapping(entries), at: place(1, 1)), section)
    }

    private static let forms: KeyValuePairs<String, ValueForm> = [
        "a": .choice(["x", "y"]), "b": .flag, "c": .integer(1...7), "d": .duration(DurationForm()),
        "e": .size(1...Int.max), "f": .texts("a text"), "g": .choice(["x", "y"]),
        "none": .text("a text"),
    ]

    private func texts(_ findings: [Diagnostic]) -> [String] {
        findings.map { "\($0.location.line):\($0.location.column): \($0.message)" }
    }

    @Test func `every kind of value is read`() {
        var reader = reader(
            Self.forms, entry(1, "a", .scalar("x", quoted: false)),
            entry(2, "b", .scalar("true", quoted: false)),
            entry(3, "c", .scalar("7", quoted: false)), entry(4, "d", .scalar("2s", quoted: false)),
            entry(5, "e", .scalar("2KiB", quoted: true)),
            entry(6, "f", .sequence([Setting(.scalar("y", quoted: true), at: place(6, 5))])))
        #expect(reader.string("a") == "x")
        #expect(reader.strings("a") == ["x"])
        #expect(reader.strings("f") == ["y"])
        #expect(reader.bool("b") == true)
        #expect(reader.integer("c") == 7)
        #expect(reader.nanoseconds("d") == 2_000_000_000)
        #expect(reader.bytes("e") == 2048)
        #expect(reader.choice("a") == "x")
        #expect(reader.string("none") == nil)
        #expect(reader.choice("g") == nil)
        #expect(reader.finish().isEmpty)
    }

    @Test func `a wrong value is reported where it stands, and its key stays known`() {
        var reader = reader(
            Self.forms, entry(1, "a", .null), entry(2, "b", .scalar("true", quoted: true)),
            entry(3, "c", .scalar("8", quoted: false)),
            entry(4, "d", .scalar("-2s", quoted: false)),
            entry(5, "e", .scalar("9", quoted: false)), entry(6, "f", .sequence([])),
            entry(7, "g", .scalar("z", quoted: false)))
        #expect(reader.string("a") == nil)
        #expect(reader.bool("b") == nil)
        #expect(reader.integer("c") == nil)
        #expect(reader.nanoseconds("d") == nil)
        #expect(reader.bytes("e") == nil)
        _ = reader.strings("f")
        #expect(reader.choice("g") == nil)
        #expect(reader.string("none") == nil)
        #expect(
            texts(reader.finish()) == [
                "1:4: \"a\" must be a text that is not empty",
                "2:4: \"b\" must be true or false",
                "3:4: \"c\" must be a whole number from 1 to 7",
                "4:4: \"d\" must be a duration above zero, such as 500ms, 2s or 10m",
                "5:4: \"e\" must be a size above zero, such as 64KiB or 16MiB; 9 needs a unit",
                "6:4: \"f\" must not be an empty list",
                "7:4: \"g\" must be one of x, y; did you mean \"x\"?",
            ])
    }

    @Test func `an unknown key is reported at the key, a missing one at the mapping`() {
        let section = SectionSpecification(
            "sink.file", "A section.",
            keys: ["path", "format"].map {
                .required($0, .text("a text"), "A key.", example: "x")
            })
        let entry = entry(3, "pth", .scalar("x", quoted: false))
        var reader = SettingReader(Setting(.mapping([entry]), at: place(1, 1)), section)
        for key in ["path", "format"] { #expect(reader.string(key) == nil) }
        #expect(
            texts(reader.finish()) == [
                "3:1: unknown key \"pth\" in sink.file; did you mean \"path\"?",
                "1:1: sink.file needs the key \"format\"",
            ])
    }

    @Test func `what is no mapping is one finding, whatever is asked of it`() {
        let section = SectionSpecification(
            "limits", "A section.",
            keys: [.required("depth", .integer(1...2), "A key.", example: "1")])
        var reader = SettingReader(
            Setting(.scalar("x", quoted: false), at: place(2, 9)), section)
        #expect(reader.integer("depth") == nil)
        #expect(texts(reader.finish()) == ["2:9: limits must be a mapping of keys"])
    }

    @Test func `amounts beyond their bounds are told the bound`() {
        let forms: KeyValuePairs<String, ValueForm> = [
            "a": .duration(DurationForm(maximum: 60_000_000_000)),
            "b": .duration(.milliseconds), "c": .size(1...1 << 30), "d": .size(1 << 20...1 << 30),
            "e": .percentage, "f": .number(0...1), "g": .onlyTrue,
        ]
        var reader = reader(
            forms, entry(1, "a", .scalar("61s", quoted: false)),
            entry(2, "b", .scalar("1500us", quoted: false)),
            entry(3, "c", .scalar("2GiB", quoted: false)),
            entry(4, "d", .scalar("1KiB", quoted: false)),
            entry(5, "e", .scalar("1e1%", quoted: false)),
            entry(6, "f", .scalar("nan", quoted: false)),
            entry(7, "g", .scalar("false", quoted: false)))
        _ = reader.nanoseconds("a")
        #expect(reader.milliseconds("b") == nil)
        #expect(reader.bytes("c") == nil)
        #expect(reader.bytes("d") == nil)
        #expect(reader.share("e") == nil)
        #expect(reader.number("f") == nil)
        #expect(reader.bool("g") == nil)
        #expect(
            texts(reader.finish()) == [
                "1:4: \"a\" can be 60s at most",
                "2:4: \"b\" must be whole milliseconds, such as 500ms, 2s or 10m",
                "3:4: \"c\" can be 1GiB at most", "4:4: \"d\" must be from 1MiB to 1GiB",
                "5:4: \"e\" must be a percentage from 0% to 100%, such as 5%",
                "6:4: \"f\" must be a number from 0 to 1", "7:4: \"g\" can only be true",
            ])
    }

    @Test func `rules between keys are reported at the key that breaks them`() {
        let forms: KeyValuePairs<String, ValueForm> = [
            "a": .flag, "b": .flag, "c": .flag, "d": .flag,
        ]
        var reader = reader(
            forms, entry(1, "a", .scalar("true", quoted: false)),
            entry(2, "b", .scalar("false", quoted: false)),
            entry(3, "c", .scalar("true", quoted: false)),
            rules: [
                .atMostOne(["a", "b"], of: "a thing"), .needs("c", "d"), .needs("a", "b"),
                .needsTrue("c", "b", why: "it is so"), .needsTrue("b", "a", why: "it is not so"),
                .excludes("a", ["c", "d"]),
            ])
        for (key, _) in forms { _ = reader.bool(key) }
        #expect(
            texts(reader.finish()) == [
                "2:1: a thing has one of a, b", "3:1: \"c\" goes with d",
                "3:1: \"c\" needs \"b: true\": it is so", "3:1: \"c\" does not go with a",
            ])
    }

    @Test func `a key that is not declared cannot be read`() async {
        await #expect(processExitsWith: .failure) {
            let section = SectionSpecification("limits", "A section.", keys: [])
            let place = Location(file: "pipeline.yaml", line: 1, column: 1)
            var reader = SettingReader(Setting(.null, at: place), section)
            _ = reader.string("depth")
        }
    }

    @Test func `a declared key that nobody has read does not go unseen`() async {
        await #expect(processExitsWith: .failure) {
            let section = SectionSpecification(
                "limits", "A section.", keys: [.optional("a", .flag, "A key.", example: "true")])
            let place = Location(file: "pipeline.yaml", line: 1, column: 1)
            _ = SettingReader(Setting(.null, at: place), section).finish()
        }
    }
}
