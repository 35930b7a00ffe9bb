import Connecting
import Foundation
import TestKit
import Testing

@testable import Connectors

/// What is done with a last line that has no line break.
@Suite struct LastLineTests {
    private func isQuiet(_ runs: FileRuns, _ name: String) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: runs.folder(name))
    }

    @Test func `a whole JSON text is delivered, and its line break is no record`() throws {
        let runs = FileRuns("in.jsonl")
        runs.folder.write("{\"a\":1}\n{\"a\":2}", to: "in.jsonl")
        #expect(try runs.run() == [#"{"a":1}"#, #"{"a":2}"#])
        try runs.folder.append("\r\n{\"a\":3}\n", to: "in.jsonl")
        #expect(try runs.run() == [#"{"a":3}"#])
    }

    @Test func `bytes that continue a delivered line are a record with the whole line`() throws {
        let runs = FileRuns("in.jsonl")
        runs.folder.write("{\"a\":1}\n{\"a\":2}", to: "in.jsonl")
        _ = try runs.run()
        try runs.folder.append("{\"a\":", to: "in.jsonl")
        #expect(try runs.run() == [])
        try runs.folder.append("3}\n{\"a\":4}\n", to: "in.jsonl")
        #expect(try runs.run() == [#"<continued: {"a":2}{"a":3}>"#, #"{"a":4}"#])
        #expect(try runs.run() == [])
    }

    @Test(arguments: [true, false])
    func `half a JSON text waits where more may follow`(isKept: Bool) throws {
        let runs = FileRuns("in.jsonl", isKept: isKept)
        runs.folder.write("{\"a\":1}\n{\"a\":", to: "in.jsonl")
        #expect(try runs.run() == [#"{"a":1}"#] + (isKept ? [] : [#"{"a":"#]))
        #expect(runs.warnings.count == (isKept ? 1 : 0))
        guard isKept else { return }
        try runs.folder.append("2}\n", to: "in.jsonl")
        #expect(try runs.run() == [#"{"a":2}"#])
    }

    @Test func `a row of CSV waits while the file is young`() throws {
        let runs = FileRuns("in.csv")
        runs.folder.write("id,amount\n1,10\n2,12", to: "in.csv")
        #expect(try runs.run() == [#"{"id":"1","amount":"10"}"#])
        #expect(runs.warnings.first?.contains("in.csv: the last line has no line break") == true)
        try runs.folder.append("34.50\n", to: "in.csv")
        #expect(try runs.run() == [#"{"id":"2","amount":"1234.50"}"#])
    }

    @Test func `a row of CSV is delivered when the file is quiet`() throws {
        let runs = FileRuns("in.csv")
        runs.folder.write("id,amount\n1,10\n2,12", to: "in.csv")
        try isQuiet(runs, "in.csv")
        #expect(try runs.run().count == 2)
        try runs.folder.append("34.50\n3,4\n", to: "in.csv")
        #expect(try runs.run() == ["<continued: 2,1234.50>", #"{"id":"3","amount":"4"}"#])
    }

    @Test(arguments: [FileSource.LastLine.deliver, .wait])
    func `the setting decides`(rule: FileSource.LastLine) throws {
        let runs = FileRuns("in.csv")
        runs.options.lastLine = rule
        runs.folder.write("a\n1\n2", to: "in.csv")
        if rule == .wait { try isQuiet(runs, "in.csv") }
        #expect(try runs.run().count == (rule == .deliver ? 2 : 1))
        try runs.folder.append("\n3\n", to: "in.csv")
        #expect(try runs.run().count == (rule == .deliver ? 1 : 2))
    }

    @Test func `what cannot grow is read to its last byte`() throws {
        let runs = FileRuns("in/*")
        runs.folder.write(Packed.gzip("a\n1\n2"), to: "in/a.csv.gz")
        runs.folder.write(Packed.gzip("{\"b\":1}\n{\"b"), to: "in/b.jsonl.gz")
        #expect(try runs.run() == [#"{"a":"1"}"#, #"{"a":"2"}"#, #"{"b":1}"#, #"{"b"#])
        let fresh = FileRuns("in.csv", isKept: false)
        fresh.folder.write("a\n1\n2", to: "in.csv")
        #expect(try fresh.run() == [#"{"a":"1"}"#, #"{"a":"2"}"#])
    }

    @Test func `a followed file waits for the end of its last line`() throws {
        let runs = FileRuns("in.*", follow: true)
        runs.folder.write("{\"a\":1}\n{\"a\":2}", to: "in.jsonl")
        try runs.begin()
        #expect(try runs.take(1) == [#"{"a":1}"#])
        try runs.folder.append(",\n", to: "in.jsonl")
        #expect(try runs.take(1) == [#"{"a":2},"#])
    }
}
