import Foundation
import Records
import TestKit
import Testing

@Suite struct RecordsTests {
    @Test func `the reader agrees with Foundation on random texts`() throws {
        var generator = JSONGenerator(SeededRandom(seed: 11))
        for _ in 0..<500 {
            let text = generator.object(depth: 3)
            // Foundation refuses numbers beyond Double, which are ours to keep.
            guard !text.contains("E400") else { continue }
            let data = Data(text.utf8)
            #expect(throws: Never.self, "\(text) \(generator.random)") {
                _ = try JSONSerialization.jsonObject(with: data)
                _ = try Record(json: text)
            }
        }
    }

    @Test func `what is written reads back as the same value`() throws {
        var generator = JSONGenerator(SeededRandom(seed: 12))
        for _ in 0..<500 {
            let record = try Record(json: generator.object(depth: 3))
            #expect(try Record(json: record.json) == record, "\(generator.random)")
        }
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":01}", "nul", "\"\\x\"", "1 2", "{\"a\" 1}", "\"\u{01}\"", "+1",
        "1.",
    ])
    func `malformed texts are refused`(text: String) {
        #expect(throws: JSONError.self) {
            var reader = JSONReader(Array(text.utf8))
            _ = try reader.readDocument()
        }
    }

    @Test func `fields keep their order and numbers their kind`() throws {
        var record = try Record(json: #"{"b":1,"a":1.0,"big":12345678901234567890,"n":null}"#)
        #expect(record["b"] == .integer(1))
        #expect(record["a"] == .number(1.0))
        #expect(record["big"] == .decimal("12345678901234567890"))
        record["a"] = nil
        record["new"] = [1, nil, "x"]
        #expect(
            record.description == #"{"b":1,"big":12345678901234567890,"n":null,"new":[1,null,"x"]}"#
        )
    }

    @Test func `a byte buffer grows, drops its front and keeps its padding readable`() {
        var buffer = ByteBuffer()
        for byte in 0..<200 { buffer.append(UInt8(byte)) }
        buffer.removeFirst(150)
        #expect(buffer.count == 50)
        #expect(buffer[0] == 150)
        buffer.truncate(to: 1)
        buffer.append(contentsOf: [7, 8])
        #expect(buffer.withUnsafeBytes { Array($0) } == [150, 7, 8])
    }

    @Test func `CSV rows keep quotes, line breaks and commas inside quotes`() {
        var parser = CSVParser(Array("\u{FEFF}a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\n,\n".utf8))
        var rows: [[String]] = []
        while let row = parser.next() {
            rows.append(row.cells.map { String(decoding: $0, as: UTF8.self) })
        }
        #expect(rows == [["a", "b"], ["x, \"y\"", "two\nlines"], ["", ""]])
    }
}
