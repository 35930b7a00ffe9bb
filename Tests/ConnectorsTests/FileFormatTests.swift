import Connecting
import Foundation
import Records
import TestKit
import Testing

@testable import Connectors

/// How files are written, and what is done with those that are not.
@Suite struct FileFormatTests {
    @Test(arguments: [
        ("a.jsonl", TextFormat.Records.lines, TextFormat.Packing.none),
        ("A.NDJSON.GZ", .lines, .gzip), ("a.json", .json, .none), ("in/b.JSON.zst", .json, .zstd),
        ("x.Csv", .csv, .none), ("x.tsv.gz", .csv, .gzip), ("app.log", .lines, .none),
        ("data.csv.1", .csv, .none), ("data.csv-20261130.gz", .csv, .gzip), ("2", .lines, .none),
    ])
    func `a name says the format`(
        name: String, records: TextFormat.Records, packing: TextFormat.Packing
    ) {
        let format = TextFormat(name: name)
        #expect(format.records == records)
        #expect(format.packing == packing)
        #expect(format.delimiter == (name.contains("tsv") ? 0x09 : 0x2C))
        #expect(TextFormat(name: name, format: "csv", delimiter: 0x3B).delimiter == 0x3B)
        #expect(TextFormat(name: name, format: "json").records == .json)
    }

    @Test func `all formats are read under any spelling`() throws {
        let runs = FileRuns("in/*")
        runs.folder.write("\u{FEFF}{\"a\":1}\n{\"a\":2}", to: "in/a.NDJSON")
        runs.folder.write("\u{FEFF}x,y\n1,2\n", to: "in/b.CSV")
        runs.folder.write("x\ty\n1\t2,3\n", to: "in/c.Tsv")
        runs.folder.write("\u{FEFF}[1, {\"d\":[1,\n 2]} ,\n{\"d\" : \"x\"}]", to: "in/d.JSON")
        runs.folder.write(Packed.gzip("{\"e\":1}\n") + [0, 0, 0], to: "in/e.jsonl.GZ")
        #expect(
            try runs.run() == [
                #"{"a":1}"#, #"{"a":2}"#, #"{"x":"1","y":"2"}"#, #"{"x":"1","y":"2,3"}"#, "1",
                #"{"d":[1,2]}"#, #"{"d" : "x"}"#, #"{"e":1}"#,
            ])
        #expect(try runs.run() == [])
    }

    @Test(
        arguments: [
            [0xFF, 0xFE, 0x7B, 0], [0xFE, 0xFF, 0, 0x7B], [0x7B, 0, 0x7D, 0], [0, 0x7B, 0, 0x7D],
        ] as [[UInt8]])
    func `UTF-16 is refused, with what to do`(bytes: [UInt8]) throws {
        let runs = FileRuns("in/*")
        runs.folder.write(bytes, to: "in/a.jsonl")
        runs.folder.write("{\"b\":1}\n", to: "in/b.jsonl")
        #expect(try runs.run() == [#"{"b":1}"#])
        #expect(runs.counts.read == 1)
        #expect(runs.counts.failed.count == 1)
        #expect(runs.counts.failed.first?.contains("in/a.jsonl: is UTF-16, not UTF-8") == true)
        #expect(runs.counts.failed.first?.contains("iconv") == true)
    }

    @Test(arguments: [
        (
            "{\"a\":1}\n{\"a\":\n{\"b\":2}",
            [#"{"a":1}"#, "<malformed JSON: ", #"{"b":2}"#]
        ),
        ("[{\"a\":1},{\"a\":2}", [#"{"a":1}"#, #"{"a":2}"#]),
        (
            "{\"a\":\"x\ny\"}\n{\"b\":1}",
            ["<malformed JSON: unexpected byte", "y", "<malformed", #"{"b":1}"#]
        ),
        ("{\"a\":[1}\n{\"b\":1}", ["<malformed JSON: unexpected byte at byte 7", #"{"b":1}"#]),
        ("}{\"b\":1}\n{\"c\":1}", ["<malformed JSON: unexpected byte at byte 0", #"{"c":1}"#]),
        ("{\"a\":1}{\"b\":2}3 \"x\"", [#"{"a":1}"#, #"{"b":2}"#, "3", "\"x\""]),
        ("{\"a\":1", ["<malformed JSON: the text ends too early at byte 6"]),
    ])
    func `JSON texts that are broken do not hide others`(text: String, rows: [String]) throws {
        let runs = FileRuns("in.json", isKept: false)
        runs.folder.write(text, to: "in.json")
        let found = try runs.run()
        #expect(found.count == rows.count, "\(found)")
        for (row, start) in zip(found, rows) { #expect(row.hasPrefix(start), "\(found)") }
    }

    @Test func `a JSON text that is too long is passed over`() throws {
        let long = "{\"a\":[" + (0..<900).map { "\"\($0)\"" }.joined(separator: ",\n") + "]}"
        let runs = FileRuns("in.json", isKept: false)
        runs.folder.write("[{\"a\":1},\n\(long),\n{\"a\":2}]", to: "in.json")
        let problem =
            "<text of \(long.utf8.count) bytes is longer than the record limit of 2000 bytes>"
        #expect(try runs.run() == [#"{"a":1}"#, problem, #"{"a":2}"#])
    }

    @Test func `texts and lists of JSON hold to the contract of sources`() {
        let folder = TemporaryFolder()
        var random = SeededRandom(seed: 12)
        var text = "\u{FEFF}"
        var expected: [String] = []
        for number in 0..<14 {
            if number == 5 { text += "[" }
            if number > 5, number < 10 {
                text += [",", " ,\n"].randomElement(using: &random) ?? ""
            }
            if number == 10 { text += "]" }
            text += [" ", "\n", "\r\n", "\t\n "].randomElement(using: &random) ?? ""
            text += "{ \"n\":\(number),\n  \"t\": \"]},{[\\\"\",\n\n\"l\":[[],{}]}"
            expected.append("{ \"n\":\(number),\"t\": \"]},{[\\\"\",\"l\":[[],{}]}")
        }
        folder.write(text, to: "in.json")
        let found = SourceSuite(expecting: expected, burst: 2) {
            PositionedSource { (resumption) throws(ConnectorError) in
                var context = RunContext(
                    folder: folder.path, once: true, inputs: [], recordLimit: 200,
                    sourceName: "source")
                context.resumption = resumption
                return try FileSource(.init(paths: ["in.json"]), context: context)
            }
        }.violations()
        #expect(found.isEmpty, "\(found.prefix(5).joined(separator: "\n"))")
    }

    @Test(.timeLimit(.minutes(30)))
    func `a pattern does not wait for whoever writes into a pipe`() throws {
        let runs = FileRuns("in/*")
        runs.folder.write("{\"a\":1}\n", to: "in/a.jsonl")
        #expect(mkfifo(runs.folder("in/b.jsonl"), 0o600) == 0)
        #expect(try runs.run() == [#"{"a":1}"#])
        #expect(runs.counts.failed == ["in/b.jsonl: is a pipe (FIFO), not a file"])
    }

    @Test func `patterns reach any depth, and a path that exists is that file`() throws {
        let runs = FileRuns("in/**/*.jsonl", "d[1].jsonl")
        for name in ["in/a.jsonl", "in/x/b.jsonl", "in/x/y/z/c.jsonl", "d[1].jsonl", "d1.jsonl"] {
            runs.folder.write("{\"f\":\"\(name)\"}\n", to: name)
        }
        runs.folder.write("{}\n", to: "in/.hidden/d.jsonl")
        #expect(
            try runs.run()
                == ["in/a.jsonl", "in/x/b.jsonl", "in/x/y/z/c.jsonl", "d[1].jsonl"].map {
                    "{\"f\":\"\($0)\"}"
                })
    }
}
