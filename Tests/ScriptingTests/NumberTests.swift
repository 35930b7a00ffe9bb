import Foundation
import Records
import TestKit
import Testing

/// Numbers that neither int64 nor 17 digits hold keep their text; texts that spell numbers take
/// part in arithmetic; floats are written and rounded as people do it.
@Suite struct NumberTests {
    private static let record =
        #"{"a":89490200001234567890,"b":89490200001234567891,"c":8.9490200001234567890e19,"#
        + #""d":0.1000000000000000000001,"e":1e400,"n":7,"s":"10","t":"abc","copy":"own"}"#

    private func value(of script: String) throws -> String {
        let outcome = try RuleHarness("function process(r) return {{x = (\(script))}} end")
            .run(Self.record)
        if let letter = outcome.letters.first { return letter["reason"]?.text ?? "" }
        return String((outcome.rows.first ?? "").dropFirst(5).dropLast())
    }

    @Test(arguments: [
        ("r.a", "89490200001234567890"), ("tostring(r.a)", #""89490200001234567890""#),
        ("r.a .. ''", #""89490200001234567890""#), ("'#' .. r.b", "\"#89490200001234567891\""),
        ("r.a == r.b", "false"), ("r.a == r.a", "true"), ("r.a == r.c", "true"),
        ("r.a ~= r.b", "true"), ("r.a == 7", "false"), ("r.n == 7", "true"),
        ("math.type(r.a)", #""exact""#), ("math.type(r.n)", #""integer""#),
        ("type(r.a)", #""userdata""#), ("is_number(r.a)", "true"), ("is_number(r.n)", "true"),
        ("is_number(0.5)", "true"), ("is_number(r.s)", "false"), ("is_number(null)", "false"),
        ("json.encode({v = r.d})", #""{\"v\":0.1000000000000000000001}""#),
        ("json.decode('[89490200001234567890]')[1] == r.a", "true"),
        ("hash(r.a) == hash('89490200001234567890')", "true"),
        ("hash(r.a) == hash(r.b)", "false"), ("r.d", "0.1000000000000000000001"),
        ("r.e", "1e400"), ("{[1] = r.e}", "[1e400]"), ("r.a < r.e", "true"),
        ("r.n < r.a", "true"), ("r.a <= 1e19", "false"), ("r.a + 1", "89490200001234567168.0"),
        ("-r.a", "-89490200001234567168.0"), ("r.a - r.b", "0.0"), ("r.d * 10", "1.0"),
        ("r.s + r.a > r.a", "false"), ("math.floor(r.d)", "0"), ("math.max(r.d, 0)", "0.1"),
        ("tonumber(r.d)", "0.1"), ("round(r.d, 1)", "0.1"),
        ("string.format('%s %.1f', r.b, r.d)", #""89490200001234567891 0.1""#),
        ("(function() local t = {} t[r.a] = 1 t[r.b] = 2 return t[r.a] + t[r.b] end)()", "3"),
        ("r.copy", #""own""#), ("copy(r).copy", #""own""#),
    ])
    func `exact numbers are their text`(script: String, expected: String) throws {
        #expect(try value(of: script) == expected, "\(script)")
    }

    @Test func `an exact number is assigned, kept and looked at in state`() throws {
        var harness = try StateHarness(
            """
            function process(r)
              r.seen = state:incr(r.id)
              r.before = state:get("last")
              state:set("last", r.id)
              r.other = r.id
              r.nested = {list = {r.id}}
            end
            """)
        let ids = ["89490200001234567890", "89490200001234567891", "89490200001234567890"]
        let rows = try harness.run(ids.map { "{\"user\":\"u\",\"id\":\($0)}" }).rows
        for (index, id) in ids.enumerated() {
            #expect(rows[index].contains("\"seen\":\(index == 2 ? 2 : 1)"))
            #expect(rows[index].contains("\"other\":\(id),\"nested\":{\"list\":[\(id)]}"))
            if index > 0 { #expect(rows[index].contains("\"before\":\(ids[index - 1])")) }
        }
    }

    @Test(arguments: [
        ("r.s + 1", "11"), ("1 + r.s", "11"), ("'10' / 4", "2.5"), ("'7' // 2", "3"),
        ("'7' % 4", "3"), ("'2' ^ 3", "8.0"), ("-'2'", "-2"), ("'0x10' + 1", "17"),
        ("' 5 ' * '2'", "10"), ("'1e2' - 1", "99.0"), ("r.s .. 1", #""101""#),
        ("r.t + 1", "attempt to perform arithmetic on a string value (field 't')"),
        ("2 - r.t", "attempt to perform arithmetic on a string value (field 't')"),
        ("-r.t", "attempt to perform arithmetic on a string value (field 't')"),
        ("'' + 1", "attempt to perform arithmetic on a string value"),
        ("'1' + {}", "attempt to perform arithmetic on a table value"),
        ("'1' + null", "attempt to perform arithmetic on a null value"),
        ("setmetatable({}, {__add = function(a, b) return 'mine' end}) + '1'", #""mine""#),
        ("'1' + setmetatable({}, {__add = function(a, b) return a .. 'mine' end})", #""1mine""#),
    ])
    func `a text that spells a number takes part in arithmetic`(
        script: String, expected: String
    ) throws {
        let found = try value(of: script)
        #expect(found == expected || found.hasSuffix(": " + expected), "\(script): \(found)")
    }

    @Test(arguments: [
        ("0.0001", "0.0001"), ("0.00001", "0.00001"), ("0.000001", "1e-6"), ("1.5e-7", "1.5e-7"),
        ("1e20", "100000000000000000000.0"), ("1e21", "1e21"), ("-1.25e21", "-1.25e21"),
        ("123456789012345680.0", "123456789012345680.0"), ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e308"), ("0.0", "0.0"), ("100.0", "100.0"),
    ])
    func `a float is written without an exponent where people would`(
        script: String, expected: String
    ) throws {
        #expect(try value(of: script) == expected)
    }

    @Test(arguments: [
        ("round(1.005, 2)", "1.01"), ("round(-1.005, 2)", "-1.01"), ("round(2.675, 2)", "2.68"),
        ("round(0.285, 2)", "0.29"), ("round(1.995, 2)", "2.0"), ("round(9.995, 2)", "10.0"),
        ("round(0.4)", "0"), ("round(-0.5)", "-1"), ("round(1234.5, -2)", "1200.0"),
        ("round(1e300, 2)", "1e300"), ("round(1e-300, 2)", "0.0"), ("round(5, 2)", "5"),
        ("round(0.05, 1)", "0.1"), ("round(0.04, 1)", "0.0"), ("round('2.5')", "3"),
    ])
    func `rounding is half away from zero on the decimal text`(
        script: String, expected: String
    ) throws {
        #expect(try value(of: script) == expected)
    }

    @Test func `random numbers are rounded and written as decimals are`() throws {
        var random = SeededRandom(seed: 77)
        for _ in 0..<400 {
            let whole = Int.random(in: -99_999...99_999, using: &random)
            let scale = Int.random(in: 0...6, using: &random)
            let number = Double(whole) / pow(10, Double(scale))
            let digits = Int.random(in: 0...4, using: &random)
            var exact = try #require(Decimal(string: "\(number)"))
            var rounded = Decimal()
            NSDecimalRound(&rounded, &exact, digits, .plain)
            let found = try value(of: "round(\(number), \(digits))")
            #expect(Double(found) == Double("\(rounded)"), "\(number), \(digits): \(found)")
            let text = try value(of: "\(number)")
            #expect(Double(text) == number, "\(number) was written \(text)")
        }
    }
}
