import Connecting
import Records
import TestKit
import Testing

@testable import Connectors

/// What every source has to hold, held by those of this module.
@Suite struct SourceConformanceTests {
    private let folder = TemporaryFolder()

    private func context(_ resumption: Resumption, recordLimit: Int = 200) -> RunContext {
        var context = RunContext(
            folder: folder.path, once: true, inputs: [], recordLimit: recordLimit,
            sourceName: "source")
        context.resumption = resumption
        return context
    }

    private func check(
        _ options: FileSource.Options, expecting expected: [String], burst: Int = 1,
        limits: [ReadLimit] = SourceSuite.usualLimits, _ place: SourceLocation = #_sourceLocation
    ) {
        let context = context
        let suite = SourceSuite(expecting: expected, burst: burst, limits: limits) {
            PositionedSource { (resumption) throws(ConnectorError) in
                try FileSource(options, context: context(resumption, 200))
            }
        }
        let found = suite.violations()
        #expect(found.isEmpty, "\(found.prefix(5).joined(separator: "\n"))", sourceLocation: place)
    }

    /// Lines of many kinds, and the records in them.
    private func lines(_ name: String, _ count: Int = 9) -> (text: String, records: [String]) {
        var text = "\n"
        var records: [String] = []
        for number in 0..<count {
            let record =
                "{\"\(name)\":\(number),\"x\":\"\(String(repeating: "é", count: number))\"}"
            records.append(number % 4 == 3 ? record + "\r" : record)
            text += records[number] + (number % 3 == 1 ? "\n \n\n" : "\n")
        }
        return (text, records)
    }

    @Test(arguments: [false, true]) func `JSON lines`(follow: Bool) {
        let (text, records) = lines("n")
        // Nothing ends the last line.
        folder.write(text + "{}", to: "in.jsonl")
        var options = FileSource.Options(paths: ["in.jsonl"])
        options.follow = follow
        check(options, expecting: records + ["{}"])
    }

    @Test func `lines that are too long`() {
        let (text, records) = lines("n", 4)
        let long = "\(String(repeating: "x", count: 300))\n"
        folder.write(long + text + long + long + "{}\n" + long, to: "in.jsonl")
        let problem = "<line of 300 bytes is longer than the record limit of 200 bytes>"
        // Where all of a line is there at once, the length is checked behind the source.
        check(
            .init(paths: ["in.jsonl"]),
            expecting: [problem] + records + [problem, problem, "{}", problem],
            limits: [ReadLimit(bytes: 90), ReadLimit(bytes: 1), ReadLimit(bytes: 90, records: 1)])
    }

    @Test func `several files, some of them empty`() {
        var all: [String] = []
        for name in ["a", "b", "d"] {
            let (text, records) = lines(name, 3)
            folder.write(name == "b" ? String(text.dropLast()) : text, to: "in/\(name).jsonl")
            all += records
        }
        folder.write("", to: "in/c.jsonl")
        folder.write("\n\n", to: "in/e.jsonl")
        check(.init(paths: ["in/*.jsonl"]), expecting: all)
    }

    @Test(arguments: [false, true]) func `CSV`(follow: Bool) {
        folder.write(
            "\u{FEFF}a,b\r\n1,2\n\n\"x\ny\",\"\"\"\"\r\n\r\n1,2,3\n4,é\n5,\"6\n6\"\n7,8\n9,0",
            to: "in.csv")
        var options = FileSource.Options(paths: ["in.csv"])
        options.follow = follow
        options.lastLine = .deliver
        // A record of JSON is longer than its row.
        check(
            options,
            expecting: [
                #"{"a":"1","b":"2"}"#, #"{"a":"x\ny","b":"\""}"#,
                "<row has 3 cells, the header has 2>", #"{"a":"4","b":"é"}"#,
                #"{"a":"5","b":"6\n6"}"#, #"{"a":"7","b":"8"}"#, #"{"a":"9","b":"0"}"#,
            ], burst: 3)
    }

    @Test(arguments: ["gz", "zst"]) func `packed files of several members`(kind: String) {
        var packed: [UInt8] = []
        var all: [String] = []
        for name in ["first", "second"] {
            let (text, records) = lines(name, 11)
            packed += kind == "gz" ? Packed.gzip(text) : Packed.zstd(text)
            all += records
        }
        folder.write(packed, to: "in.jsonl.\(kind)")
        check(.init(paths: ["in.jsonl.\(kind)"]), expecting: all)
    }

    @Test func `packed CSV`() {
        let rows = (0..<12).map { "\($0),\"\(String(repeating: "y", count: 20))\n\"\n" }
        folder.write(Packed.gzip("n,t\n" + rows.joined()), to: "in.csv.gz")
        check(
            .init(paths: ["in.csv.gz"]),
            expecting: (0..<12).map {
                "{\"n\":\"\($0)\",\"t\":\"\(String(repeating: "y", count: 20))\\n\"}"
            }, burst: 2)
    }

    /// A script, how often it is called, and what it makes.
    struct Script: Sendable {
        var text: String
        var count: Int
        var expected: [String]

        /// A record for each call.
        static let single = Script(
            text: "function generate(i) return {i = i} end", count: 9,
            expected: (0..<9).map { (i: Int) -> String in "{\"i\":\(i)}" })

        /// From none to three records for each call.
        static let lists: Script = {
            var expected: [String] = []
            for i in 0..<11 where i % 4 > 0 {
                for k in 1..<(i % 4 + 1) { expected.append("{\"i\":\(i),\"k\":\(k)}") }
            }
            let text = """
                function generate(i)
                  if i % 4 == 0 then return nil end
                  local list = {}
                  for k = 1, i % 4 do list[k] = {i = i, k = k} end
                  return list
                end
                """
            return Script(text: text, count: 11, expected: expected)
        }()

        /// Lines that are no JSON, nothing at all, and random numbers.
        static let mixed: Script = {
            var expected: [String] = []
            for i in 0..<10 where i % 3 != 1 {
                expected.append(i % 3 == 0 ? "not JSON \(i)" : "{\"i\":\(i),\"r\":true}")
            }
            let text = """
                function generate(i)
                  if i % 3 == 0 then return "not JSON " .. i end
                  if i % 3 == 1 then return nil end
                  return {i = i, r = math.random(9) > 0}
                end
                """
            return Script(text: text, count: 10, expected: expected)
        }()
    }

    @Test(arguments: [Script.single, .lists, .mixed])
    func `generated records`(script: Script) {
        folder.write(script.text, to: "g.lua")
        let options = GenerateSource.Options(
            script: "g.lua", count: UInt64(script.count), seed: 7)
        let context = context
        let found = SourceSuite(expecting: script.expected) {
            PositionedSource { (resumption) throws(ConnectorError) in
                try GenerateSource(options, context: context(resumption, 200))
            }
        }.violations()
        #expect(found.isEmpty, "\(found.prefix(5).joined(separator: "\n"))")
    }
}
