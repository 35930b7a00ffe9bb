import Records
import Scripting
import TestKit
import Testing

@Suite struct RecordTests {
    @Test func `an identity rule gives every record back byte for byte`() throws {
        var generator = JSONGenerator(SeededRandom(seed: 1))
        let harness = RuleHarness("function process(r) end")
        for _ in 0..<300 {
            let line = generator.object(depth: 4)
            #expect(try harness.run(line).rows == [line], "\(generator.random)")
        }
    }

    @Test func `reading everything changes no byte`() throws {
        var generator = JSONGenerator(SeededRandom(seed: 2))
        let harness = RuleHarness(
            """
            local function visit(v)
              if type(v) ~= "userdata" or v == null or is_number(v) then return end
              for k, inner in pairs(v) do visit(inner) end
              local n = #v
              for i, inner in ipairs(v) do visit(inner) end
            end
            function process(r) visit(r) end
            """)
        for _ in 0..<300 {
            let line = generator.object(depth: 4)
            #expect(try harness.run(line).rows == [line], "\(generator.random)")
        }
    }

    @Test func `random edits agree with a slow model`() throws {
        var generator = JSONGenerator(SeededRandom(seed: 3))
        for _ in 0..<300 {
            let line = generator.object(depth: 2)
            var model = try Record(json: line)
            var script = ""
            // Each name once: a field that is deleted and set again keeps its place in the text.
            let names = ["a", "b", "c", "d", "new"].shuffled(using: &generator.random)
            for name in names.prefix(Int.random(in: 1..<5, using: &generator.random)) {
                switch Int.random(in: 0..<4, using: &generator.random) {
                case 0:
                    script += "r.\(name) = nil\n"
                    model[name] = nil
                case 1:
                    script += "r.\(name) = 'text'\n"
                    model = model.assigning(name, "text")
                case 2:
                    script += "r.\(name) = 42\n"
                    model = model.assigning(name, 42)
                default:
                    script += "r.\(name) = null\n"
                    model = model.assigning(name, .null)
                }
            }
            let rows = try RuleHarness("function process(r)\n\(script)end").run(line).rows
            let made = try Record(json: rows.first ?? "")
            #expect(made == model, "\(line) \(script) \(generator.random)")
        }
    }

    @Test func `what is not touched keeps its bytes, also beside a changed sibling`() throws {
        let line = #"{"a": 1.10, "m": {"x" : 1E400,"y":[ ] }, "big":12345678901234567890,"z":{}}"#
        let rows = try RuleHarness("function process(r) r.m.new = true; r.a2 = 1 end").run(line)
            .rows
        #expect(
            rows == [
                #"{"a": 1.10, "m": {"x" : 1E400,"y":[ ],"new":true}, "big":12345678901234567890,"z":{},"a2":1}"#
            ])
    }

    @Test(arguments: [
        ("r.x = {1, null, 'a'}", #"[1,null,"a"]"#), ("r.x = {}", "{}"),
        ("r.list = {}; r.x = r.list", "[]"),
        ("r.x = json.array{}", "[]"), ("r.x = 2.5 * 1000", "2500.0"), ("r.x = 7 // 2", "3"),
        ("r.x = r.list", "[1,null,3]"), ("r.x = #r.list", "3"),
        ("r.list[4] = 'n'; r.x = #r.list", "4"),
        ("r.x = {b = 1, a = {c = null}}", #"{"a":{"c":null},"b":1}"#), ("r.x = r.o.p", "1"),
        ("r.x = 9007199254740993", "9007199254740993"), ("r.x = 0.1 + 0.2", "0.30000000000000004"),
        ("r.x = r.list[2] == null", "true"), ("r.x = r.list['1'] == nil", "true"),
        ("r.x = tostring(null)", #""null""#),
        ("r.x = 1e300", "1e300"), ("r.x = -0.0", "-0.0"), ("r.x = 'é\\n'", #""é\n""#),
        ("r.x = {}; r.x[1] = 5", "[5]"), ("r.x = {}; r.x.k = 5", #"{"k":5}"#),
        ("local c = r:copy(); c.o.p = 9; r.x = c.o.p", "9"), ("r.x = round(2.5)", "3"),
        ("r.x = round(3.14159, 2)", "3.14"),
        (
            "r.x = time.format(time.parse('1969-12-31T23:59:59.9999Z'))",
            #""1969-12-31T23:59:59.999Z""#
        ),
        (
            "r.x = hash('abc')",
            #""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#
        ),
        (
            "r.x = json.encode(json.decode('{\"a\":[1,null,{}],\"b\":[]}'))",
            #""{\"a\":[1,null,{}],\"b\":[]}""#
        ),
        ("r.x = select('#', table.unpack(r.list))", "3"),
        ("table.insert(r.list, 7); r.x = r.list[4]", "7"),
    ])
    func `values become JSON as written down`(script: String, expected: String) throws {
        let outcome = try RuleHarness("function process(r) \(script) end")
            .run(#"{"list":[1,null,3],"o":{"p":1}}"#)
        let row = try #require(outcome.rows.first, "\(outcome.letters)")
        #expect(row.contains("\"x\":\(expected)"), "\(row)")
    }

    @Test(arguments: ["", " ", "\t", "\t \r\t"])
    func `white space before a record does not make it a list`(space: String) throws {
        let rule = "function process(r) emit(r) emit(r:copy()) return {r, r:copy()} end"
        let outcome = try RuleHarness(rule).run(space + #"{"a":1.10}"#)
        #expect(outcome.rows == Array(repeating: space + #"{"a":1.10}"#, count: 4))
    }

    @Test func `70,000 fields can be read and changed`() throws {
        let line = "{" + (0..<70_000).map { "\"f\($0)\":\($0)" }.joined(separator: ",") + "}"
        var harness = RuleHarness(
            "function process(r) local n = 0 for k, v in pairs(r) do n = n + v end r.f69999 = n end"
        )
        harness.options.trace = false
        harness.budgetNanoseconds *= 20  // So many in a debug build on a busy machine take long.
        let outcome = try harness.run(line)
        #expect(outcome.rows.first?.hasSuffix("\"f69999\":2449965000}") == true)
    }

    @Test(arguments: [
        "seen.a", "seen2.p", "seen.a = 1", "for k in pairs(seen) do end", "r.x = seen",
        "local n = #seen2",
    ])
    func `a record cannot be used after its call`(use: String) throws {
        let outcome = try RuleHarness(
            "function process(r) if r.first then seen = r; seen2 = r.o else \(use.contains("=") || use.contains("for") ? use : "local x = " + use) end end"
        ).run(#"{"first":true,"o":{"p":1}}"#, #"{"first":false}"#)
        #expect(outcome.letters.count == 1)
        #expect(outcome.letters.first?["error"]?.text.contains("used after its call") == true)
    }

    @Test(arguments: [
        "r.x = 0/0", "r.x = 1/0", "r.x = '\\xff'", "r.x = process",
        "local t = {}; t.t = t; r.x = t",
        "r.x = {1, a = 2}", "r.x = {[1]=1,[3]=3}", "r[1] = 2", "r.list.name = 1", "r.list[9] = 1",
    ])
    func `a value that is no JSON fails the record and leaves no trace`(script: String) throws {
        let line = #"{"list":[1]}"#
        let outcome = try RuleHarness("function process(r) r.y = 1; \(script) end").run(line)
        #expect(outcome.rows.isEmpty)
        #expect(outcome.letters.first?["original"] == .string(line))
        #expect(outcome.letters.first?["file"] == "rules/0.lua")
    }

    @Test func `the last of repeated keys is read, and one remains when it is assigned`() throws {
        let outcome = try RuleHarness("function process(r) r.x = r.a; r.a = 3 end")
            .run(#"{"a":1,"a":2}"#)
        #expect(outcome.rows == [#"{"a":3,"x":2}"#])
    }
}

extension Record {
    /// What a rule's assignment does: a repeated name remains once.
    func assigning(_ name: String, _ value: Value) -> Record {
        var copy = self
        guard let last = fields.lastIndex(where: { $0.name == name }) else {
            copy.fields.append(Field(name, value))
            return copy
        }
        copy.fields[last].value = value
        copy.fields = copy.fields.enumerated().filter {
            $0.offset == last || $0.element.name != name
        }
        .map(\.element)
        return copy
    }
}
