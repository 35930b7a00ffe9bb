import Records
import TestKit
import Testing

@testable import Engine

/// The last records, for trying new rules on.
@Suite struct RecordRingTests {
    private static func batch(_ lines: [String], position: UInt64, line: UInt64) -> Batch {
        let batch = Batch()
        batch.source = "source"
        batch.file = "in.jsonl"
        batch.position = position
        batch.line = line
        batch.bytes.append(contentsOf: lines.joined(separator: "\n").utf8)
        batch.bytes.append(0x0A)
        return batch
    }

    @Test(arguments: [1, 3, 10, 25, 1000])
    func `the last records come back, each with its place`(limit: Int) {
        var random = SeededRandom(seed: UInt64(limit))
        let ring = RecordRing(limit: limit)
        var all: [(text: String, position: UInt64, line: UInt64)] = []
        var position: UInt64 = 0
        for _ in 0..<6 {
            let count = Int.random(in: 1...9, using: &random)
            let lines = (0..<count).map { "{\"i\":\(all.count + $0)}" }
            ring.note(Self.batch(lines, position: position, line: UInt64(all.count + 1)))
            for line in lines {
                all.append((line, position, UInt64(all.count + 1)))
                position += UInt64(line.utf8.count + 1)
            }
        }
        var found: [(text: String, position: UInt64, line: UInt64)] = []
        for chunk in ring.chunks {
            var count = 0
            chunk.forEachRecord { batch in
                let text = batch.bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
                found.append((String(text.dropLast()), batch.position, batch.line))
                count += 1
            }
            #expect(count == chunk.count)
        }
        let expected = all.suffix(max(limit, 1))
        #expect(found.count >= min(limit, all.count) && found.count < expected.count + 9)
        #expect(found.suffix(expected.count).map(\.text) == expected.map(\.text))
        #expect(found.suffix(expected.count).map(\.position) == expected.map(\.position))
        #expect(found.suffix(expected.count).map(\.line) == expected.map(\.line))
    }

    @Test func `records that are not simply lines keep their parts`() {
        let batch = Batch()
        batch.file = "in.csv"
        for (text, original, problem) in [("{\"a\":1}", "1", ""), ("", "1,2", "too many cells")] {
            let start = batch.bytes.count
            batch.bytes.append(contentsOf: text.utf8)
            let first = batch.originals.count
            batch.originals.append(contentsOf: original.utf8)
            let middle = batch.originals.count
            batch.originals.append(contentsOf: problem.utf8)
            batch.entries.append(
                Batch.Entry(
                    text: start..<batch.bytes.count, original: first..<middle,
                    problem: problem.isEmpty ? 0..<0 : middle..<batch.originals.count,
                    position: 9, line: 2, originalLength: UInt64(original.utf8.count)))
        }
        let ring = RecordRing(limit: 10)
        ring.note(batch)
        var found: [String] = []
        ring.chunks[0].forEachRecord { one in
            let entry = one.entries[0]
            let bytes = one.bytes.withUnsafeBytes { Array($0) }
            let originals = one.originals.withUnsafeBytes { Array($0) }
            func text(_ bytes: ArraySlice<UInt8>) -> String {
                String(decoding: bytes, as: UTF8.self)
            }
            found.append(
                text(bytes[entry.text]) + "|" + text(originals[entry.original]) + "|"
                    + text(originals[entry.problem]))
        }
        #expect(found == ["{\"a\":1}|1|", "|1,2|too many cells"])
    }
}
