import Connecting
import Foundation
import TestKit
import Testing

@testable import Connectors

/// A file is found again by what it is, not by its name.
@Suite struct FileIdentityTests {
    private static let paths = ["in/app.log", "in/app.log*", "in/**/app.log*"]

    @Test(arguments: paths)
    func `a file that was rotated while stopped is finished before the new one`(path: String) throws
    {
        let runs = FileRuns(path)
        runs.folder.write(numbered(0..<100).text, to: "in/app.log")
        #expect(try runs.run() == numbered(0..<100))
        try runs.folder.append(numbered(100..<103).text, to: "in/app.log")
        runs.folder.rename("in/app.log", to: "in/app.log.1")
        runs.folder.write(numbered(103..<105).text, to: "in/app.log")
        #expect(try Set(runs.run()) == Set(numbered(100..<105)))
        #expect(runs.warnings == [])
        #expect(try runs.run() == [])
    }

    @Test(arguments: paths, ["gz", "plain"])
    func `a copy of what was read is not read again, only what came behind it`(
        path: String, kind: String
    ) throws {
        let runs = FileRuns(path)
        runs.folder.write(numbered(0..<100).text, to: "in/app.log")
        #expect(try runs.run() == numbered(0..<100))
        if kind == "gz" {
            let packed = Packed.gzip(numbered(0..<102).text)
            runs.folder.write(packed, to: "in/app.log.1.gz")
        } else {
            runs.folder.write(numbered(0..<102).text, to: "in/app.log.1")
        }
        runs.folder.write(numbered(102..<104).text, to: "in/app.log")
        #expect(try Set(runs.run()) == Set(numbered(100..<104)))
        #expect(try runs.run() == [])
    }

    @Test func `a damaged neighbour is no reason to leave a new log alone`() throws {
        let runs = FileRuns("in/app.log")
        runs.folder.write(numbered(0..<9).text, to: "in/app.log")
        #expect(try runs.run() == numbered(0..<9))
        runs.folder.write([0x1F, 0x8B, 9, 9, 9], to: "in/app.log.0.gz")
        runs.folder.write([], to: "in/app.log.1.gz")
        runs.folder.rename("in/app.log", to: "in/app.log.2")
        runs.folder.write(numbered(9..<12).text, to: "in/app.log")
        #expect(try runs.run() == numbered(9..<12))
        #expect(runs.counts.failed == [])
    }

    @Test func `names that are alike do not make a copy`() throws {
        let runs = FileRuns("in/*.jsonl")
        for name in ["1", "2", "a", "a.b"] {
            runs.folder.write(numbered(0..<3).text, to: "in/\(name).jsonl")
        }
        #expect(try runs.run().count == 12)
        runs.folder.rename("in/1.jsonl", to: "old")
        runs.folder.write(numbered(0..<3).text, to: "in/3.jsonl")
        #expect(try runs.run() == numbered(0..<3))
    }

    @Test(arguments: [
        numbered(3..<6), numbered(0..<2), numbered(0..<2) + ["{\"n\":7}"], numbered(5..<30),
    ])
    func `what was rewritten is a new file, and told`(content: [String]) throws {
        let runs = FileRuns("in.jsonl")
        runs.folder.write(numbered(0..<3).text, to: "in.jsonl")
        #expect(try runs.run() == numbered(0..<3))
        runs.folder.write(content.text, to: "in.jsonl")
        #expect(try runs.run() == content)
        #expect(runs.warnings.count == 1)
        #expect(runs.warnings.first?.hasPrefix("warning: in.jsonl: was replaced, rew") == true)
        #expect(try runs.run() == [])
    }

    @Test func `a file with the same beginning is another one`() throws {
        let runs = FileRuns("in.jsonl")
        runs.folder.write(numbered(0..<400).text, to: "in.jsonl")
        #expect(try runs.run().count == 400)
        // Its first 1,024 bytes and its length are those of the old one.
        let other = numbered(0..<200) + numbered(600..<800)
        runs.folder.write(other.text, to: "new")
        runs.folder.rename("new", to: "in.jsonl")
        #expect(try runs.run() == other)
    }

    @Test func `a file that was moved or copied with its folder goes on`() throws {
        let runs = FileRuns("in/*.jsonl")
        runs.folder.write(numbered(0..<50).text, to: "in/a.jsonl")
        #expect(try runs.run() == numbered(0..<50))
        let other = FileRuns("in/*.jsonl")
        other.remember(runs.committed)
        other.folder.write(numbered(0..<52).text, to: "in/a.jsonl")
        #expect(try other.run() == numbered(50..<52))
    }

    @Test func `a hard link is the same file`() throws {
        let runs = FileRuns("in/*")
        runs.folder.write(numbered(0..<4).text, to: "in/a.jsonl")
        try FileManager.default.linkItem(
            atPath: runs.folder("in/a.jsonl"), toPath: runs.folder("in/b.jsonl"))
        #expect(try runs.run() == numbered(0..<4))
    }

    @Test(arguments: [(1, "in.jsonl"), (3, "in.jsonl")])
    func `positions of older versions are read`(generation: Int, key: String) throws {
        let runs = FileRuns("in.jsonl")
        let text = numbered(0..<20).text
        runs.folder.write(text + numbered(20..<22).text, to: "in.jsonl")
        let head = FilePosition.Fingerprint(Array(text.utf8))
        let old = "\(text.utf8.count) 21 \(generation) \(head.length) \(head.digest)"
        runs.remember([key: Array(old.utf8)])
        #expect(try runs.run() == numbered(20..<22))
        #expect(runs.committed.keys.sorted() == [generation == 1 ? key : "\(key)~\(generation)"])
        #expect(try runs.run() == [])
    }

    @Test func `a position is written and read`() throws {
        var position = FilePosition()
        position.offset = .max
        position.line = 7
        position.generation = 3
        position.head = FilePosition.Fingerprint([1, 2, 3])
        position.tail = FilePosition.Fingerprint([3])
        position.identity = FileIdentity(device: 9, inode: .max)
        position.delivered = 12
        position.isInList = true
        position.shown = "in/a b  c.jsonl"
        #expect(FilePosition(position.encoded) == position)
        for wrong in ["", "1 2 3", "v2 1 2 3", "1 2 3 4 5 6", "v2 a 1 1 1 1 1 1 1 1 1 1 x"] {
            #expect(FilePosition(Array(wrong.utf8)) == nil)
        }
    }

    /// The header of a CSV file belongs to that file alone.
    @Test func `a rotated table has columns of its own`() throws {
        let runs = FileRuns("in.csv")
        runs.folder.write("id,price\n1,2\n", to: "in.csv")
        #expect(try runs.run() == [#"{"id":"1","price":"2"}"#])
        try runs.folder.append("3,4\n", to: "in.csv")
        runs.folder.rename("in.csv", to: "in.csv.1")
        runs.folder.write("price,id\n6,5\n", to: "in.csv")
        #expect(
            try runs.run() == [#"{"id":"3","price":"4"}"#, #"{"price":"6","id":"5"}"#])
    }

    @Test func `from the end holds for what was there at the first start`() throws {
        let runs = FileRuns("in/*")
        runs.options.fromEnd = true
        runs.folder.write("id,p\n1,2\n", to: "in/a.csv")
        runs.folder.write("{\"b\":1}\n{\"b\":", to: "in/b.jsonl")
        runs.folder.write("[{\"c\":1},\n", to: "in/c.json")
        runs.folder.write(Packed.gzip("{\"d\":1}\n"), to: "in/d.jsonl.gz")
        #expect(try runs.run() == [])
        try runs.folder.append("3,4\n", to: "in/a.csv")
        try runs.folder.append("2}\n", to: "in/b.jsonl")
        try runs.folder.append("{\"c\":2}]", to: "in/c.json")
        try runs.folder.append(Packed.gzip("{\"d\":2}\n"), to: "in/d.jsonl.gz")
        runs.folder.write("p\n9\n", to: "in/e.csv")
        #expect(
            try runs.run() == [
                #"{"id":"3","p":"4"}"#, #"{"b":2}"#, #"{"c":2}"#, #"{"d":2}"#, #"{"p":"9"}"#,
            ])
    }
}
