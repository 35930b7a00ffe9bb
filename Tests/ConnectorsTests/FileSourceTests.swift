import Connecting
import Foundation
import Records
import TestKit
import Testing

@testable import Connectors

@Suite struct FileSourceTests {
    /// Everything a source gives, as JSON texts, problems in angle brackets.
    private func readAll(
        _ folder: TemporaryFolder, _ options: FileSource.Options, limit: Int = 1 << 16,
        recordLimit: Int = 1 << 20
    ) throws -> [String] {
        let context = RunContext(
            folder: folder.path, once: true, inputs: [], recordLimit: recordLimit,
            sourceName: "source")
        let source = try FileSource(options, context: context)
        var rows: [String] = []
        let batch = Batch()
        while true {
            batch.removeAll()
            let limit = ReadLimit(bytes: limit)
            switch try source.read(into: batch, limit: limit, milliseconds: 10) {
            case .end: return rows
            case .nothingYet, .revoked: break
            case .records: rows += self.rows(of: batch)
            }
        }
    }

    private func rows(of batch: Batch) -> [String] {
        let text = batch.bytes.withUnsafeBytes { Array($0) }
        let originals = batch.originals.withUnsafeBytes { Array($0) }
        if batch.entries.isEmpty {
            return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
        }
        return batch.entries.map { entry in
            entry.problem.isEmpty
                ? String(decoding: text[entry.text], as: UTF8.self)
                : "<" + String(decoding: originals[entry.problem], as: UTF8.self) + ">"
        }
    }

    @Test(arguments: [1, 7, 64 << 10])
    func `JSON lines come whole, whatever the size of a read`(limit: Int) throws {
        let folder = TemporaryFolder()
        folder.write("{\"a\":1}\n\n{\"b\":\"x\"}\n{\"last\":true}", to: "in.jsonl")
        #expect(
            try readAll(folder, .init(paths: ["in.jsonl"]), limit: limit) == [
                "{\"a\":1}", "{\"b\":\"x\"}", "{\"last\":true}",
            ])
    }

    @Test func `files of a pattern are read in the order of their names`() throws {
        let folder = TemporaryFolder()
        for name in ["b", "a", "c"] {
            folder.write("{\"f\":\"\(name)\"}\n", to: "in/\(name).jsonl")
        }
        folder.write("", to: "in/empty.jsonl")
        #expect(
            try readAll(folder, .init(paths: ["in/*.jsonl"])) == [
                #"{"f":"a"}"#, #"{"f":"b"}"#, #"{"f":"c"}"#,
            ])
    }

    @Test func `a line beyond the limit is one problem, and the next line goes on`() throws {
        let folder = TemporaryFolder()
        folder.write(
            "{}\n" + String(repeating: "x", count: 300_000) + "\n{\"a\":1}\n", to: "in.jsonl")
        #expect(
            try readAll(folder, .init(paths: ["in.jsonl"]), limit: 1000, recordLimit: 1000) == [
                "{}", "<line of 300000 bytes is longer than the record limit of 1000 bytes>",
                "{\"a\":1}",
            ])
    }

    @Test func `a quoted cell beyond the limit is a problem, and the next line goes on`() throws {
        let folder = TemporaryFolder()
        let long = String(repeating: "x,\"\"\n", count: 500)
        folder.write("a,b\n\"\(long)\",1\n2,3\n\(long),", to: "in.csv")
        folder.write("\(String(repeating: "h", count: 3000))\n1\n", to: "header.csv")
        #expect(
            try readAll(folder, .init(paths: ["in.csv"]), limit: 100, recordLimit: 1000).prefix(2)
                == [
                    "<unbalanced quote: a cell that begins with one is never closed>",
                    #"{"a":"x","b":""}"#,
                ])
        #expect(throws: ConnectorError.self) {
            _ = try readAll(folder, .init(paths: ["header.csv"]), limit: 100, recordLimit: 1000)
        }
    }

    @Test func `a header that is not UTF-8 is told, not mended`() throws {
        let folder = TemporaryFolder()
        try Data([0x61, 0xFF, 0x0A, 0x31, 0x0A]).write(to: URL(filePath: folder("in.csv")))
        let error = #expect(throws: ConnectorError.self) {
            _ = try readAll(folder, .init(paths: ["in.csv"]))
        }
        #expect(error?.description.contains("in.csv:1: the header is not valid UTF-8") == true)
    }

    @Test(arguments: [1, 7, 64 << 10])
    func `CSV agrees with the slow parser on random rows`(limit: Int) throws {
        var random = SeededRandom(seed: 21)
        let cells = ["", "a", "b c", "x,y", "q\"q", "line\nbreak", "é🙂", "1.5", "a\\b", "\t"]
        var text = "one,two,three\r\n"
        for _ in 0..<60 {
            let row = (0..<3).map { _ -> String in
                let cell = cells.randomElement(using: &random) ?? ""
                let needsQuotes =
                    cell.contains { ",\"\n".contains($0) } || Bool.random(using: &random)
                return needsQuotes
                    ? "\"" + cell.replacingOccurrences(of: "\"", with: "\"\"") + "\"" : cell
            }
            text += row.joined(separator: ",") + (Bool.random(using: &random) ? "\n" : "\r\n")
        }
        let folder = TemporaryFolder()
        folder.write(text, to: "in.csv")
        var parser = CSVParser(Array(text.utf8))
        _ = parser.next()
        var expected: [String] = []
        while let row = parser.next() {
            let names = ["one", "two", "three"]
            expected.append(
                Record(
                    zip(names, row.cells).map {
                        Field($0, .string(String(decoding: $1, as: UTF8.self)))
                    }
                ).description)
        }
        #expect(
            try readAll(folder, .init(paths: ["in.csv"]), limit: limit) == expected, "\(random)")
    }

    @Test func `CSV rows that do not fit the header are problems`() throws {
        let folder = TemporaryFolder()
        folder.write("\u{FEFF}a,b\n1,2\n1,2,3\n1\n\"open", to: "in.csv")
        #expect(
            try readAll(folder, .init(paths: ["in.csv"])) == [
                #"{"a":"1","b":"2"}"#, "<row has 3 cells, the header has 2>",
                "<row has 1 cells, the header has 2>",
                "<unbalanced quote: a cell that begins with one is never closed>",
            ])
    }

    @Test func `gzip and zstd are unpacked, several members too, and damage is named`() throws {
        let folder = TemporaryFolder()
        folder.write("{\"a\":1}\n{\"b\":2}\n", to: "plain.jsonl")
        for command in [
            "gzip -c plain.jsonl > x.jsonl.gz; gzip -c plain.jsonl >> x.jsonl.gz",
            "head -c 30 x.jsonl.gz > cut.jsonl.gz; printf junk > bad.jsonl.gz",
        ] {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", command]
            process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
            try process.run()
            process.waitUntilExit()
        }
        let rows = ["{\"a\":1}", "{\"b\":2}"]
        #expect(try readAll(folder, .init(paths: ["x.jsonl.gz"]), limit: 5) == rows + rows)
        #expect(throws: ConnectorError.self) {
            _ = try readAll(folder, .init(paths: ["cut.jsonl.gz"]))
        }
        #expect(throws: ConnectorError.self) {
            _ = try readAll(folder, .init(paths: ["bad.jsonl.gz"]))
        }
    }

    @Test(arguments: [
        ("missing.jsonl", "no such file"), ("none/*.jsonl", "no file matches"),
        ("folder", "is a directory"),
    ])
    func `what cannot be read is said at the start`(path: String, message: String) {
        let folder = TemporaryFolder()
        folder.write("", to: "folder/x")
        let error = #expect(throws: ConnectorError.self) {
            _ = try readAll(folder, .init(paths: [path]))
        }
        #expect(error?.description.contains(message) == true)
    }

    @Test func `what a followed file held beyond the limit or when it was cut is a record`() throws
    {
        let folder = TemporaryFolder()
        folder.write(String(repeating: "x", count: 3000), to: "log.jsonl")
        var options = FileSource.Options(paths: ["log.jsonl"])
        options.follow = true
        let context = RunContext(
            folder: folder.path, once: false, inputs: [], recordLimit: 1000, sourceName: "source")
        let source = try FileSource(options, context: context)
        let batch = Batch()
        func next() throws -> [String] {
            for _ in 0..<20 {
                batch.removeAll()
                if case .records = try source.read(
                    into: batch, limit: ReadLimit(bytes: 1000), milliseconds: 1)
                {
                    return rows(of: batch)
                }
            }
            return []
        }
        #expect(try next() == [])
        let handle = try #require(FileHandle(forWritingAtPath: folder("log.jsonl")))
        handle.seekToEndOfFile()
        handle.write(Data("yy\n{\"n\":1}\n{\"n\":".utf8))
        #expect(
            try next() == ["<line of 3002 bytes is longer than the record limit of 1000 bytes>"])
        #expect(try next() == ["{\"n\":1}"])
        #expect(try next() == [])
        handle.truncateFile(atOffset: 0)
        #expect(try next() == ["{\"n\":"])
        handle.seek(toFileOffset: 0)
        handle.write(Data("{\"n\":2}\n".utf8))
        #expect(try next() == ["{\"n\":2}"])
    }

    @Test func `a followed file is read on through rotation and truncation`() throws {
        let folder = TemporaryFolder()
        folder.write("{\"n\":1}\n", to: "log.jsonl")
        var options = FileSource.Options(paths: ["*.jsonl"])
        options.follow = true
        let context = RunContext(
            folder: folder.path, once: false, inputs: [], recordLimit: 1000, sourceName: "source")
        let source = try FileSource(options, context: context)
        let batch = Batch()
        func next() throws -> [String] {
            for _ in 0..<200 {
                batch.removeAll()
                if case .records = try source.read(
                    into: batch, limit: ReadLimit(bytes: 1000), milliseconds: 1)
                {
                    return rows(of: batch)
                }
            }
            return []
        }
        #expect(try next() == ["{\"n\":1}"])
        let handle = try #require(FileHandle(forWritingAtPath: folder("log.jsonl")))
        handle.seekToEndOfFile()
        handle.write(Data("{\"n\":2}\n".utf8))
        #expect(try next() == ["{\"n\":2}"])
        try FileManager.default.moveItem(atPath: folder("log.jsonl"), toPath: folder("log.1"))
        handle.write(Data("{\"n\":3}\n".utf8))
        folder.write("{\"n\":4}\n", to: "log.jsonl")
        #expect(try next() == ["{\"n\":3}"])
        #expect(try next() == ["{\"n\":4}"])
        folder.write("", to: "log.jsonl")
        _ = try source.read(
            into: batch, limit: ReadLimit(bytes: 1000), milliseconds: 1)
        folder.write("{\"n\":5}\n", to: "log.jsonl")
        #expect(try next() == ["{\"n\":5}"])
        folder.write("{\"n\":6}\n", to: "new.jsonl")
        #expect(try next() == ["{\"n\":6}"])
    }
}
