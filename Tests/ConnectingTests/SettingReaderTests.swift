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

    private func reader(_ entries: Setting.Entry...) -> SettingReader {
        SettingReader(Setting(.mapping(entries), at: place(1, 1)), what: "sink.file")
    }

    private func texts(_ findings: [Diagnostic]) -> [String] {
        findings.map { "\($0.location.line):\($0.location.column): \($0.message)" }
    }

    @Test func `every kind of value is read`() {
        var reader = reader(
            entry(1, "a", .scalar("x", quoted: false)),
            entry(2, "b", .scalar("true", quoted: false)),
            entry(3, "c", .scalar("7", quoted: false)), entry(4, "d", .scalar("2s", quoted: false)),
            entry(5, "e", .scalar("2KiB", quoted: true)),
            entry(6, "f", .sequence([Setting(.scalar("y", quoted: true), at: place(6, 5))])))
        #expect(reader.string("a") == "x")
        #expect(reader.strings("a") == ["x"])
        #expect(reader.strings("f") == ["y"])
        #expect(reader.bool("b") == true)
        #expect(reader.integer("c", in: 1...7) == 7)
        #expect(reader.nanoseconds("d") == 2_000_000_000)
        #expect(reader.bytes("e") == 2048)
        #expect(reader.choice("a", of: ["x", "y"]) == "x")
        #expect(reader.string("none") == nil)
        #expect(reader.finish().isEmpty)
    }

    @Test func `a wrong value is reported where it stands, and its key stays known`() {
        var reader = reader(
            entry(1, "a", .null), entry(2, "b", .scalar("true", quoted: true)),
            entry(3, "c", .scalar("8", quoted: false)),
            entry(4, "d", .scalar("-2s", quoted: false)),
            entry(5, "e", .scalar("9", quoted: false)), entry(6, "f", .sequence([])),
            entry(7, "g", .scalar("z", quoted: false)))
        #expect(reader.string("a") == nil)
        #expect(reader.bool("b") == nil)
        #expect(reader.integer("c", in: 1...7) == nil)
        #expect(reader.nanoseconds("d") == nil)
        #expect(reader.bytes("e") == nil)
        _ = reader.strings("f")
        #expect(reader.choice("g", of: ["x", "y"]) == nil)
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
        var reader = reader(entry(3, "pth", .scalar("x", quoted: false)))
        reader.require("path")
        reader.require("format")
        #expect(
            texts(reader.finish()) == [
                "3:1: unknown key \"pth\" in sink.file; did you mean \"path\"?",
                "1:1: sink.file needs the key \"format\"",
            ])
    }

    @Test func `what is no mapping is one finding, whatever is asked of it`() {
        var reader = SettingReader(
            Setting(.scalar("x", quoted: false), at: place(2, 9)), what: "limits")
        reader.require("depth")
        #expect(reader.integer("depth", in: 1...2) == nil)
        #expect(texts(reader.finish()) == ["2:9: limits must be a mapping of keys"])
    }
}
