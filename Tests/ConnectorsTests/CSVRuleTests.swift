import Connecting
import TestKit
import Testing

@testable import Connectors

/// CSV as people write it.
@Suite struct CSVRuleTests {
    private func read(
        _ text: String, _ change: (inout FileSource.Options) -> Void = { _ in }
    ) throws -> (rows: [String], runs: FileRuns) {
        let runs = FileRuns("in.csv", isKept: false)
        change(&runs.options)
        runs.folder.write(text, to: "in.csv")
        return (try runs.run(), runs)
    }

    @Test(arguments: [
        (",a,b", ["column_1", "a", "b"]), ("a,a,a", ["a", "a_2", "a_3"]),
        ("a,a,a_2", ["a", "a_3", "a_2"]), (",column_1,", ["column_1_2", "column_1", "column_3"]),
        ("a,\"\",b", ["a", "column_2", "b"]),
    ])
    func `columns get names of their own, which is told`(header: String, names: [String]) throws {
        let (rows, runs) = try read("\(header)\n1,2,3\n")
        let fields = zip(names, 1...3).map { "\"\($0)\":\"\($1)\"" }.joined(separator: ",")
        #expect(rows == ["{\(fields)}"])
        #expect(runs.warnings.count == 1)
        #expect(runs.warnings.first?.hasPrefix("warning: in.csv:1: column ") == true)
    }

    @Test(arguments: [",a", "a,a"]) func `strict refuses such columns`(header: String) throws {
        let (rows, runs) = try read("\(header)\n1,2\n") { $0.csv.header = .strict }
        #expect(rows == [])
        #expect(runs.counts.failed.first?.contains("in.csv:1: the header has ") == true)
    }

    @Test func `names may be given for a file without a header`() throws {
        let (rows, _) = try read("1,2\n3,4") { $0.csv.header = .names(["x", "y"]) }
        #expect(rows == [#"{"x":"1","y":"2"}"#, #"{"x":"3","y":"4"}"#])
    }

    @Test(arguments: ["\n", "\r\n", "\r"]) func `the first line end counts`(end: String) throws {
        let lines = ["\"a\nx\",b", "1,\"2\"", "", "\"3\(end)3\",4", "5,6"]
        let (rows, _) = try read(lines.joined(separator: end))
        let escaped = end == "\n" ? "\\n" : end == "\r" ? "\\r" : "\\r\\n"
        #expect(
            rows == [
                #"{"a\nx":"1","b":"2"}"#, "{\"a\\nx\":\"3\(escaped)3\",\"b\":\"4\"}",
                #"{"a\nx":"5","b":"6"}"#,
            ])
    }

    @Test func `comments and first lines are passed over`() throws {
        let text = "a \"report\none more\"\n# it\"s\na,b\n# 1,2\n1,2\n#3,4\n\"#5\",6\n# end"
        let (rows, _) = try read(text) {
            $0.csv.skip = 2
            $0.csv.comment = 0x23
        }
        #expect(rows == [#"{"a":"1","b":"2"}"#, ##"{"a":"#5","b":"6"}"##])
    }

    @Test func `a quote without end costs one line`() throws {
        let long = String(repeating: "x\n", count: 1500)
        let (rows, _) = try read("a,b\n1,2\n7,\"\n\(long)8,9\n10,\"11\n12,13\n")
        #expect(rows.first == #"{"a":"1","b":"2"}"#)
        #expect(rows.contains(#"{"a":"8","b":"9"}"#))
        #expect(rows.last == #"{"a":"12","b":"13"}"#)
        #expect(rows.count { $0.hasPrefix("<unbalanced quote") } == 2)
    }

    @Test func `types are taken from plain cells`() throws {
        let cells = [
            ("", "null"), ("\"\"", "\"\""), ("NA", "null"), ("\"NA\"", "\"NA\""), ("1", "1"),
            ("-0.5e3", "-0.5e3"), ("007", "\"007\""), ("0", "0"), ("0.10", "0.10"),
            ("-01", "\"-01\""), ("true", "true"), ("false", "false"), ("True", "\"True\""),
            ("1 ", "\"1 \""), ("+1", "\"+1\""), (".5", "\".5\""), ("null", "\"null\""),
            ("NaN", "\"NaN\""), ("\"1\"", "\"1\""),
            ("12345678901234567890", "12345678901234567890"),
        ]
        let (rows, _) = try read("a,b\n" + cells.map { "\($0.0),x\n" }.joined()) {
            $0.csv.infersTypes = true
            $0.csv.nullValues = ["NA"]
        }
        #expect(rows == cells.map { "{\"a\":\($0.1),\"b\":\"x\"}" })
    }
}
