import Foundation
import Records
import TestKit
import Testing

/// CSV that is written, read by Python's csv module.
@Suite(.timeLimit(.minutes(30))) struct SinkCSVTests {
    private let folder = TemporaryFolder()

    private func run(_ arguments: String...) throws -> Tool.Outcome {
        try Tool.run(arguments: ["run", folder.path, "--once"] + arguments)
    }

    private func pipeline(_ options: String, more: String = "") {
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            sinks:
              - {from: source, file: {\(options)}}
              - {from: dead_letters, file: {path: out/dead.jsonl}}
            \(more)
            """, to: "pipeline.yaml")
    }

    /// The rows as Python reads them, each as JSON.
    private func rows(_ name: String, delimiter: String = ",") throws -> [Value] {
        let script = """
            import csv, json, sys
            csv.field_size_limit(10**9)
            with open(sys.argv[1], newline='', encoding='utf-8') as f:
                for row in csv.reader(f, delimiter=sys.argv[2], strict=True):
                    print(json.dumps(row))
            """
        let read = try Tool.run(
            arguments: ["python3", "-c", script, folder("out/\(name)"), delimiter],
            executable: "/usr/bin/env")
        #expect(read.status == 0, "\(read.errors)")
        return try read.output.split(separator: "\n").map { line in
            var reader = JSONReader(Array(line.utf8))
            return try reader.readDocument()
        }
    }

    private static let pieces = [
        "", " ", "a", "ü", "€𝄞", ",", ";", "\t", "\"", "\"\"", "\n", "\r\n", "\r", "'", "\\",
        "null",
        "NULL", "0012", "1e5", "=1+1", "\u{FEFF}", "x y", " lead", "trail ", "{}", "true",
    ]

    @Test(arguments: [("o.csv", ","), ("o.tsv", "\t"), ("o.txt", ";")], 1...4)
    func `Python reads every cell back`(form: (name: String, delimiter: String), seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let names = ["id", "a,b", "quote\"d", "ünï", "line\nbreak", ""].shuffled(using: &random)
        let columns = Array(names.prefix(Int.random(in: 1...6, using: &random)))
        var expected: [Value] = [.array(columns.map { .string($0) })]
        var input = ""
        for _ in 0..<300 {
            var record = Record()
            var cells: [Value] = []
            for column in columns {
                let (value, cell) = Self.value(&random)
                if let value { record[column] = value }
                cells.append(.string(cell))
            }
            if record.fields.count == columns.count || input != "" {
                // The first row names the columns, so it has all of them.
                record.fields.shuffle(using: &random)
                if input.isEmpty {
                    record.fields = columns.compactMap { column in
                        record[column].map { Field(column, $0) }
                    }
                }
                input += record.description + "\n"
                expected.append(.array(cells))
            }
        }
        folder.write(input, to: "in.jsonl")
        let isText = form.name.hasSuffix("txt")
        pipeline("path: out/\(form.name)" + (isText ? ", format: csv, delimiter: \";\"" : ""))
        let run = try run()
        #expect(run.status == 0, "\(run.errors)")
        #expect(folder.text("out/dead.jsonl") == "")
        let found = try rows(form.name, delimiter: form.delimiter)
        #expect(found.count == expected.count)
        let wrong = zip(found, expected).first { $0 != $1 }
        #expect(wrong == nil, "\(random)")
    }

    /// A value, nil for a field that is not there, and the cell that it is to be.
    private static func value(_ random: inout SeededRandom) -> (Value?, String) {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: return (.null, "")
        case 1: return (nil, "")
        case 2: return (.boolean(true), "true")
        case 3:
            let text =
                ["12", "-0.5", "1e400", "89490200001234567890", "1.50"]
                .randomElement(using: &random) ?? ""
            return (.decimal(text), text)
        case 4:
            let nested = Value.object([Field("k", .array([.string("a\"b,\n"), .integer(1)]))])
            return (nested, String(decoding: nested.json, as: UTF8.self))
        default:
            let count = Int.random(in: 0...4, using: &random)
            let text = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            return (.string(text), text)
        }
    }

    @Test func `null has its text, and what would read the same is quoted`() throws {
        pipeline("path: out/o.csv, columns: [a, b], null_as: NA")
        folder.write(
            "{\"a\":null,\"b\":\"NA\"}\n{\"b\":\"\"}\n{\"a\":\"x\",\"b\":0}\n", to: "in.jsonl")
        #expect(try run().status == 0)
        #expect(folder.text("out/o.csv") == "a,b\nNA,\"NA\"\nNA,\"\"\nx,0\n")
    }

    @Test func `a field without a column is a dead letter, or goes to the rest`() throws {
        folder.write(
            "{\"a\":1,\"b\":2}\n{\"a\":3,\"c\":4,\"b\":5}\n{\"b\":6,\"a\":7,\"a\":8}\n",
            to: "in.jsonl")
        pipeline("path: out/o.csv")
        #expect(try run().status == 0)
        #expect(folder.text("out/o.csv") == "a,b\n1,2\n8,6\n")
        let letter = try Record(
            json: folder.text("out/dead.jsonl").trimmingCharacters(in: .newlines))
        #expect(letter["kind"] == "refused")
        #expect(
            letter["reason"]?.text == "out/o.csv: there is no column for the field \"c\" "
                + "(columns: a, b); add it to `columns`, or collect such fields with `rest`")
        for columns in ["", ", columns: [b, a]"] {
            pipeline("path: out/o.csv, rest: more\(columns)")
            #expect(try run("--fresh", "--overwrite").status == 0)
            let rows = try rows("o.csv")
            let names: Value = columns.isEmpty ? ["a", "b", "more"] : ["b", "a", "more"]
            #expect(rows.first == names)
            let cells: Value = columns.isEmpty ? ["3", "5", "{\"c\":4}"] : ["5", "3", "{\"c\":4}"]
            #expect(rows[2] == cells && rows.count == 4)
        }
    }

    @Test func `dead letters of several kinds go into one CSV`() throws {
        folder.write("{\"a\":1}\n{\n{\"a\":2}\n", to: "in.jsonl")
        folder.write("function process(r) if r.a == 2 then error('two') end end", to: "r.lua")
        folder.write(
            """
            source: {file: {path: in.jsonl}}
            stages: [{name: a, transform: r.lua}]
            sinks:
              - {from: a, file: {path: out/o.jsonl}}
              - {from: dead_letters, file: {path: out/dead.csv}}
            """, to: "pipeline.yaml")
        let run = try run()
        #expect(run.status == 0, "\(run.errors)")
        let letters = try rows("dead.csv")
        guard case .array(let columns)? = letters.first else { return }
        #expect(letters.count == 3 && columns.last == "rest")
        for letter in letters {
            guard case .array(let cells) = letter else { continue }
            #expect(cells.count == columns.count)
        }
    }

    @Test(arguments: ["o.csv", "o.csv.gz", "o.csv.zst"])
    func `columns go on over runs, and the header is written once`(name: String) throws {
        func text() throws -> String {
            try Tool.run(
                "-c", "cat '\(folder("out/" + name))' | (gzip -dcf 2>/dev/null || true)",
                executable: "/bin/sh"
            ).output
        }
        func content() throws -> String {
            guard name.hasSuffix("zst") else { return try text() }
            let read = try Tool.run("-qdc", folder("out/" + name), executable: "/usr/bin/zstd")
            #expect(read.status == 0, "\(read.errors)")
            return read.output
        }
        pipeline("path: out/\(name)")
        folder.write("{\"b\":1,\"a\":2}\n", to: "in.jsonl")
        #expect(try run().status == 0)
        folder.write("{\"b\":1,\"a\":2}\n{\"a\":3}\n", to: "in.jsonl")
        #expect(try run().status == 0)
        #expect(try content() == "b,a\n1,2\n,3\n")
        // A new file has the same header.
        try FileManager.default.removeItem(atPath: folder("out/\(name)"))
        folder.write("{\"b\":1,\"a\":2}\n{\"a\":3}\n{\"a\":4}\n", to: "in.jsonl")
        #expect(try run().status == 0)
        #expect(try content() == "b,a\n,4\n")
        // Other columns need another file.
        pipeline("path: out/\(name), columns: [a]")
        let other = try run()
        #expect(other.status == 1 && other.errors.contains("begun with the columns b, a"))
        // A new store goes on with the columns of the file.
        pipeline("path: out/\(name), append: true")
        #expect(try run("--data", folder("new")).status == 0)
        #expect(try content() == "b,a\n,4\n1,2\n,3\n,4\n")
        pipeline("path: out/\(name), append: true, columns: [x]")
        let wrong = try run("--data", folder("newer"))
        #expect(wrong.status == 1 && wrong.errors.contains("has the columns b, a, not x"))
    }

    @Test func `packed outputs without a row are sound, and declared columns make a header`() throws
    {
        folder.write("", to: "in.jsonl")
        for (name, tool) in [("o.jsonl.gz", "gzip"), ("o.jsonl.zst", "zstd"), ("o.csv.gz", "gzip")]
        {
            pipeline("path: out/\(name)" + (name.contains("csv") ? ", columns: [a, b]" : ""))
            #expect(try run("--fresh").status == 0)
            let test = try Tool.run(
                "-c",
                "\(tool) -t '\(folder("out/" + name))' && \(tool) -dc '\(folder("out/" + name))'",
                executable: "/bin/sh")
            #expect(test.status == 0 && test.output == (name.contains("csv") ? "a,b\n" : ""))
        }
        for (options, words) in [
            ("path: out/o.jsonl, columns: [a]", "\"columns\" is for CSV"),
            ("path: out/o.csv, columns: [a, a]", "the column \"a\" is given twice"),
            ("path: out/p.jsonl, roll: {size: 1MiB}", "a path that rolls needs %n"),
            ("path: \"out/%n-%q.jsonl\", roll: {size: 1MiB}", "not \"%q\""),
            ("path: \"out/%n.jsonl\", roll: {}", "needs a size or every"),
            ("path: \"out/%n.jsonl\", roll: {every: 1h}, append: true", "does not go with roll"),
        ] {
            pipeline(options)
            let lint = try Tool.run("lint", folder.path)
            #expect(
                lint.errors.contains(words) && lint.errors.contains("pipeline.yaml:"),
                "\(lint.errors)")
        }
    }
}
