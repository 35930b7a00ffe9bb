import Records
import Scripting
import TestKit
import Testing

/// What is remembered from record to record must never show in one.
@Suite struct ShapeTests {
    private let rule = """
        local count = 0
        function process(r)
          count = count + 1
          local junk = {}
          for i = 1, 20 do junk[i] = ("k" .. i):upper() .. count end
          local name = "k" .. (#(r.text or "") % 5)
          r.seen = r[name]
          r[name] = (r.text or "none"):upper()
          r.absent = r.missing
          r.a = r.b
          if r.c == 7 then r.c = nil end
          r.long_name_of_a_field = "\\u{e9} A z " .. tostring(r.d)
        end
        """

    private func line(_ random: inout SeededRandom) -> String {
        let names = [
            "a", "b", "c", "d", "k0", "k1", "k3", "text", "missing", "long_name_of_a_field",
            "l\\u006fng", "\\u0061",
        ]
        let values = [
            "1", "-2.50", "7", "true", "null", "\"short\"", "\"sixteen letters!\"", "\"\"",
            "\"longer than sixteen letters\"", "\"x\\ty\"", "{\"a\":[1,{}]}", "[ ]", "\"äöü\"",
        ]
        let order = Bool.random(using: &random) ? names : names.shuffled(using: &random)
        let count = [3, 6, 8, 12].randomElement(using: &random) ?? 3
        let members = order.prefix(count).map { name in
            let text = name == "text" ? "\"t\(Int.random(in: 0..<99_999, using: &random))\"" : nil
            let space = Int.random(in: 0..<8, using: &random) == 0 ? " " : ""
            let value = text ?? values.randomElement(using: &random) ?? "1"
            return "\"\(name)\"\(space):\(space)\(value)\(space)"
        }
        let again = Int.random(in: 0..<9, using: &random) == 0 ? ",\"a\":\"again\"" : ""
        return "{" + members.joined(separator: ",") + again + "}"
    }

    @Test(arguments: 1...4)
    func `a record comes out the same whatever came before it`(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var kinds = (0..<4).map { _ in line(&random) }
        var lines: [String] = []
        for _ in 0..<250 {
            if Int.random(in: 0..<12, using: &random) == 0 { kinds[0] = line(&random) }
            lines.append(kinds.randomElement(using: &random) ?? "{}")
            if Int.random(in: 0..<40, using: &random) == 0 { lines.append("{\"a\":1,") }
        }
        let together = try RuleHarness(rule).run(Array(lines.joined(separator: "\n").utf8))
        var alone: [String] = []
        var letters = 0
        for line in lines {
            let outcome = try RuleHarness(rule).run(line)
            alone += outcome.rows
            letters += outcome.letters.count
        }
        #expect(together.rows == alone, "\(random)")
        #expect(together.letters.count == letters && letters > 0)
    }

    @Test func `what is no object of usual form is refused as ever`() throws {
        let good = "{\"a\":1,\"b\":\"x\"}"
        let bad = [
            "{\"a\":1,\"b\":\"x\",}", "{\"a\":1 \"b\":\"x\"}", "{\"a\":1,\"b\":\"x\"}}",
            "{\"a\":1,\"b\":\"x\"", "{\"a\":1,\"b\"}", "{\"a\":01,\"b\":\"x\"}", "{\"a\":[1,2}",
            "{\"a\":{\"b\":]}", "{a:1}", "{\"a\":\"x\"y,\"b\":1}", "{\"a\":tru,\"b\":1}", "[1]",
            "{\"a\":1,\"b\":\"x\"} {}", "{\"a\"\"b\":1}", "{,}", "{\"a\":}",
        ]
        let harness = RuleHarness("function process(r) end")
        for line in bad {
            let outcome = try harness.run(good, line, good)
            #expect(outcome.rows == [good, good], "\(line)")
            #expect(outcome.letters.count == 1, "\(line)")
        }
    }

    @Test func `numbers are written short and read back the same`() throws {
        var random = SeededRandom(seed: 5)
        let harness = RuleHarness("function process(r) r.y = r.x * r.by end")
        for digits in 0..<10 {
            for _ in 0..<40 {
                var scale = 1.0
                for _ in 0..<digits { scale *= 10 }
                let whole = Int64.random(in: 1..<1_000_000_000, using: &random)
                let x = Double(whole) / scale
                let by = Bool.random(using: &random) ? 1.0 : 1000.0
                let row = try harness.run("{\"x\":\(x),\"by\":\(by)}").rows.first ?? ""
                let text = row.split(separator: ":").last.map { String($0.dropLast()) } ?? ""
                #expect(Double(text) == x * by, "\(text) \(x) \(by)")
                #expect(text.utf8.count <= (x * by).description.utf8.count, "\(text)")
            }
        }
    }

    @Test func `letters change their case, and only letters`() throws {
        let rule = """
            function process(r)
              r.upper, r.lower = r.text:upper(), r.text:lower()
            end
            """
        let all = String(String.UnicodeScalarView((32..<127).compactMap(Unicode.Scalar.init)))
        for text in [
            all.filter { $0 != "\"" && $0 != "\\" }, "", "ß é Ö", "aZ", "sixteen_LETTERS!",
        ] {
            let row = try RuleHarness(rule).run("{\"text\":\"\(text)\"}").rows.first ?? ""
            let record = try Record(json: row)
            let upper = String(
                decoding: text.utf8.map { (97...122) ~= $0 ? $0 - 32 : $0 }, as: UTF8.self)
            let lower = String(
                decoding: text.utf8.map { (65...90) ~= $0 ? $0 + 32 : $0 }, as: UTF8.self)
            #expect(record["upper"] == .string(upper) && record["lower"] == .string(lower))
        }
    }
}
