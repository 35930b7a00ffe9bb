import Connecting
import Foundation
import Scripting
import TestKit
import Testing

@testable import Definitions

@Suite struct LookupFileTests {
    private func read(_ name: String, _ text: String) throws(PipelineError) -> Int {
        let folder = TemporaryFolder()
        folder.write(text, to: name)
        let definition = LookupDefinition(
            name: "t", path: name, key: "id", refreshNanoseconds: 1,
            location: Location(file: "pipeline.yaml", line: 1, column: 1))
        return try LookupFile(definition: definition, folder: folder.path).read().count
    }

    @Test(arguments: [
        ("t.csv", "id\na\nb\n", 2), ("t.csv", "id,x\r\na,1\r\nb,2", 2),
        ("t.csv", "\u{FEFF}id,x\na,1\n", 1), ("t.csv", "x,id\n1,a\n2,a\n", 1),
        ("t.csv", "id,x\n\"a\nb\",\"say \"\"hi\"\"\"\n", 1), ("t.csv", "id,x\n", 0),
        ("t.csv", "id,x\n,\n", 1), ("t.jsonl", "", 0),
        ("t.jsonl", "{\"id\":1}\n\n{\"id\":\"1\"}\n{\"id\":2,\"x\":[]}", 2),
    ])
    func `good tables are read`(name: String, text: String, rows: Int) throws {
        #expect(try read(name, text) == rows)
    }

    @Test(arguments: [
        ("t.csv", "", "t.csv:1: the file is empty"),
        ("t.csv", "ids,x\na,1\n", "t.csv:1: there is no column \"id\"; did you mean \"ids\"?"),
        ("t.csv", "id,x\na,1\nb\n", "t.csv:3: row has 1 cells, the header has 2"),
        ("t.csv", "id,x\n\"a\nb\",1\nc,1,2\n", "t.csv:4: row has 3 cells"),
        ("t.csv", "id,x\n\"a,1\n", "t.csv:2: "),
        ("t.jsonl", "{\"id\":1}\n{\"id\":}\n", "t.jsonl:2: "),
        ("t.jsonl", "{\"id\":1}\n\n[1]\n", "t.jsonl:3: "),
        ("t.jsonl", "{\"id\":1}\n{\"x\":1}\n", "t.jsonl:2: the field \"id\" is missing"),
    ])
    func `bad tables are told with file and line`(name: String, text: String, start: String) {
        let error = #expect(throws: PipelineError.self) { try read(name, text) }
        #expect(error?.exitCode == 2)
        #expect(error?.description.hasPrefix(start) == true, "\(error?.description ?? "")")
    }

    @Test(
        arguments: [
            ([0x69, 0x64, 0x0A, 0x61, 0x0A, 0xFF, 0x0A], "t.csv:3: not valid UTF-8"),
            ([0x69, 0x64, 0x2C, 0xFF, 0x0A, 0x61, 0x2C, 0x62], "t.csv:1: not valid UTF-8"),
        ] as [([UInt8], String)])
    func `a table that is not UTF-8 is told with its line`(bytes: [UInt8], text: String) throws {
        let folder = TemporaryFolder()
        try Data(bytes).write(to: URL(filePath: folder("t.csv")))
        let definition = LookupDefinition(
            name: "t", path: "t.csv", key: "id", refreshNanoseconds: 1,
            location: Location(file: "pipeline.yaml", line: 1, column: 1))
        let error = #expect(throws: PipelineError.self) {
            try LookupFile(definition: definition, folder: folder.path).read()
        }
        #expect(error?.description == text)
    }

    @Test func `a table that is not there is told by its path`() {
        let definition = LookupDefinition(
            name: "t", path: "no.csv", key: "id", refreshNanoseconds: 1,
            location: Location(file: "pipeline.yaml", line: 1, column: 1))
        let error = #expect(throws: PipelineError.self) {
            try LookupFile(definition: definition, folder: TemporaryFolder().path).read()
        }
        #expect(error?.description.hasPrefix("no.csv: the lookup \"t\" cannot be read") == true)
    }
}
