import Foundation
import Records
import TestKit
import Testing

/// Files as sources, as a user sees them; other programs say what is right.
@Suite struct FileSourceCommandTests {
    private func folder(_ source: String) -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write(
            """
            name: files
            source: {file: {\(source)}}
            stages:
              - {name: same, transform: rules/same.lua}
            sinks:
              - {name: rows, from: same, file: {path: out/rows.jsonl, append: true}}
              - {name: dead, from: dead_letters, file: {path: out/dead.jsonl, append: true}}
            """, to: "pipeline.yaml")
        folder.write("function process(r, meta) end\n", to: "rules/same.lua")
        return folder
    }

    private func run(
        _ folder: TemporaryFolder, _ arguments: String...
    ) throws -> Tool.Outcome {
        try Tool.run(
            arguments: [
                "run", folder.path, "--once", "--summary", folder("summary.json"),
            ] + arguments)
    }

    private func shell(_ script: String, in folder: TemporaryFolder) throws {
        let outcome = try Tool.run(
            arguments: ["-c", "cd \"$0\" && \(script)", folder.path], executable: "/bin/sh")
        try #require(outcome.status == 0, "\(script): \(outcome.errors)")
    }

    private func rows(_ folder: TemporaryFolder, _ sink: String = "rows") -> [String] {
        folder.text("out/\(sink).jsonl").split(separator: "\n").map(String.init)
    }

    @Test(arguments: [true, false])
    func `all good files are read, and the bad ones named at the end`(isFresh: Bool) throws {
        let folder = folder("path: \"in/*\"")
        folder.write("{\"a\":1}\n", to: "in/a.jsonl")
        folder.write("", to: "in/b/x")
        folder.write([0xFF, 0xFE, 0x7B, 0], to: "in/c.jsonl")
        folder.write((0..<3000).map { "{\"n\":\($0)}\n" }.joined(), to: "d.jsonl")
        try shell("gzip -c d.jsonl | head -c 3000 > in/d.jsonl.gz", in: folder)
        folder.write("{\"z\":1}\n", to: "in/z.jsonl")
        let arguments = isFresh ? ["--fresh"] : []
        let first = try Tool.run(
            arguments: ["run", folder.path, "--once", "--summary", folder("summary.json")]
                + arguments)
        #expect(first.status == 1)
        for name in ["in/b: is a directory", "in/c.jsonl: is UTF-16", "in/d.jsonl.gz: the packed"] {
            #expect(first.errors.contains("error: \(name)"), "\(first.errors)")
        }
        #expect(rows(folder).first == "{\"a\":1}")
        #expect(rows(folder).last == "{\"z\":1}")
        let summary = try Record(json: folder.text("summary.json"))
        #expect(summary["files"]?.json == Array(#"{"read":2,"failed":3}"#.utf8))
        guard !isFresh else { return }
        try shell("rm -r in/b && printf '{\"c\":1}\\n' > in/c.jsonl", in: folder)
        try shell("gzip -c d.jsonl > in/d.jsonl.gz", in: folder)
        #expect(try run(folder).status == 0)
        #expect(rows(folder).count == 3003)
        #expect(Set(rows(folder)).count == 3003)
    }

    @Test func `bytes that continue a delivered row are a dead letter with the whole line`() throws
    {
        let folder = folder("path: in.csv, last_line: deliver")
        folder.write("id,amount\n1,10\n2,12", to: "in.csv")
        #expect(try run(folder).status == 0)
        try shell("printf '34.50\\n3,4\\n' >> in.csv", in: folder)
        #expect(try run(folder).status == 0)
        #expect(rows(folder).map { $0.contains("\"3\"") } == [false, false, true])
        let letter = try Record(json: rows(folder, "dead").joined())
        #expect(letter["kind"] == .string("continued"))
        #expect(letter["original"] == .string("2,1234.50"))
    }

    @Test(arguments: ["gzip", "zstd -q"]) func `packers are understood`(packer: String) throws {
        let folder = folder("path: \"in/*\"")
        let name = packer == "gzip" ? "in/a.jsonl.gz" : "in/a.JSONL.ZST"
        folder.write("{\"n\":1}\n{\"n\":2}\n", to: "first")
        folder.write("{\"n\":3}\n", to: "second")
        try shell("mkdir in; \(packer) -c first > \(name)", in: folder)
        #expect(try run(folder).status == 0)
        try shell("\(packer) -c second >> \(name)", in: folder)
        if packer == "gzip" { try shell("head -c 700 /dev/zero >> \(name)", in: folder) }
        #expect(try run(folder).status == 0)
        #expect(rows(folder) == (1...3).map { "{\"n\":\($0)}" })
    }

    /// Rows as Python's csv module writes and reads them.
    @Test(arguments: [1, 2, 3]) func `CSV is what Python takes it for`(seed: Int) throws {
        let folder = folder("path: in.csv, format: csv")
        folder.write(
            """
            import csv, json, random, sys
            random.seed(int(sys.argv[1]))
            end = random.choice(["\\n", "\\r\\n", "\\r"])
            parts = ["a", ",", '"', "é", "\\t", " ", 'x"y', "1", "", "#", ";"]
            parts += ["\\r"] if end == "\\r" else ["\\n", "\\r\\n"]
            with open("in.csv", "w", newline="") as file:
                quoting = random.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
                rows = csv.writer(file, lineterminator=end, quoting=quoting)
                rows.writerow(["x", "y", "z"])
                for _ in range(300):
                    rows.writerow(
                        ["".join(random.choices(parts, k=random.randint(0, 7))) for _ in "xyz"])
            with open("in.csv", newline="") as file:
                for row in csv.DictReader(file):
                    print(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
            """, to: "judge.py")
        try shell("python3 judge.py \(seed) > expected", in: folder)
        #expect(try run(folder, "--fresh").status == 0)
        let found = try rows(folder).map { try Record(json: $0).fields.map(\.value) }
        let expected = try folder.text("expected").split(separator: "\n").map {
            try Record(json: String($0)).fields.map(\.value)
        }
        #expect(expected.count == 300)
        #expect(found == expected)
    }

    @Test(
        arguments: ["create", "copytruncate", "create\ncompress", "copytruncate\ncompress"],
        ["app.log", "app.log*"])
    func `logs that logrotate rotates are read once`(mode: String, path: String) throws {
        let folder = folder("path: \"in/\(path)\"")
        folder.write("", to: "in/app.log")
        folder.write(
            "\"\(folder("in/app.log"))\" {\nrotate 9\n\(mode)\nnomail\n}\n", to: "rotation")
        try shell("chmod 600 rotation", in: folder)
        for number in 0..<40 {
            try shell("echo '{\"n\":\(number)}' >> in/app.log", in: folder)
            if number % 4 == 1 { #expect(try run(folder).status == 0) }
            if number % 8 == 5 {
                try shell(
                    "PATH=$PATH:/usr/sbin logrotate -f -s \"$PWD/state\" rotation", in: folder)
            }
        }
        #expect(try run(folder).status == 0)
        #expect(rows(folder).sorted() == (0..<40).map { "{\"n\":\($0)}" }.sorted())
    }

    @Test func `marks at the start of rules, schemas and tables are no text`() throws {
        let folder = TemporaryFolder()
        folder.write(
            """
            name: marks
            source: {file: {path: in.jsonl}}
            lookups: {names: {file: names.csv.gz, key: id}}
            stages:
              - {name: check, validate: {schema: s.json}}
              - {name: rich, enrich: rules/rich.lua, lookups: [names]}
            sinks: [{from: rich, file: {path: out/rows.jsonl}}]
            """, to: "pipeline.yaml")
        folder.write("\u{FEFF}{\"id\":1}\n", to: "in.jsonl")
        folder.write("\u{FEFF}{\"required\": [\"id\"]}", to: "s.json")
        folder.write(
            "\u{FEFF}function process(r) r.name = lookup(\"names\", r.id, \"name\") end\n",
            to: "rules/rich.lua")
        folder.write("\u{FEFF}id,name\r1,one\r", to: "names.csv")
        try shell("gzip names.csv", in: folder)
        let outcome = try run(folder, "--fresh")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(rows(folder) == [#"{"id":1,"name":"one"}"#])
    }
}
